// Pausing and going on: of job types, and of nodes with the reason why.
import { useState } from "preact/hooks";
import { change } from "../core/api";
import { attempt } from "../core/toasts";
import type { JobTypeBase, Node } from "../core/types";
import { Question } from "./dialog";

interface PauseTypeProps {
  type: JobTypeBase;
  onDone: () => Promise<void>;
}

/** A paused type stays in the queue until it goes on. */
export function PauseType({ type, onDone }: PauseTypeProps) {
  const set = async (isPaused: boolean): Promise<void> => {
    await change("PATCH", `/job-types/${type.id}/`, { is_paused: isPaused });
    await onDone();
  };
  const name = `${type.title || type.name} ${type.version}`;
  const toggle = (): void => {
    const said = type.is_paused ? `${name} goes on` : `${name} is paused`;
    void attempt(
      said,
      () => set(!type.is_paused),
      () => void attempt(type.is_paused ? `${name} is paused` : `${name} goes on`, () => set(type.is_paused)),
    );
  };
  return (
    <button type="button" class="slim" onClick={toggle}>
      {type.is_paused ? "Resume" : "Pause"}
      <span class="unseen"> {name}</span>
    </button>
  );
}

interface PauseNodeProps {
  node: Pick<Node, "id" | "hostname" | "is_paused" | "is_paused_errors">;
  onDone: () => Promise<void>;
  class?: string;
}

export function PauseNode({ node, onDone, class: name = "" }: PauseNodeProps) {
  const [isAsking, setAsking] = useState(false);
  const [reason, setReason] = useState("");
  const send = async (body: Record<string, unknown>): Promise<void> => {
    await change("PATCH", `/nodes/${node.id}/`, body);
    await onDone();
  };
  const resume = (): Promise<boolean> =>
    attempt(`${node.hostname} goes on`, () => send({ is_paused: false, pause_reason: null }));
  const pause = (): Promise<boolean> =>
    attempt(
      `${node.hostname} is paused`,
      () => send({ is_paused: true, pause_reason: reason.trim() || null }),
      () => void resume(),
    );
  return (
    <>
      {node.is_paused || node.is_paused_errors ? (
        <button type="button" class={name} onClick={resume}>
          Resume<span class="unseen"> {node.hostname}</span>
        </button>
      ) : (
        <button type="button" class={name} onClick={() => setAsking(true)}>
          Pause…<span class="unseen"> {node.hostname}</span>
        </button>
      )}
      {isAsking && (
        <Question title={`Pause ${node.hostname}?`} verb="Pause it" onYes={pause} onClose={() => setAsking(false)}>
          <p>What runs there goes on. Nothing else is started on it until somebody resumes it.</p>
          <label class="field">
            <span>Reason, for others to read</span>
            <input
              type="text"
              maxLength={250}
              value={reason}
              placeholder="such as: new disk on Thursday"
              onInput={(event) => setReason(event.currentTarget.value)}
            />
          </label>
        </Question>
      )}
    </>
  );
}
