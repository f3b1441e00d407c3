// What waits, by type and one by one, and why.
import { asQuery, query, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count, cpus, many, mebibytes, short } from "../core/format";
import { useLive } from "../core/live";
import type { Queued, QueueStatus } from "../core/types";
import { Choice, Filters, Search } from "../parts/filters";
import { JobTypeLink } from "../parts/links";
import { Empty, None, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { PauseType } from "../parts/pause";
import { Health } from "../parts/status";
import { type Column, Pager, pageNumber, pageSize, Table } from "../parts/table";
import { Time } from "../parts/time";

const FILTERS = ["job_type_id", "priority", "job_id"] as const;

const ENTRIES: readonly Column<Queued>[] = [
  { name: "Place", cell: (entry) => count(entry.position), kind: "figure" },
  { name: "Job", cell: (entry) => <a href={to(`/jobs/${entry.job_id}`)}>{entry.job_id}</a>, kind: "tight" },
  { name: "Type", cell: (entry) => <JobTypeLink type={entry.job_type} /> },
  { name: "Why it waits", cell: (entry) => entry.reason, kind: "wide" },
  { name: "Priority", cell: (entry) => entry.priority, kind: "figure" },
  { name: "Needs", cell: (entry) => <Needs entry={entry} /> },
  { name: "Queued", cell: (entry) => <Time at={entry.queued} />, kind: "tight" },
];

function Needs({ entry }: { entry: Queued }) {
  const parts = [
    entry.cpus_required && `${cpus(entry.cpus_required)} CPUs`,
    entry.mem_required && mebibytes(entry.mem_required),
    entry.gpus_required && `${entry.gpus_required} GPUs`,
  ].filter(Boolean);
  return parts.length ? <span>{parts.join(", ")}</span> : <None />;
}

export default function Queue() {
  const status = useLive<Rows<QueueStatus>>("/queue/status/?page_size=1000", 3);
  const size = pageSize();
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.getAll(name)]));
  const list = useLive<Rows<Queued>>(`/queue/?${asQuery({ ...wanted, page: pageNumber(), page_size: size })}`, 3);
  const types = status.data?.results;
  const depth = types?.reduce((sum, each) => sum + each.count, 0);
  const isFiltered = FILTERS.some((name) => query.value.has(name));
  const columns: readonly Column<QueueStatus>[] = [
    { name: "Type", cell: (each) => <JobTypeLink type={each.job_type} /> },
    {
      name: "Waiting",
      kind: "figure",
      cell: (each) => <a href={to("/queue", { job_type_id: each.job_type.id })}>{count(each.count)}</a>,
    },
    {
      name: "Why none has started",
      kind: "wide",
      cell: (each) => (each.job_type.is_paused ? <Health tone="waiting">Paused</Health> : (each.reason ?? <None />)),
    },
    { name: "Best priority", cell: (each) => each.highest_priority, kind: "figure" },
    { name: "Oldest", cell: (each) => <Time at={each.longest_queued} />, kind: "tight" },
    { name: "Pause", cell: (each) => <PauseType type={each.job_type} onDone={status.reload} />, kind: "tight" },
  ];
  return (
    <Page
      title="Queue"
      aside={depth !== undefined && <span class="quiet figure">{many(depth, "job")} waiting</span>}
      actions={
        <a class="button" href={to("/load")}>
          Load over time
        </a>
      }
      lead="Smaller priorities come first, then those that have waited longest. A job that fits nowhere now lets others pass."
    >
      {status.error && !types && <Refusal error={status.error} />}
      <Reasons types={types} />
      <h2 class="section">By type</h2>
      <Table
        caption="What waits, by job type"
        columns={columns}
        rows={types}
        rowKey={(each) => each.job_type.id}
        skeleton={3}
        empty={
          <Panel>
            <Empty title="The queue is empty.">All that was wanted has been started.</Empty>
          </Panel>
        }
      />
      <h2 class="section">One by one, in the order in which they are looked at</h2>
      <Filters>
        <Choice
          name="job_type_id"
          label="Job type"
          options={(types ?? []).map(({ job_type: type }) => ({
            value: String(type.id),
            label: `${type.title || type.name} ${type.version}`,
          }))}
        />
        <Search name="priority" label="Priority" />
        <Search name="job_id" label="Job" placeholder="such as 4711" isMain />
      </Filters>
      <Table
        caption="The queue"
        columns={ENTRIES}
        rows={list.data?.results}
        rowKey={(entry) => entry.job_exe_id}
        href={(entry) => to(`/jobs/${entry.job_id}`)}
        error={list.error}
        isStale={list.isStale}
        skeleton={5}
        empty={
          <Panel>
            <Empty title={isFiltered ? "Nothing that waits matches these filters." : "Nothing waits."}>
              {isFiltered ? <a href={to("/queue")}>Show the whole queue</a> : <a href={to("/jobs")}>See all jobs</a>}
            </Empty>
          </Panel>
        }
      />
      <Pager count={list.data?.count} size={size} />
    </Page>
  );
}

/** How many wait for the same reason: the longest bar is what to look at first. */
function Reasons({ types }: { types: readonly QueueStatus[] | undefined }) {
  if (!types)
    return (
      <Panel title="Why jobs wait">
        <Skeleton lines={2} />
      </Panel>
    );
  if (!types.length) return null;
  const sums = new Map<string, number>();
  for (const { job_type: type, reason, count: waiting } of types) {
    const why = type.is_paused ? "its job type is paused" : (reason ?? "their turn comes");
    sums.set(why, (sums.get(why) ?? 0) + waiting);
  }
  const most = Math.max(...sums.values());
  return (
    <Panel title="Why jobs wait">
      <ul class="reasons">
        {[...sums]
          .sort((a, b) => b[1] - a[1])
          .map(([why, waiting]) => (
            <li key={why}>
              <span>{why}</span>
              <strong class="figure">{short(waiting)}</strong>
              <svg width="100%" height="8" aria-hidden="true">
                <rect class="fill-waiting" width={`${(waiting / most) * 100}%`} height="8" rx="3" />
              </svg>
            </li>
          ))}
      </ul>
    </Panel>
  );
}
