// Running something by hand: a form made from what it asks for.
import { useMemo, useState } from "preact/hooks";
import { ApiError, type Problem, queue, type Page as Rows } from "../core/api";
import { useLive } from "../core/live";
import { done, failed } from "../core/toasts";
import type { InterfaceInput, ScaleFile, Workspace } from "../core/types";
import { FileField } from "./file-field";
import { EditorForm, SelectField, TextField, Verdicts } from "./form";
import { Panel } from "./page";

type Given = { name: string } & ({ value: string } | { file_id: number } | { file_ids: number[] });

interface RunFormProps<Made> {
  inputs: readonly InterfaceInput[];
  /** Whether files are made that have to be stored somewhere. */
  hasOutputs: boolean;
  /** Of the API: what is asked to queue it. */
  path: string;
  body: (inputs: readonly Given[], workspace: number | null) => unknown;
  /** The document that names the inputs, as the API names it. */
  document: "job_data" | "recipe_data";
  verb: string;
  said: (made: Made) => string;
  onMade: (made: Made) => void;
}

export function RunForm<Made>(props: RunFormProps<Made>) {
  const { inputs, hasOutputs, path, body, document, verb, said, onMade } = props;
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [files, setFiles] = useState<Record<string, readonly ScaleFile[]>>({});
  const [chosen, setChosen] = useState("");
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [isBusy, setBusy] = useState(false);
  const workspaces = useLive<Rows<Workspace>>("/workspaces/?order=name&page_size=1000", 0).data?.results.filter(
    (each) => each.is_active,
  );
  const workspace = chosen || String((workspaces?.length === 1 && workspaces[0]?.id) || "");
  const given = inputs.flatMap((input) => givenOf(input, texts[input.name] ?? "", files[input.name] ?? []));
  const sent = body(given, hasOutputs && workspace ? Number(workspace) : null);
  const key = useMemo(newKey, [JSON.stringify(sent)]); // what was sent already is not queued a second time
  const isMissing =
    inputs.some((input) => input.required !== false && !given.some((each) => each.name === input.name)) ||
    (hasOutputs && !workspace);
  const touch = (): void => setProblems([]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      const made = await queue<Made>(path, sent, key);
      done(said(made));
      onMade(made);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.problems.length)
        setProblems(error.problems.map((each) => ({ ...each, path: each.path.replace(`${document}.`, "") })));
      else failed("It is not queued", error);
    } finally {
      setBusy(false);
    }
  };
  const named = (input: InterfaceInput): string => `${input.name}${input.required === false ? " (optional)" : ""}`;
  return (
    <EditorForm problems={problems} isDirty={given.length > 0 && !isBusy} onSave={submit}>
      <div class="editor-form">
        <Panel title="What it is given">
          <div class="fields">
            {!inputs.length && <p class="quiet">It takes no inputs.</p>}
            {inputs.map((input) =>
              input.type === "property" ? (
                <TextField
                  key={input.name}
                  label={named(input)}
                  path={`input_data[${input.name}]`}
                  value={texts[input.name] ?? ""}
                  onValue={(text) => {
                    touch();
                    setTexts({ ...texts, [input.name]: text });
                  }}
                  isRequired={input.required !== false}
                  class="field-wide"
                />
              ) : (
                <FileField
                  key={input.name}
                  label={named(input)}
                  path={`input_data[${input.name}]`}
                  files={files[input.name] ?? []}
                  onFiles={(next) => {
                    touch();
                    setFiles({ ...files, [input.name]: next });
                  }}
                  hasSeveral={input.type === "files"}
                  mediaTypes={input.media_types ?? []}
                />
              ),
            )}
            {hasOutputs && (
              <SelectField
                label="Workspace for what it makes"
                path={document === "job_data" ? "output_data" : "workspace_id"}
                value={workspace}
                onValue={(value) => {
                  touch();
                  setChosen(value);
                }}
                options={[
                  { value: "", label: "Choose one" },
                  ...(workspaces ?? []).map((each) => ({ value: String(each.id), label: each.title || each.name })),
                ]}
                class="field-wide"
              />
            )}
          </div>
        </Panel>
      </div>
      <div class="editor-side">
        <Panel title="Put it on the queue">
          {problems.length > 0 ? (
            <Verdicts
              verdict={{ problems, warnings: [], isCurrent: true }}
              shown={["input_data", "output_data", "workspace_id"]}
            />
          ) : (
            <p class="quiet">
              {isMissing ? "Something that it needs is not given yet." : "All that it needs is given."}
            </p>
          )}
          <div class="actions spaced-top">
            <button type="submit" class="primary" disabled={isMissing || isBusy || problems.length > 0}>
              {isBusy ? "One moment…" : verb}
            </button>
          </div>
        </Panel>
      </div>
    </EditorForm>
  );
}

/** Nothing for an input that was left out. */
function givenOf({ name, type }: InterfaceInput, text: string, files: readonly ScaleFile[]): Given[] {
  if (type === "property") return text ? [{ name, value: text }] : [];
  const ids = files.map((file) => file.id);
  const [first] = ids;
  if (first === undefined) return [];
  return type === "files" ? [{ name, file_ids: ids }] : [{ name, file_id: first }];
}

function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
