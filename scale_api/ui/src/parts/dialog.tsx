// Questions before something is changed.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../core/api";
import { Refusal } from "./page";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  class?: string;
}

/** Shown from its first drawing on; Escape and a click beside it close it. */
export function Dialog({ title, onClose, children, class: name = "" }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard has Escape
    <dialog
      ref={dialog}
      class={name}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-body">
        <header>
          <h2>{title}</h2>
          <button type="button" class="plain close" aria-label="Close" onClick={() => dialog.current?.close()}>
            ×
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface QuestionProps {
  title: string;
  /** The word on the button that does it. */
  verb: string;
  isDangerous?: boolean;
  /** What the API refuses is shown in the dialog, which then stays open. */
  onYes: () => Promise<unknown> | undefined;
  onClose: () => void;
  children?: ComponentChildren;
}

export function Question({ title, verb, isDangerous, onYes, onClose, children }: QuestionProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await onYes();
      onClose();
    } catch (reason) {
      if (!(reason instanceof ApiError)) throw reason;
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <div class="dialog-content">
          {children}
          {error && <Refusal error={error} />}
        </div>
        <footer>
          <button type="button" onClick={onClose}>
            Back
          </button>
          <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={isBusy}>
            {isBusy ? "One moment…" : verb}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
