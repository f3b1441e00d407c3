// One Strike: where it looks, and what it does with which names. Its expressions are tried on real names as one types.
import { useEffect, useMemo, useState } from "preact/hooks";
import { go, to } from "../core/address";
import { change, type Page as Rows } from "../core/api";
import { count } from "../core/format";
import { useLive } from "../core/live";
import { attempt } from "../core/toasts";
import type { Ingest, StrikeDetails, StrikeRule, Workspace } from "../core/types";
import { EditorForm, Judgement, SelectField, TextField, useValidation } from "../parts/form";
import { Empty, Fact, Facts, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Moment, Time } from "../parts/time";
import { StrikeState } from "./strikes";

interface Draft {
  name: string;
  title: string;
  description: string;
  mount: string;
  suffix: string;
  rules: StrikeRule[];
}

const NEW_RULE: StrikeRule = { filename_regex: ".*", data_types: [], workspace_path: "", workspace_name: "" };
const NEW: Draft = { name: "", title: "", description: "", mount: "", suffix: "_tmp", rules: [NEW_RULE] };
const DUPLICATES = [
  { value: "set_aside", label: "set aside" },
  { value: "discard", label: "discarded" },
  { value: "keep", label: "kept beside it" },
  { value: "replace", label: "put in its place" },
];
const UP: [string, string] = ["Strikes", to("/strikes")];

export default function Strike({ id }: { id?: string }) {
  const live = useLive<StrikeDetails>(id ? `/strikes/${id}/` : null, 5);
  if (!id) return <Editor />;
  if (!live.data)
    return (
      <Page title={`Strike ${id}`} up={UP}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  return <Editor strike={live.data} etag={live.etag} reload={live.reload} />;
}

interface EditorProps {
  strike?: StrikeDetails;
  etag?: string | null;
  reload?: () => Promise<void>;
}

function Editor({ strike, etag, reload }: EditorProps) {
  const [draft, setDraft] = useState<Draft>(() => (strike ? draftOf(strike) : NEW));
  const [edited, setEdited] = useState<string | null>(null); // the version that was begun with
  const workspaces = useLive<Rows<Workspace>>("/workspaces/?order=name&page_size=1000", 0).data?.results;
  const isDirty = edited !== null || !strike;
  useEffect(() => {
    if (strike && !isDirty) setDraft(draftOf(strike));
  }, [strike, isDirty]);
  useEffect(() => {
    const first = workspaces?.[0]?.name;
    if (!strike && first)
      setDraft((now) => ({
        ...now,
        rules: now.rules.map((rule) => ({ ...rule, workspace_name: rule.workspace_name || first })),
      }));
  }, [strike, workspaces]);
  const set = (changes: Partial<Draft>): void => {
    setDraft({ ...draft, ...changes });
    setEdited((known) => known ?? etag ?? "");
  };
  const setRule = (place: number, changes: Partial<StrikeRule>): void =>
    set({ rules: draft.rules.map((rule, other) => (other === place ? { ...rule, ...changes } : rule)) });
  const body = bodyOf(draft);
  const verdict = useValidation("/strikes/validation/", isDirty && draft.name ? body : null);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const { name, ...rest } = body;
    let made: StrikeDetails | undefined;
    const isSaved = await attempt(strike ? `${name} is saved` : `${name} is watched from now on`, async () => {
      made = strike
        ? await change("PATCH", `/strikes/${strike.id}/`, rest, edited)
        : await change<StrikeDetails>("POST", "/strikes/", body);
    });
    if (!isSaved) return;
    setEdited(null);
    if (strike) await reload?.();
    else if (made) go(to(`/strikes/${made.id}`), { replace: true });
  };
  const { problems } = verdict;
  const rulesPath = "configuration.files_to_ingest";
  return (
    <Page
      title={strike ? strike.title || strike.name : "New Strike"}
      up={UP}
      aside={strike && <StrikeState strike={strike} />}
      actions={
        strike && (
          <a class="button" href={to("/ingests", { strike_id: strike.id })}>
            Files taken in
          </a>
        )
      }
    >
      {strike && <Standing strike={strike} />}
      <EditorForm problems={problems} isDirty={edited !== null} onSave={save}>
        <div class="editor-form">
          <Panel title="What it watches">
            <div class="fields">
              {!strike && (
                <TextField
                  label="Name"
                  path="name"
                  value={draft.name}
                  onValue={(name) => set({ name })}
                  isRequired
                  maxLength={50}
                  hint="By which programs know it; it stays."
                />
              )}
              <TextField
                label="Title"
                path="title"
                value={draft.title}
                onValue={(title) => set({ title })}
                maxLength={50}
              />
              <TextField
                label="Directory"
                path="configuration.mount"
                value={draft.mount}
                onValue={(mount) => set({ mount })}
                isRequired
                isCode
                placeholder="localhost:/data/incoming"
                hint="The host that has it, a colon, its path"
                class="field-wide"
              />
              <TextField
                label="Suffix while a file is transferred"
                path="configuration.transfer_suffix"
                value={draft.suffix}
                onValue={(suffix) => set({ suffix })}
                isRequired
                isCode
                hint="A file is whole once its name has lost it."
              />
              <TextField
                label="Description"
                path="description"
                value={draft.description}
                onValue={(description) => set({ description })}
                rows={2}
                class="field-wide"
              />
            </div>
          </Panel>
          {draft.rules.map((rule, place) => (
            <Panel
              key={place}
              title={`Rule ${place + 1}`}
              aside={
                draft.rules.length > 1 && (
                  <button
                    type="button"
                    class="slim"
                    onClick={() => set({ rules: draft.rules.filter((_, other) => other !== place) })}
                  >
                    Remove<span class="unseen"> rule {place + 1}</span>
                  </button>
                )
              }
            >
              <div class="fields">
                <TextField
                  label="Names that begin as"
                  path={`${rulesPath}[${place}].filename_regex`}
                  value={rule.filename_regex}
                  onValue={(filename_regex) => setRule(place, { filename_regex })}
                  isRequired
                  isCode
                  class="field-wide"
                  hint="A regular expression; end it with $ to take whole names only."
                />
                <SelectField
                  label="Workspace"
                  path={`${rulesPath}[${place}].workspace_name`}
                  value={rule.workspace_name}
                  onValue={(workspace_name) => setRule(place, { workspace_name })}
                  options={(workspaces ?? []).map((each) => ({ value: each.name, label: each.title || each.name }))}
                />
                <TextField
                  label="Path in it"
                  path={`${rulesPath}[${place}].workspace_path`}
                  value={rule.workspace_path}
                  onValue={(workspace_path) => setRule(place, { workspace_path })}
                  isCode
                  placeholder="landsat/raw"
                />
                <TextField
                  label="Data types"
                  path={`${rulesPath}[${place}].data_types`}
                  value={rule.data_types.join(", ")}
                  onValue={(text) =>
                    setRule(place, {
                      data_types: text.split(/\s*,\s*/).filter((each, at, list) => each || at === list.length - 1),
                    })
                  }
                  placeholder="elevation, png"
                  hint="Trigger rules ask for them; with commas between."
                />
                <SelectField
                  label="What is there already is"
                  path={`${rulesPath}[${place}].duplicates`}
                  value={rule.duplicates ?? "set_aside"}
                  onValue={(duplicates) => setRule(place, { duplicates })}
                  options={DUPLICATES}
                />
              </div>
            </Panel>
          ))}
          <button
            type="button"
            onClick={() =>
              set({ rules: [...draft.rules, { ...NEW_RULE, workspace_name: draft.rules[0]?.workspace_name ?? "" }] })
            }
          >
            Add a rule
          </button>
        </div>
        <div class="editor-side">
          <Trial rules={draft.rules} strike={strike} />
          {isDirty && (
            <Judgement
              verdict={verdict}
              shown={[
                "name",
                "title",
                "description",
                "configuration.mount",
                "configuration.transfer_suffix",
                ...draft.rules.map((_, place) => `${rulesPath}[${place}]`),
              ]}
              missing={draft.name ? undefined : "Give it a name."}
              verb={strike ? "Save" : "Start watching"}
              onDiscard={strike && (() => setEdited(null))}
            />
          )}
        </div>
      </EditorForm>
    </Page>
  );
}

function Standing({ strike }: { strike: StrikeDetails }) {
  return (
    <Panel class="spaced">
      {strike.last_error && <p class="verdict verdict-bad">{strike.last_error}</p>}
      <Facts>
        <Fact name="Last look">
          <Time at={strike.last_scan} none="never" />
        </Fact>
        <Fact name="Files there then">{count(strike.files_seen)}</Fact>
        <Fact name="Name">
          <code>{strike.name}</code>
        </Fact>
        <Fact name="Its job">
          {strike.job ? <a href={to(`/jobs/${strike.job.id}`)}>Job {strike.job.id}</a> : "none"}; canceling it stops the
          Strike
        </Fact>
        <Fact name="Made">
          <Moment at={strike.created} />
        </Fact>
      </Facts>
    </Panel>
  );
}

const TRIED = 40;

/** Which rule takes which name: tried on names that really came, or on any that one types. */
function Trial({ rules, strike }: { rules: readonly StrikeRule[]; strike: StrikeDetails | undefined }) {
  const own = strike ? `strike_id=${strike.id}&` : "";
  const recent = useLive<Rows<Ingest>>(`/ingests/?${own}order=-last_modified&page_size=${TRIED}`, 0).data?.results;
  const [typed, setTyped] = useState<string | null>(null);
  const known = useMemo(() => [...new Set(recent?.map((each) => each.file_name))].join("\n"), [recent]);
  const text = typed ?? known;
  const tests = rules.map((rule) => compiled(rule.filename_regex));
  const names = text.split("\n").filter(Boolean);
  return (
    <Panel
      title="Tried on names"
      aside={
        typed === null ? (
          recent?.length ? (
            "those that came last"
          ) : undefined
        ) : (
          <button type="button" class="plain slim" onClick={() => setTyped(null)}>
            Those that came last
          </button>
        )
      }
    >
      <TextField
        label="Names, one a line"
        value={text}
        onValue={setTyped}
        rows={5}
        isCode
        placeholder="scene_0001.tif"
      />
      {tests.some((test) => test === null) && (
        <p class="verdict">One expression cannot be tried in a browser; Scale may understand it all the same.</p>
      )}
      {!names.length && <Empty title="No file has come yet.">Type a name that you expect.</Empty>}
      <ul class="trial" aria-label="What becomes of these names">
        {names.slice(0, TRIED).map((name) => {
          const place = tests.findIndex((test) => test?.test(name));
          const rule = rules[place];
          return (
            <li key={name}>
              <code>{name}</code>
              {rule ? (
                <span class="tone-good">
                  rule {place + 1}: {rule.workspace_name}/{rule.workspace_path.replace(/^\/+|\/+$/g, "")}
                </span>
              ) : (
                <span class="tone-off">no rule: deferred</span>
              )}
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

/** RE2 as Scale has it, from the beginning of a name; null where browsers have it not. */
function compiled(expression: string): RegExp | null {
  const [, flags = "", rest = ""] = /^(?:\(\?([ims]+)\))?([\s\S]*)$/.exec(expression) ?? [];
  try {
    return new RegExp(`^(?:${rest.replaceAll("(?P<", "(?<").replaceAll("\\z", "$").replace(/^\\A/, "")})`, `${flags}u`);
  } catch {
    return null;
  }
}

function draftOf(strike: StrikeDetails): Draft {
  const { mount, transfer_suffix: suffix, files_to_ingest: rules } = strike.configuration;
  return { name: strike.name, title: strike.title ?? "", description: strike.description ?? "", mount, suffix, rules };
}

function bodyOf(draft: Draft) {
  return {
    name: draft.name,
    title: draft.title,
    description: draft.description,
    configuration: {
      version: "1.0",
      mount: draft.mount,
      transfer_suffix: draft.suffix,
      files_to_ingest: draft.rules.map((rule) => ({ ...rule, data_types: rule.data_types.filter(Boolean) })),
    },
  };
}
