// Who changed what, when and from where. Nothing can change or remove what stands here, but age.
import { useState } from "preact/hooks";
import { asQuery, query, setQuery, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { many } from "../core/format";
import { useLive } from "../core/live";
import type { AuditEntry } from "../core/types";
import { Dialog } from "../parts/dialog";
import { Difference } from "../parts/difference";
import { Choice, Filters, PeriodChoice, Search } from "../parts/filters";
import { Fact, Facts, None, NoRows, Page, Panel } from "../parts/page";
import { type Column, Pager, pageNumber, pageSize, Table } from "../parts/table";
import { Moment, Time } from "../parts/time";

const FILTERS = [
  "account_name",
  "token_name",
  "address",
  "operation",
  "object_type",
  "object_id",
  "object_name",
  "started",
] as const;
const KINDS: Record<string, string> = {
  account: "Account",
  api_token: "Token",
  error: "Error",
  file: "File",
  ingest: "Ingest",
  job: "Job",
  job_type: "Job type",
  node: "Node",
  recipe: "Recipe",
  recipe_type: "Recipe type",
  scheduler: "Scheduler",
  strike: "Strike",
  trigger_rule: "Trigger rule",
  workspace: "Workspace",
};
const PAGES: Record<string, string> = {
  file: "/files",
  job: "/jobs",
  job_type: "/job-types",
  node: "/nodes",
  recipe: "/recipes",
  recipe_type: "/recipe-types",
  strike: "/strikes",
  workspace: "/workspaces",
};

export default function Audit() {
  const size = pageSize();
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.get(name)]));
  const live = useLive<Rows<AuditEntry>>(`/audit/?${asQuery({ ...wanted, page: pageNumber(), page_size: size })}`, 5);
  const [shown, setShown] = useState<AuditEntry | null>(null);
  const columns: readonly Column<AuditEntry>[] = [
    { name: "When", cell: (each) => <Time at={each.occurred} />, kind: "tight" },
    { name: "Who", cell: (each) => <Who entry={each} /> },
    { name: "From", cell: (each) => each.address || <None />, kind: "tight" },
    {
      name: "What",
      cell: (each) => <Narrow name="operation" value={each.operation} />,
    },
    { name: "Of", cell: (each) => <Thing entry={each} /> },
    { name: "Changes", cell: (each) => <Changes entry={each} />, kind: "wide" },
    {
      name: "All",
      kind: "tight",
      cell: (each) => (
        <button type="button" class="slim" onClick={() => setShown(each)}>
          Show…<span class="unseen"> change {each.id}</span>
        </button>
      ),
    },
  ];
  return (
    <Page title="Audit" lead="Every change: who made it, from where, what was before and what after.">
      <Filters>
        <Search name="account_name" label="Who" placeholder="the whole name" isMain />
        <Choice
          name="object_type"
          label="Of a"
          options={Object.entries(KINDS).map(([value, label]) => ({ value, label }))}
        />
        <Search name="object_name" label="Named" placeholder="the whole name" />
        <Search name="operation" label="What" placeholder="POST /errors/" />
        <PeriodChoice label="When" />
      </Filters>
      <Table
        caption="Changes"
        columns={columns}
        rows={live.data?.results}
        rowKey={(each) => each.id}
        error={live.error}
        isStale={live.isStale}
        empty={
          <Panel>
            <NoRows
              isFiltered={FILTERS.some((name) => query.value.has(name))}
              noun="change"
              all={to("/audit")}
              title="Nothing was changed yet."
            >
              What is made, edited, paused or canceled from now on stands here.
            </NoRows>
          </Panel>
        }
      />
      <Pager count={live.data?.count} size={size} />
      {shown && <Whole entry={shown} onClose={() => setShown(null)} />}
    </Page>
  );
}

/** What a click on narrows the list to. */
function Narrow({ name, value, text }: { name: (typeof FILTERS)[number]; value: string; text?: string }) {
  return (
    <button
      type="button"
      class="plain narrow"
      title="Show only these"
      onClick={() => setQuery({ [name]: value, page: null }, { replace: false })}
    >
      {text ?? value}
    </button>
  );
}

function Who({ entry }: { entry: AuditEntry }) {
  if (!entry.account_name) return <span class="quiet">{entry.via === "open" ? "anonymous" : entry.via}</span>;
  return (
    <>
      <Narrow name="account_name" value={entry.account_name} />
      <span class="quiet">{entry.token_name ? ` by the token ${entry.token_name}` : ` by ${entry.via}`}</span>
    </>
  );
}

function Thing({ entry: { object_type: type, object_id: id, object_name: name } }: { entry: AuditEntry }) {
  const words = `${KINDS[type] ?? type}${id === null ? "" : ` ${id}`}`;
  const page = PAGES[type];
  return (
    <>
      {page && id !== null ? <a href={to(`${page}/${id}`)}>{words}</a> : words}{" "}
      {name && <span class="quiet">{name}</span>}
    </>
  );
}

const NAMED = 4;
const LETTERS = 60;

function Changes({ entry: { before, after } }: { entry: AuditEntry }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  if (!names.length) return <None>{before ? "removed" : "nothing was kept of it"}</None>;
  if (!before && names.length > NAMED) return <>made, with {many(names.length, "field")}</>;
  if (!after) return <>removed, with {many(names.length, "field")}</>;
  return (
    <ul class="changes">
      {names.slice(0, NAMED).map((name) => (
        <li key={name}>
          <span class="quiet">{name}</span>{" "}
          {before && isDocument(before[name] ?? after[name]) ? (
            <ins>changed</ins>
          ) : (
            <>
              {before && (
                <>
                  <del>{inWords(before[name])}</del> <span aria-hidden="true">→</span>{" "}
                </>
              )}
              <ins>{inWords(after[name])}</ins>
            </>
          )}
        </li>
      ))}
      {names.length > NAMED && <li class="quiet">and {names.length - NAMED} more</li>}
    </ul>
  );
}

function isDocument(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function inWords(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
  return text.length > LETTERS ? `${text.slice(0, LETTERS)}…` : text || "empty";
}

function Whole({ entry, onClose }: { entry: AuditEntry; onClose: () => void }) {
  return (
    <Dialog title={`Change ${entry.id}`} onClose={onClose} class="wide">
      <div class="dialog-content">
        <Facts>
          <Fact name="When">
            <Moment at={entry.occurred} />
          </Fact>
          <Fact name="Who">{entry.account_name || <None>anonymous: nobody was asked</None>}</Fact>
          <Fact name="By">{entry.token_name ? `token ${entry.token_name}` : entry.via}</Fact>
          <Fact name="From">{entry.address || <None />}</Fact>
          <Fact name="Program">{entry.user_agent || <None />}</Fact>
          <Fact name="Request">{entry.request_id ? <code>{entry.request_id}</code> : <None />}</Fact>
          <Fact name="What">
            <code>{entry.operation}</code>
          </Fact>
          <Fact name="Of">
            <Thing entry={entry} />
          </Fact>
        </Facts>
        <Difference caption="What was before, and what after" before={entry.before} after={entry.after} />
      </div>
    </Dialog>
  );
}
