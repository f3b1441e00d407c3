// All job types: what each did lately, and how much of it failed.
import { query, setQuery, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count, cpus, mebibytes, percent } from "../core/format";
import { useLive } from "../core/live";
import { may } from "../core/session";
import type { JobType, JobTypeStatus, StatusCount } from "../core/types";
import { Choice, Filters } from "../parts/filters";
import { JobTypeLink } from "../parts/links";
import { Empty, None, Page, Panel } from "../parts/page";
import { PauseType } from "../parts/pause";
import { Category, Health } from "../parts/status";
import { type Column, Table } from "../parts/table";

const PERIODS = [
  { value: "PT6H", label: "Last 6 hours" },
  { value: "PT72H", label: "Last 72 hours" },
];

export default function JobTypes() {
  const order = query.value.get("order") ?? "name";
  const live = useLive<Rows<JobType>>(`/job-types/?order=${encodeURIComponent(order)}&page_size=1000`, 10);
  const started = query.value.get("started") ?? "PT24H";
  const status = useLive<Rows<JobTypeStatus>>(`/job-types/status/?started=${started}&page_size=1000`, 10).data?.results;
  const counts = new Map(status?.map((each) => [each.job_type.id, each.job_counts]));
  const wantsSystem = query.value.has("system");
  const rows = live.data?.results.filter((type) => wantsSystem || !type.is_system);
  const columns: readonly Column<JobType>[] = [
    { name: "Job type", cell: (type) => <JobTypeLink type={type} />, order: "name", kind: "wide" },
    { name: "Category", cell: (type) => type.category ?? <None />, order: "category" },
    { name: "State", cell: (type) => <TypeState type={type} />, kind: "tight" },
    { name: "Completed", cell: (type) => count(sum(counts.get(type.id), "COMPLETED")), kind: "figure" },
    {
      name: "Failed",
      kind: "figure",
      cell: (type) => (
        <a href={to("/jobs", { status: "FAILED", job_type_id: type.id, started })}>
          {count(sum(counts.get(type.id), "FAILED"))}
        </a>
      ),
    },
    { name: "Share that failed", cell: (type) => <Share counts={counts.get(type.id)} />, kind: "figure" },
    { name: "By fault of", cell: (type) => <Faults counts={counts.get(type.id)} /> },
    { name: "CPUs", cell: (type) => cpus(type.cpus_required), order: "cpus_required", kind: "figure" },
    { name: "Memory", cell: (type) => mebibytes(type.mem_required), order: "mem_required", kind: "figure" },
    { name: "Pause", cell: (type) => <PauseType type={type} onDone={live.reload} />, kind: "tight" },
  ];
  return (
    <Page
      title="Job types"
      aside={rows && <span class="quiet figure">{count(rows.length)}</span>}
      actions={
        may("admin") && (
          <a class="button" href={to("/job-types/new")}>
            New job type
          </a>
        )
      }
      lead="A job type is an algorithm: what it is given, what it makes, and what it needs of a node."
    >
      <Filters>
        <Choice name="started" label="Counted over" options={PERIODS} none="Last 24 hours" />
        <button type="button" aria-pressed={wantsSystem} onClick={() => setQuery({ system: wantsSystem ? null : "1" })}>
          Show Scale's own
        </button>
      </Filters>
      <Table
        caption="Job types"
        columns={columns}
        rows={rows}
        rowKey={(type) => type.id}
        href={(type) => to(`/job-types/${type.id}`)}
        order={order}
        error={live.error}
        empty={
          <Panel>
            <Empty title="There are no job types yet.">
              <a href={to("/job-types/new")}>Make the first one</a>, or import those of another Scale.
            </Empty>
          </Panel>
        }
      />
    </Page>
  );
}

export function TypeState({ type }: { type: Pick<JobType, "is_active" | "is_paused" | "is_operational"> }) {
  if (!type.is_active) return <Health tone="off">Not in use</Health>;
  if (type.is_paused) return <Health tone="waiting">Paused</Health>;
  return <Health tone="good">{type.is_operational ? "Operational" : "In research"}</Health>;
}

export function sum(counts: readonly StatusCount[] | undefined, status: string): number {
  return counts?.filter((each) => each.status === status).reduce((all, each) => all + each.count, 0) ?? 0;
}

function Share({ counts }: { counts: readonly StatusCount[] | undefined }) {
  const failed = sum(counts, "FAILED");
  const all = failed + sum(counts, "COMPLETED");
  return all ? <span class={failed ? "tone-bad" : ""}>{percent(failed / all)}</span> : <None />;
}

function Faults({ counts }: { counts: readonly StatusCount[] | undefined }) {
  const failed = counts?.filter((each) => each.status === "FAILED" && each.category) ?? [];
  if (!failed.length) return <None />;
  return (
    <ul>
      {failed.map((each) => (
        <li key={each.category}>
          {each.category && <Category category={each.category} />} {count(each.count)}
        </li>
      ))}
    </ul>
  );
}
