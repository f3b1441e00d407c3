// One recipe type: its graph, drawn and validated as one types its definition.
import { useState } from "preact/hooks";
import { go, to } from "../core/address";
import { change, get, type Page as Rows } from "../core/api";
import { useLive } from "../core/live";
import { attempt } from "../core/toasts";
import type { JobType, RecipeDefinition, RecipeTypeDetails } from "../core/types";
import { EditorForm, problemsOf, TextField, useValidation, Verdicts } from "../parts/form";
import { Graph } from "../parts/graph";
import { Page, Panel, Refusal, Skeleton } from "../parts/page";
import { graphOf } from "./recipe";

interface Draft {
  name: string;
  version: string;
  title: string;
  description: string;
  definition: string;
  rule: string;
}

const START: Draft = {
  name: "",
  version: "1.0",
  title: "",
  description: "",
  definition: JSON.stringify({ version: "1.0", input_data: [{ name: "input", type: "file" }], jobs: [] }, null, 2),
  rule: "",
};
const UP: [string, string] = ["Recipe types", to("/recipe-types")];

export default function RecipeType({ id }: { id?: string }) {
  const live = useLive<RecipeTypeDetails>(id ? `/recipe-types/${id}/` : null, 0);
  if (!id) return <Editor />;
  if (live.data) return <Editor key={live.data.last_modified} type={live.data} etag={live.etag} reload={live.reload} />;
  return (
    <Page title={`Recipe type ${id}`} up={UP}>
      {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
    </Page>
  );
}

interface EditorProps {
  type?: RecipeTypeDetails;
  etag?: string | null;
  reload?: () => Promise<void>;
}

function Editor({ type, etag, reload }: EditorProps) {
  const [draft, setDraft] = useState<Draft>(() => (type ? draftOf(type) : START));
  const [isDirty, setDirty] = useState(!type);
  const set = (changes: Partial<Draft>): void => {
    setDirty(true);
    setDraft({ ...draft, ...changes });
  };
  const definition = parsed<RecipeDefinition>(draft.definition);
  const rule = draft.rule.trim() ? parsed<object>(draft.rule) : null;
  const wrong = [
    ...(definition instanceof Error ? [{ path: "definition", message: `is not JSON: ${definition.message}` }] : []),
    ...(rule instanceof Error ? [{ path: "trigger_rule", message: `is not JSON: ${rule.message}` }] : []),
  ];
  const { name, version, title, description } = draft;
  const rest = { title: title || null, description: description || null, definition, trigger_rule: rule };
  const isReady = isDirty && !!name && wrong.length === 0;
  const verdict = useValidation("/recipe-types/validation/", isReady ? { name, version, ...rest } : null);
  const problems = [...wrong, ...(isReady ? verdict.problems : [])];
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    let made: RecipeTypeDetails | undefined;
    const isSaved = await attempt(type ? `${name} is saved` : `${name} ${version} is made`, async () => {
      made = type
        ? await change<RecipeTypeDetails>("PATCH", `/recipe-types/${type.id}/`, rest, etag)
        : await change<RecipeTypeDetails>("POST", "/recipe-types/", { name, version, ...rest });
    });
    if (!isSaved || !made) return;
    if (type) await reload?.();
    else go(to(`/recipe-types/${made.id}`), { replace: true });
  };
  return (
    <Page
      title={type ? type.title || type.name : "New recipe type"}
      up={UP}
      aside={type && <span class="quiet">{`${type.version}, revision ${type.revision_num}`}</span>}
      lead={type?.description ?? undefined}
      actions={
        type && (
          <a class="button" href={to("/recipes", { type_id: type.id })}>
            Its recipes
          </a>
        )
      }
    >
      <Panel title="Graph" class="spaced" aside={isDirty ? "as you type it" : undefined}>
        <Drawn definition={definition} problems={problems} />
      </Panel>
      <EditorForm problems={problems} isDirty={isDirty} onSave={save}>
        <div class="editor-form">
          <Panel title="Definition">
            <div class="fields">
              {!type && (
                <TextField
                  label="Name"
                  path="name"
                  value={name}
                  onValue={(value) => set({ name: value })}
                  isRequired
                  hint="By which programs know it; it stays."
                />
              )}
              {!type && (
                <TextField
                  label="Version"
                  path="version"
                  value={version}
                  onValue={(value) => set({ version: value })}
                  isRequired
                />
              )}
              <TextField label="Title" path="title" value={title} onValue={(value) => set({ title: value })} />
              <TextField
                label="Description"
                path="description"
                value={description}
                onValue={(value) => set({ description: value })}
              />
              <TextField
                label="Graph"
                path="definition"
                value={draft.definition}
                onValue={(value) => set({ definition: value })}
                rows={20}
                isCode
                class="field-wide"
                hint="Its inputs, its jobs, and what depends on what."
              />
              <TextField
                label="Trigger rule"
                path="trigger_rule"
                value={draft.rule}
                onValue={(value) => set({ rule: value })}
                rows={5}
                isCode
                class="field-wide"
                hint="Which files start it; empty: none."
              />
            </div>
          </Panel>
        </div>
        <div class="editor-side">
          <AddJob
            definition={definition instanceof Error ? null : definition}
            onAdd={(next) => set({ definition: JSON.stringify(next, null, 2) })}
          />
          {isDirty && (
            <Panel title="What Scale says to it">
              {!name ? (
                <p class="quiet">Give it a name.</p>
              ) : wrong.length ? (
                <p class="verdict verdict-bad">What is marked cannot be read.</p>
              ) : (
                <Verdicts
                  verdict={verdict}
                  shown={["name", "version", "title", "description", "definition", "trigger_rule"]}
                />
              )}
              <div class="actions spaced-top">
                <button type="submit" class="primary" disabled={problems.length > 0 || !isReady || !verdict.isCurrent}>
                  {type ? "Save" : "Make it"}
                </button>
              </div>
            </Panel>
          )}
        </div>
      </EditorForm>
    </Page>
  );
}

function Drawn({
  definition,
  problems,
}: {
  definition: RecipeDefinition | Error;
  problems: readonly { path: string; message: string }[];
}) {
  if (definition instanceof Error || !Array.isArray(definition.jobs))
    return <p class="quiet">It is drawn once its definition can be read.</p>;
  if (!definition.jobs.length) return <p class="quiet">There is no job in it yet: add one below.</p>;
  const jobs = definition.jobs.filter((job) => job?.name && job.job_type);
  const { nodes, edges } = graphOf({ ...definition, jobs });
  const wrong = new Set(
    definition.jobs
      .filter((_, place) => problemsOf(problems, `definition.jobs[${place}]`).length)
      .map((job) => job.name),
  );
  return (
    <Graph
      caption="What depends on what"
      nodes={nodes.map((node) => ({ ...node, isWrong: wrong.has(node.id) }))}
      edges={edges}
    />
  );
}

/** Puts a job into the definition, with its inputs connected to what fits by media type. */
function AddJob({
  definition,
  onAdd,
}: {
  definition: RecipeDefinition | null;
  onAdd: (next: RecipeDefinition) => void;
}) {
  const types = useLive<Rows<JobType>>("/job-types/?order=name&page_size=1000", 0).data?.results.filter(
    (type) => !type.is_system && type.is_active,
  );
  const [chosen, setChosen] = useState("");
  const [after, setAfter] = useState("");
  const add = async (): Promise<void> => {
    const type = types?.find((each) => String(each.id) === chosen);
    if (!type || !definition) return;
    await attempt(`${type.title || type.name} is put into the graph`, async () => {
      const details = await get<{ interface: { input_data?: { name: string; type: string }[] } }>(
        `/job-types/${type.id}/`,
      );
      const before = definition.jobs.find((job) => job.name === after);
      const outputs = before ? await outputsOf(before, types ?? []) : [];
      const input = (details.interface.input_data ?? []).find((each) => each.type !== "property");
      const name = free(type.name, definition);
      const own = definition.input_data?.[0]?.name;
      const job = {
        name,
        job_type: { name: type.name, version: type.version },
        recipe_inputs: !before && input && own ? [{ recipe_input: own, job_input: input.name }] : [],
        dependencies: before
          ? [{ name: before.name, connections: input && outputs[0] ? [{ output: outputs[0], input: input.name }] : [] }]
          : [],
      };
      onAdd({ ...definition, jobs: [...definition.jobs, job] });
      setAfter(name);
    });
  };
  return (
    <Panel title="Add a job">
      <div class="fields">
        <label class="field">
          <span>Job type</span>
          <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
            <option value="">Choose one</option>
            {types?.map((type) => (
              <option key={type.id} value={String(type.id)}>
                {type.title || type.name} {type.version}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>After</span>
          <select value={after} onChange={(event) => setAfter(event.currentTarget.value)}>
            <option value="">the recipe's own inputs</option>
            {definition?.jobs?.map((job) => (
              <option key={job.name} value={job.name}>
                {job.name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <p class="spaced-top">
        <button type="button" disabled={!chosen || !definition} onClick={add}>
          Add it
        </button>
      </p>
    </Panel>
  );
}

async function outputsOf(job: RecipeDefinition["jobs"][number], types: readonly JobType[]): Promise<string[]> {
  const type = types.find((each) => each.name === job.job_type.name && each.version === job.job_type.version);
  if (!type) return [];
  const details = await get<{ interface: { output_data?: { name: string }[] } }>(`/job-types/${type.id}/`);
  return (details.interface.output_data ?? []).map((each) => each.name);
}

function free(name: string, definition: RecipeDefinition): string {
  const taken = new Set(definition.jobs.map((job) => job.name));
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}-${number}`)) number += 1;
  return `${name}-${number}`;
}

function parsed<T>(text: string): T | Error {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : new Error("an object is wanted");
  } catch (error) {
    return error as Error;
  }
}

function draftOf(type: RecipeTypeDetails): Draft {
  const rule = type.trigger_rule;
  return {
    name: type.name,
    version: type.version,
    title: type.title ?? "",
    description: type.description ?? "",
    definition: JSON.stringify(type.definition, null, 2),
    rule: rule
      ? JSON.stringify(
          { type: rule.type, name: rule.name, is_active: rule.is_active, configuration: rule.configuration },
          null,
          2,
        )
      : "",
  };
}
