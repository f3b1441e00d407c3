// Errors, job types and recipe types from one Scale to another, with what the API says before anything is imported.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, change, get, type Problem } from "../core/api";
import { many } from "../core/format";
import { attempt } from "../core/toasts";
import { Difference } from "../parts/difference";
import { problemsOf, useValidation, Verdicts } from "../parts/form";
import { Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Health } from "../parts/status";

const KINDS = [
  ["recipe_types", "Recipe types"],
  ["job_types", "Job types"],
  ["errors", "Errors"],
] as const;

interface Definition {
  name: string;
  version?: string;
  [field: string]: unknown;
}

type Document = { [kind in (typeof KINDS)[number][0]]?: Definition[] };

export default function ImportExport() {
  return (
    <Page
      title="Import and export"
      lead="Definitions of errors, job types and recipe types as one JSON document, to be kept or brought to another Scale."
    >
      <Export />
      <Import />
    </Page>
  );
}

function Export() {
  const [wanted, setWanted] = useState<readonly string[]>(KINDS.map(([kind]) => kind));
  const address = `/configuration/download/?${wanted.map((kind) => `include=${kind}`).join("&")}`;
  return (
    <Panel title="Export" class="spaced">
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
  const [known, setKnown] = useState<Document | null>(null);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const input = useRef<HTMLInputElement>(null);
  const verdict = useValidation("/configuration/validation/", document && { import: document });
  const take = async (file: File | undefined): Promise<void> => {
    setDocument(null);
    setKnown(null);
    setUnreadable("");
    setError(undefined);
    if (!file) return;
    setName(file.name);
    try {
      setDocument(documentOf(await file.text()));
    } catch (reason) {
      setUnreadable(`${file.name} cannot be read: ${(reason as Error).message}`);
    }
  };
  useEffect(() => {
    if (!document) return;
    get<Document>("/configuration/").then(setKnown, (reason) => {
      if (!(reason instanceof ApiError)) throw reason;
      setError(reason);
    });
  }, [document]);
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
            {name} contains{" "}
            {KINDS.map(
              ([kind, label]) => `${many(document[kind]?.length ?? 0, label.slice(0, -1).toLowerCase())}`,
            ).join(", ")}
            . All of it is imported, or nothing.
          </p>
          {error && <Refusal error={error} />}
          {!error && !known && <Skeleton lines={4} />}
          {known && <Report document={document} known={known} problems={verdict.problems} />}
          <Verdicts verdict={verdict} shown={entriesOf(document).map((each) => each.path)} />
          <div class="actions spaced-top">
            <button
              type="button"
              class="primary"
              disabled={!verdict.isCurrent || verdict.problems.length > 0}
              onClick={run}
            >
              Import it
            </button>
            {verdict.isCurrent && verdict.problems.length > 0 && (
              <span class="quiet">
                {many(verdict.problems.length, "problem")} to be mended in the file; nothing was imported.
              </span>
            )}
          </div>
        </>
      )}
    </Panel>
  );
}

/** The document of an export, bare or as the body of an import. Raises Error. */
function documentOf(text: string): Document {
  const read = JSON.parse(text);
  const found = read?.import ?? read;
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw new Error("it is no JSON object");
  for (const [kind] of KINDS) {
    const entries = found[kind] ?? [];
    if (!Array.isArray(entries) || entries.some((each) => typeof each !== "object" || each === null))
      throw new Error(`${kind} is no list of objects`);
  }
  return found;
}

interface Entry {
  kind: (typeof KINDS)[number][0];
  noun: string;
  /** As the API names it. */
  path: string;
  definition: Definition;
}

function entriesOf(document: Document): Entry[] {
  return [...KINDS].reverse().flatMap(([kind, label]) =>
    (document[kind] ?? []).map((definition, place) => ({
      kind,
      noun: label.slice(0, -1),
      path: `import.${kind}[${place}]`,
      definition,
    })),
  );
}

interface ReportProps {
  document: Document;
  /** What is there now. */
  known: Document;
  problems: readonly Problem[];
}

/** What would become of each definition. What is as it was is only counted. */
function Report({ document, known, problems }: ReportProps) {
  const judged = entriesOf(document).map((entry) => ({
    ...entry,
    wrong: problemsOf(problems, entry.path),
    change: changeOf(entry.definition, known[entry.kind] ?? []),
  }));
  const shown = judged.filter((each) => each.wrong.length || each.change !== "same");
  const same = judged.length - shown.length;
  return (
    <>
      <ul class="report" aria-label="What an import would do">
        {shown.map(({ path, noun, definition, wrong, change: made }) => (
          <li key={path}>
            <Health tone={wrong.length ? "bad" : made === "new" ? "good" : "waiting"}>
              {wrong.length ? "Wrong" : made === "new" ? "New" : "Changed"}
            </Health>
            <div>
              <strong>{[definition.name, definition.version].filter(Boolean).join(" ")}</strong>{" "}
              <span class="quiet">{noun.toLowerCase()}</span>
              {wrong.map((each) => (
                <p key={each.path + each.message} class="verdict verdict-bad">
                  <code>{each.path.slice(path.length).replace(/^\./, "") || path}</code> {each.message}
                </p>
              ))}
              {typeof made === "object" && (
                <details>
                  <summary>What changes: {Object.keys(made.after).join(", ")}</summary>
                  <Difference caption={`What changes of ${definition.name}`} before={made.before} after={made.after} />
                </details>
              )}
            </div>
          </li>
        ))}
      </ul>
      {same > 0 && <p class="quiet">{same === 1 ? "One is" : `${same} are`} here already, and the same.</p>}
    </>
  );
}

type Change = "new" | "same" | { before: Record<string, unknown>; after: Record<string, unknown> };

/** Fields that the definition leaves out keep what they have. */
function changeOf(definition: Definition, known: readonly Definition[]): Change {
  const old = known.find((each) => each.name === definition.name && each.version === definition.version);
  if (!old) return "new";
  const fields = Object.keys(definition).filter(
    (field) => JSON.stringify(sorted(definition[field])) !== JSON.stringify(sorted(old[field])),
  );
  if (!fields.length) return "same";
  const only = (from: Definition) => Object.fromEntries(fields.map((field) => [field, sorted(from[field])]));
  return { before: only(old), after: only(definition) };
}

/** In an order of keys that does not depend on who wrote it. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
