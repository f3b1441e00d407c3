// Errors, job types and recipe types from one Scale to another, with what the API says before anything is imported.
import { useRef, useState } from "preact/hooks";
import { change } from "../core/api";
import { many } from "../core/format";
import { attempt } from "../core/toasts";
import { useValidation, Verdicts } from "../parts/form";
import { Page, Panel } from "../parts/page";

const KINDS = [
  ["recipe_types", "Recipe types"],
  ["job_types", "Job types"],
  ["errors", "Errors"],
] as const;

type Document = { [kind in (typeof KINDS)[number][0]]?: unknown[] };

export default function ImportExport() {
  return (
    <Page
      title="Import and export"
      lead="Definitions of errors, job types and recipe types as one JSON document, to be kept or brought to another Scale."
    >
      <div class="halves">
        <Export />
        <Import />
      </div>
    </Page>
  );
}

function Export() {
  const [wanted, setWanted] = useState<readonly string[]>(KINDS.map(([kind]) => kind));
  const address = `/configuration/download/?${wanted.map((kind) => `include=${kind}`).join("&")}`;
  return (
    <Panel title="Export">
      <fieldset class="checks">
        <legend class="unseen">What to export</legend>
        {KINDS.map(([kind, label]) => (
          <label key={kind}>
            <input
              type="checkbox"
              checked={wanted.includes(kind)}
              onChange={() =>
                setWanted(wanted.includes(kind) ? wanted.filter((each) => each !== kind) : [...wanted, kind])
              }
            />{" "}
            {label}
          </label>
        ))}
      </fieldset>
      {wanted.length ? (
        <a class="button" href={address} download="">
          Download
        </a>
      ) : (
        <p class="quiet">Choose what to export.</p>
      )}
    </Panel>
  );
}

function Import() {
  const [document, setDocument] = useState<Document | null>(null);
  const [name, setName] = useState("");
  const [unreadable, setUnreadable] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const verdict = useValidation("/configuration/validation/", document && { import: document });
  const take = async (file: File | undefined): Promise<void> => {
    setDocument(null);
    setUnreadable("");
    if (!file) return;
    setName(file.name);
    try {
      const read = JSON.parse(await file.text());
      setDocument(read.import ?? read);
    } catch (error) {
      setUnreadable(`${file.name} is not JSON: ${(error as Error).message}`);
    }
  };
  const run = async (): Promise<void> => {
    const isDone = await attempt(`${name} is imported`, () =>
      change<unknown>("POST", "/configuration/", { import: document }),
    );
    if (!isDone) return;
    setDocument(null);
    if (input.current) input.current.value = "";
  };
  return (
    <Panel title="Import">
      <label class="field">
        <span>A file that was exported</span>
        <input
          ref={input}
          type="file"
          accept=".json,application/json"
          onChange={(event) => take(event.currentTarget.files?.[0])}
        />
      </label>
      {unreadable && <p class="verdict verdict-bad">{unreadable}</p>}
      {document && (
        <>
          <p class="spaced-top">
            It contains{" "}
            {KINDS.map(
              ([kind, label]) => `${many(document[kind]?.length ?? 0, label.slice(0, -1).toLowerCase())}`,
            ).join(", ")}
            . What is there under the same name is changed; all of it is imported, or nothing.
          </p>
          <Verdicts verdict={verdict} shown={[]} />
          <button
            type="button"
            class="primary"
            disabled={!verdict.isCurrent || verdict.problems.length > 0}
            onClick={run}
          >
            Import it
          </button>
        </>
      )}
    </Panel>
  );
}
