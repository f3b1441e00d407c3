// One recipe type: its graph, drawn and validated as one types its definition.
import { useState } from "preact/hooks";
import { go, to } from "../core/address";
import { change, type Problem } from "../core/api";
import { useLive } from "../core/live";
import { may } from "../core/session";
import { attempt } from "../core/toasts";
import type { RecipeDefinition, RecipeTypeDetails, RecipeTypeRevision } from "../core/types";
import { Builder } from "../parts/builder";
import { EditorForm, Judgement, problemsOf, TextField, useValidation } from "../parts/form";
import { Graph } from "../parts/graph";
import { Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Revisions } from "../parts/revisions";
import { RulePreview } from "../parts/rule-preview";
import { type Aspect, Versions } from "../parts/versions";
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
  if (live.data && !may("admin")) return <Shown type={live.data} />;
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
  const [isTyped, setTyped] = useState(false);
  const isDirty = isTyped || !type;
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const set = (changes: Partial<Draft>): void => {
    setTyped(true);
    setDraft({ ...draft, ...changes });
  };
  const definition = parsed<RecipeDefinition>(draft.definition);
  const rule = draft.rule.trim() ? parsed<object>(draft.rule) : null;
  const shown = drawable(definition);
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
      actions={type && <Actions type={type} />}
    >
      <Panel title="Graph" class="spaced" aside="A click on a job shows what feeds it">
        <Drawn definition={shown} problems={problems} chosen={chosen} onChoose={setChosen} />
      </Panel>
      <EditorForm problems={problems} isDirty={isTyped} onSave={save} class="is-built">
        <div class="editor-build">
          {shown && (
            <Builder
              definition={shown}
              chosen={chosen}
              onChoose={setChosen}
              onChange={(next) => set({ definition: JSON.stringify(next, null, 2) })}
            />
          )}
        </div>
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
            {type && rule && !(rule instanceof Error) && (
              <RulePreview rule={rule} target={{ recipe_type_id: type.id }} />
            )}
          </Panel>
        </div>
        <div class="editor-side">
          {isDirty && (
            <Judgement
              verdict={verdict}
              shown={["name", "version", "title", "description", "definition", "trigger_rule"]}
              missing={name ? undefined : "Give it a name."}
              isUnreadable={wrong.length > 0}
              verb={type ? "Save" : "Make it"}
            />
          )}
        </div>
      </EditorForm>
      {type && <Before type={type} />}
    </Page>
  );
}

function Actions({ type }: { type: RecipeTypeDetails }) {
  return (
    <>
      <a class="button" href={to("/recipes", { type_id: type.id })}>
        Its recipes
      </a>
      {type.is_active && may("operator") && (
        <a class="button" href={to(`/recipe-types/${type.id}/run`)}>
          Run it…
        </a>
      )}
    </>
  );
}

/** For those who may look only. */
function Shown({ type }: { type: RecipeTypeDetails }) {
  return (
    <Page
      title={type.title || type.name}
      up={UP}
      aside={<span class="quiet">{`${type.version}, revision ${type.revision_num}`}</span>}
      lead={type.description ?? undefined}
      actions={<Actions type={type} />}
    >
      <Panel title="Graph" class="spaced">
        <Drawn definition={drawable(type.definition)} problems={[]} />
      </Panel>
      <Before type={type} />
    </Page>
  );
}

const ASPECTS: readonly Aspect<RecipeTypeDetails>[] = [
  { name: "State", of: (type) => (type.is_active ? "In use" : "Switched off") },
  { name: "Jobs", of: (type) => String(type.definition.jobs.length) },
  { name: "Started by", of: (type) => (type.trigger_rule?.is_active ? `rule ${type.trigger_rule.name}` : "people") },
];

function Before({ type }: { type: RecipeTypeDetails }) {
  return (
    <div class="spaced-top">
      <Versions<RecipeTypeDetails>
        type={type}
        path="recipe-types"
        aspects={ASPECTS}
        document={({ definition, trigger_rule }) => ({
          definition,
          trigger_rule: trigger_rule && { type: trigger_rule.type, configuration: trigger_rule.configuration },
        })}
        picture={(each) => {
          const { nodes, edges } = graphOf(each.definition);
          return <Graph caption={`Graph of version ${each.version}`} nodes={nodes} edges={edges} />;
        }}
      />
      <Revisions<RecipeTypeRevision>
        key={type.revision_num}
        path={`/recipe-types/${type.id}/revisions/`}
        document={(revision) => revision.definition}
        noun="definition"
        picture={(revision) => {
          const { nodes, edges } = graphOf(revision.definition);
          return <Graph caption={`Graph of revision ${revision.revision_num}`} nodes={nodes} edges={edges} />;
        }}
      />
    </div>
  );
}

interface DrawnProps {
  definition: RecipeDefinition | null;
  problems: readonly Problem[];
  chosen?: string | undefined;
  onChoose?: (name: string) => void;
}

function Drawn({ definition, problems, chosen, onChoose }: DrawnProps) {
  if (!definition) return <p class="quiet">It is drawn once its definition can be read.</p>;
  if (!definition.jobs.length) return <p class="quiet">There is no job in it yet: add one below.</p>;
  const { nodes, edges } = graphOf(definition);
  const isWrong = (name: string, place: number): boolean =>
    [place, name].some((each) => problemsOf(problems, `definition.jobs[${each}]`).length > 0);
  const wrong = new Set(definition.jobs.filter((job, place) => isWrong(job.name, place)).map((job) => job.name));
  return (
    <Graph
      caption="What depends on what"
      nodes={nodes.map((node) => ({ ...node, isWrong: wrong.has(node.id) }))}
      edges={edges}
      chosen={chosen}
      onChoose={onChoose}
    />
  );
}

/** The definition as far as it can be drawn; null where it cannot. */
function drawable(definition: RecipeDefinition | Error): RecipeDefinition | null {
  if (definition instanceof Error || !Array.isArray(definition.jobs)) return null;
  if (definition.input_data !== undefined && !Array.isArray(definition.input_data)) return null;
  return { ...definition, jobs: definition.jobs.filter((job) => job?.name && job.job_type) };
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
