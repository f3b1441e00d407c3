// One workspace: where its files lie, and how they are reached. Credentials are references, never values.
import { useEffect, useState } from "preact/hooks";
import { go, to } from "../core/address";
import { change } from "../core/api";
import { useLive } from "../core/live";
import { may } from "../core/session";
import { attempt } from "../core/toasts";
import type { WorkspaceDetails } from "../core/types";
import { bodyOf, type Draft, draftOf, KINDS, type Kind, NEW } from "../parts/brokers";
import { EditorForm, Judgement, SelectField, TextField, useValidation } from "../parts/form";
import { Fact, Facts, None, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Health } from "../parts/status";
import { Moment, Time } from "../parts/time";
import { Used } from "./workspaces";

const UP: [string, string] = ["Workspaces", to("/workspaces")];
const SHOWN = ["name", "title", "description", "base_url", "is_active", "json_config.broker"];

export default function Workspace({ id }: { id?: string }) {
  const live = useLive<WorkspaceDetails>(id ? `/workspaces/${id}/` : null, 10);
  if (!id) return <Editor />;
  if (!live.data)
    return (
      <Page title={`Workspace ${id}`} up={UP}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  if (!may("admin")) return <Shown workspace={live.data} />;
  return <Editor workspace={live.data} etag={live.etag} reload={live.reload} />;
}

/** For those who may look only. */
function Shown({ workspace }: { workspace: WorkspaceDetails }) {
  return (
    <Page title={workspace.title || workspace.name} up={UP} aside={<State workspace={workspace} />}>
      <Standing workspace={workspace} />
      <Panel title="Where its files lie">
        <section class="command" tabIndex={0} aria-label="Configuration of this workspace">
          <pre>{JSON.stringify(workspace.json_config, null, 2)}</pre>
        </section>
      </Panel>
    </Page>
  );
}

interface EditorProps {
  workspace?: WorkspaceDetails;
  etag?: string | null;
  reload?: () => Promise<void>;
}

function Editor({ workspace, etag, reload }: EditorProps) {
  const [draft, setDraft] = useState<Draft>(() => (workspace ? draftOf(workspace) : NEW));
  const [edited, setEdited] = useState<string | null>(null); // the version that was begun with
  const isDirty = edited !== null || !workspace;
  useEffect(() => {
    if (workspace && !isDirty) setDraft(draftOf(workspace));
  }, [workspace, isDirty]);
  const set = (changes: Partial<Draft>): void => {
    setDraft({ ...draft, ...changes });
    setEdited((known) => known ?? etag ?? "");
  };
  const kind = KINDS[draft.kind] as Kind;
  const body = bodyOf(draft, kind);
  const isReady = isDirty && !!draft.name && kind.fields.every((each) => !each.isRequired || draft.fields[each.name]);
  const verdict = useValidation("/workspaces/validation/", isReady ? body : null);
  const problems = isReady ? verdict.problems : [];
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const { name, ...rest } = body;
    let made: WorkspaceDetails | undefined;
    const isSaved = await attempt(workspace ? `${name} is saved` : `${name} is made`, async () => {
      made = workspace
        ? await change<WorkspaceDetails>("PATCH", `/workspaces/${workspace.id}/`, rest, edited)
        : await change<WorkspaceDetails>("POST", "/workspaces/", body);
    });
    if (!isSaved || !made) return;
    setEdited(null);
    if (workspace) await reload?.();
    else go(to(`/workspaces/${made.id}`), { replace: true });
  };
  return (
    <Page
      title={workspace ? workspace.title || workspace.name : "New workspace"}
      up={UP}
      aside={workspace && <State workspace={workspace} />}
    >
      {workspace && <Standing workspace={workspace} />}
      <EditorForm problems={problems} isDirty={edited !== null} onSave={save}>
        <div class="editor-form">
          <Panel title="What it is">
            <div class="fields">
              {!workspace && (
                <TextField
                  label="Name"
                  path="name"
                  value={draft.name}
                  onValue={(name) => set({ name })}
                  isRequired
                  maxLength={50}
                  hint="By which Strikes and programs know it; it stays."
                />
              )}
              <TextField
                label="Title"
                path="title"
                value={draft.title}
                onValue={(title) => set({ title })}
                maxLength={50}
              />
              <SelectField
                label="State"
                path="is_active"
                value={draft.isActive}
                onValue={(isActive) => set({ isActive })}
                options={[
                  { value: "true", label: "in use" },
                  { value: "false", label: "archived: takes no new files" },
                ]}
              />
              <TextField
                label="What it is for"
                path="description"
                value={draft.description}
                onValue={(description) => set({ description })}
                rows={2}
                maxLength={500}
                class="field-wide"
              />
            </div>
          </Panel>
          <Panel title="Where its files lie">
            <div class="fields">
              <SelectField
                label="Kind"
                path="json_config.broker.type"
                value={draft.kind}
                onValue={(kind) => set({ kind })}
                options={Object.entries(KINDS).map(([value, { label }]) => ({ value, label }))}
                class="field-wide"
              />
              {kind.fields.map((field) => (
                <TextField
                  key={field.name}
                  label={field.label}
                  path={`json_config.broker.${field.name}`}
                  hint={field.hint}
                  value={draft.fields[field.name] ?? ""}
                  onValue={(value) => set({ fields: { ...draft.fields, [field.name]: value } })}
                  isCode
                  isNumber={!!field.isNumber}
                  isRequired={!!field.isRequired}
                  placeholder={field.placeholder ?? ""}
                  class={field.isWide ? "field-wide" : ""}
                />
              ))}
              {draft.kind === "ftp" && (
                <SelectField
                  label="Encryption"
                  path="json_config.broker.tls"
                  value={draft.tls}
                  onValue={(tls) => set({ tls })}
                  options={[
                    { value: "true", label: "TLS" },
                    { value: "false", label: "none" },
                  ]}
                />
              )}
              <TextField
                label="Also served at"
                path="base_url"
                value={draft.base_url}
                onValue={(base_url) => set({ base_url })}
                isCode
                placeholder="https://files.example.org/products"
                hint="Downloads are then led there; empty: Scale serves them."
              />
            </div>
          </Panel>
          {kind.credentials.length > 0 && (
            <Panel title="Credentials" aside="where each lies; never the value">
              <div class="fields">
                {kind.credentials.map((each) => (
                  <ReferenceField
                    key={each.name}
                    label={each.label}
                    path={`json_config.broker.credentials.${each.name}`}
                    value={draft.references[each.name] ?? { kind: "", where: "" }}
                    onValue={(value) => set({ references: { ...draft.references, [each.name]: value } })}
                  />
                ))}
              </div>
            </Panel>
          )}
        </div>
        <div class="editor-side">
          {isDirty ? (
            <Judgement
              verdict={verdict}
              shown={SHOWN}
              missing={isReady ? undefined : "Give it a name, and say where its files lie."}
              verb={workspace ? "Save" : "Make it"}
              onDiscard={workspace && (() => setEdited(null))}
            />
          ) : (
            <Panel title="Editing">
              <p class="quiet">
                Whatever is changed is checked as it is typed. Files that are stored already stay where they are.
              </p>
            </Panel>
          )}
        </div>
      </EditorForm>
    </Page>
  );
}

function State({ workspace }: { workspace: WorkspaceDetails }) {
  return <Health tone={workspace.is_active ? "good" : "off"}>{workspace.is_active ? "In use" : "Archived"}</Health>;
}

function Standing({ workspace }: { workspace: WorkspaceDetails }) {
  return (
    <Panel class="spaced">
      <Facts>
        <Fact name="Name">
          <code>{workspace.name}</code>
        </Fact>
        <Fact name="Used">
          <Used workspace={workspace} />
        </Fact>
        <Fact name="Made">
          <Moment at={workspace.created} />
        </Fact>
        <Fact name="Changed">
          <Time at={workspace.last_modified} />
        </Fact>
        {workspace.archived && (
          <Fact name="Archived">
            <Time at={workspace.archived} />
          </Fact>
        )}
        <Fact name="Served at">
          {workspace.base_url ? <code>{workspace.base_url}</code> : <None>Scale itself</None>}
        </Fact>
      </Facts>
    </Panel>
  );
}

interface ReferenceProps {
  label: string;
  path: string;
  value: { kind: string; where: string };
  onValue: (value: { kind: string; where: string }) => void;
}

function ReferenceField({ label, path, value, onValue }: ReferenceProps) {
  const { kind, where } = value;
  return (
    <>
      <SelectField
        label={`${label} is in`}
        value={kind}
        onValue={(next) => onValue({ kind: next, where })}
        options={[
          { value: "", label: "nothing: none is needed" },
          { value: "env", label: "a variable" },
          { value: "file", label: "a file" },
        ]}
      />
      {kind ? (
        <TextField
          label={kind === "env" ? `${label}: variable` : `${label}: file`}
          path={path}
          value={where}
          onValue={(next) => onValue({ kind, where: next })}
          isCode
          isRequired
          placeholder={kind === "env" ? "SCALE_SECRET_…" : "/run/secrets/…"}
          hint={kind === "env" ? "Its name begins with SCALE_SECRET_." : "Readable for Scale on every machine."}
        />
      ) : (
        <span />
      )}
    </>
  );
}
