// The editor of job types: validated by the API as one types, with its warnings before anything is saved.
import { useState } from "preact/hooks";
import { go, to } from "../core/address";
import { change } from "../core/api";
import { useLive } from "../core/live";
import { attempt } from "../core/toasts";
import type { JobTypeDetails } from "../core/types";
import { EditorForm, Judgement, TextField, useValidation } from "../parts/form";
import { Page, Panel, Refusal, Skeleton } from "../parts/page";
import { RulePreview } from "../parts/rule-preview";

const NEW_INTERFACE = {
  version: "1.0",
  command: "python run.py",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Scale fills it in
  command_arguments: "${input} ${job_output_dir}",
  input_data: [{ name: "input", type: "file", media_types: ["text/plain"] }],
  output_data: [{ name: "output", type: "file", media_type: "text/plain" }],
};
const TEXTS = ["name", "version", "title", "description", "category", "author_name", "docker_image"] as const;
const NUMBERS = [
  "priority",
  "timeout",
  "max_tries",
  "max_scheduled",
  "cpus_required",
  "mem_required",
  "disk_out_const_required",
  "disk_out_mult_required",
  "gpus_required",
] as const;
const DOCUMENTS = ["interface", "error_mapping", "trigger_rule"] as const;
const LABELS: Record<string, string> = {
  name: "Name",
  version: "Version",
  title: "Title",
  description: "Description",
  category: "Category",
  author_name: "Author",
  docker_image: "Docker image",
  priority: "Priority",
  timeout: "Timeout in seconds",
  max_tries: "Tries",
  max_scheduled: "At once at most",
  cpus_required: "CPUs",
  mem_required: "Memory in MiB",
  disk_out_const_required: "Disk for outputs in MiB",
  disk_out_mult_required: "and times its inputs",
  gpus_required: "GPUs",
  interface: "Interface",
  error_mapping: "Error mapping",
  trigger_rule: "Trigger rule",
};
const HINTS: Record<string, string> = {
  name: "By which recipes and programs know it; it stays.",
  docker_image: "Without one the command is run as it is.",
  priority: "A smaller number starts earlier.",
  max_scheduled: "Empty: as many as fit.",
  interface: "Command, arguments, inputs and outputs.",
  error_mapping: "Exit codes and the names of errors; empty: none.",
  trigger_rule: "Which files start it; empty: none.",
};
type Draft = Record<string, string>;

const START: Draft = {
  name: "",
  version: "1.0",
  priority: "100",
  timeout: "1800",
  max_tries: "3",
  cpus_required: "1",
  mem_required: "64",
  disk_out_const_required: "64",
  disk_out_mult_required: "0",
  gpus_required: "0",
  interface: JSON.stringify(NEW_INTERFACE, null, 2),
};

export default function JobTypeEdit({ id }: { id?: string }) {
  const live = useLive<JobTypeDetails>(id ? `/job-types/${id}/` : null, 0);
  if (!id) return <Editor />;
  if (live.data) return <Editor type={live.data} etag={live.etag} />;
  return (
    <Page title={`Job type ${id}`} up={["Job types", to("/job-types")]}>
      {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
    </Page>
  );
}

function Editor({ type, etag }: { type?: JobTypeDetails; etag?: string | null }) {
  const [draft, setDraft] = useState<Draft>(() => (type ? draftOf(type) : START));
  const [isDirty, setDirty] = useState(false);
  const { body, wrong } = bodyOf(draft, type);
  const isReady = !!draft.name && wrong.length === 0;
  const verdict = useValidation("/job-types/validation/", isReady ? body : null);
  const problems = [...wrong, ...(isReady ? verdict.problems : [])];
  const field = (
    name: string,
    more: { rows?: number; isCode?: boolean; class?: string; isNumber?: boolean; isRequired?: boolean } = {},
  ) => (
    <TextField
      key={name}
      label={LABELS[name] ?? name}
      path={name}
      hint={HINTS[name]}
      value={draft[name] ?? ""}
      onValue={(value) => {
        setDirty(true);
        setDraft({ ...draft, [name]: value });
      }}
      {...more}
    />
  );
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const { name, version, ...rest } = body;
    let made: JobTypeDetails | undefined;
    const isSaved = await attempt(type ? `${name} is saved` : `${name} ${version} is made`, async () => {
      made = type
        ? await change<JobTypeDetails>("PATCH", `/job-types/${type.id}/`, rest, etag)
        : await change<JobTypeDetails>("POST", "/job-types/", body);
    });
    if (!isSaved || !made) return;
    setDirty(false);
    go(to(`/job-types/${made.id}`), { replace: true });
  };
  return (
    <Page
      title={type ? `Edit ${type.title || type.name}` : "New job type"}
      up={type ? [type.title || type.name, to(`/job-types/${type.id}`)] : ["Job types", to("/job-types")]}
      lead={type && "Jobs that are queued already keep the interface that they were queued with."}
    >
      <EditorForm problems={problems} isDirty={isDirty} onSave={save}>
        <div class="editor-form">
          <Panel title="What it is">
            <div class="fields">
              {!type && field("name", { isRequired: true })}
              {!type && field("version", { isRequired: true })}
              {field("title")}
              {field("category")}
              {field("author_name")}
              {field("docker_image", { isCode: true })}
              {field("description", { rows: 2, class: "field-wide" })}
            </div>
          </Panel>
          <Panel title="What goes in, what comes out, and how it is called">
            <div class="fields">
              {field("interface", { rows: 18, isCode: true, class: "field-wide" })}
              {field("error_mapping", { rows: 5, isCode: true, class: "field-wide" })}
              {field("trigger_rule", { rows: 6, isCode: true, class: "field-wide" })}
            </div>
            {type && typeof body.trigger_rule === "object" && body.trigger_rule && (
              <RulePreview rule={body.trigger_rule} target={{ job_type_id: type.id }} />
            )}
          </Panel>
          <Panel title="What it needs">
            <div class="fields">{NUMBERS.map((name) => field(name, { isNumber: true }))}</div>
          </Panel>
        </div>
        <div class="editor-side">
          <Judgement
            verdict={verdict}
            shown={Object.keys(LABELS)}
            missing={draft.name ? undefined : "Give it a name."}
            isUnreadable={wrong.length > 0}
            verb={type ? "Save" : "Make it"}
          />
        </div>
      </EditorForm>
    </Page>
  );
}

function draftOf(type: JobTypeDetails): Draft {
  const draft: Draft = {};
  for (const name of [...TEXTS, ...NUMBERS]) draft[name] = String(type[name] ?? "");
  draft.interface = JSON.stringify(type.interface, null, 2);
  draft.error_mapping = Object.keys(type.error_mapping.exit_codes ?? {}).length
    ? JSON.stringify(type.error_mapping, null, 2)
    : "";
  const rule = type.trigger_rule;
  draft.trigger_rule = rule
    ? JSON.stringify(
        { type: rule.type, name: rule.name, is_active: rule.is_active, configuration: rule.configuration },
        null,
        2,
      )
    : "";
  return draft;
}

/** What is sent, and what of the draft cannot even be read. */
function bodyOf(draft: Draft, type: JobTypeDetails | undefined) {
  const body: Record<string, unknown> = {};
  const wrong: { path: string; message: string }[] = [];
  for (const name of TEXTS) if (draft[name] || type) body[name] = draft[name] || null;
  for (const name of NUMBERS) {
    const text = (draft[name] ?? "").trim();
    if (!text) {
      if (name === "max_scheduled") body[name] = null;
      continue;
    }
    const value = Number(text);
    if (Number.isNaN(value)) wrong.push({ path: name, message: "is not a number" });
    else body[name] = value;
  }
  for (const name of DOCUMENTS) {
    const text = (draft[name] ?? "").trim();
    if (!text) {
      if (type && name !== "interface") body[name] = null;
      continue;
    }
    try {
      body[name] = JSON.parse(text);
    } catch (error) {
      wrong.push({ path: name, message: `is not JSON: ${(error as Error).message}` });
    }
  }
  return { body, wrong };
}
