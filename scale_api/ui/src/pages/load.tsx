// How many jobs waited and ran, as it is measured every hour.
import { useMemo } from "preact/hooks";
import { asQuery, query, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count } from "../core/format";
import { useLive } from "../core/live";
import type { JobType, Load as Measured } from "../core/types";
import { type Line, Lines } from "../parts/charts";
import { Choice, Filters } from "../parts/filters";
import { Empty, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { type Column, Table } from "../parts/table";
import { Moment } from "../parts/time";

const PERIODS = [
  { value: "P1D", label: "Last day" },
  { value: "P30D", label: "Last 30 days" },
];
const SHOWN = 24;

const COLUMNS: readonly Column<Measured>[] = [
  { name: "Measured", cell: (row) => <Moment at={row.time} /> },
  { name: "Pending", cell: (row) => count(row.pending_count), kind: "figure" },
  { name: "Queued", cell: (row) => count(row.queued_count), kind: "figure" },
  { name: "Running", cell: (row) => count(row.running_count), kind: "figure" },
  { name: "Together", cell: (row) => count(row.total_count), kind: "figure" },
];

export default function Load() {
  const started = query.value.get("started") ?? "P7D";
  const asked = asQuery({ started, job_type_id: query.value.getAll("job_type_id"), page_size: 1000 });
  const live = useLive<Rows<Measured>>(`/load/?${asked}`, 60);
  const types = useLive<Rows<JobType>>("/job-types/?order=name&order=version&page_size=1000", 0).data?.results ?? [];
  const rows = live.data?.results;
  const { times, lines } = useMemo(() => plot(rows ?? []), [rows]);
  return (
    <Page
      title="Load"
      up={["Queue", to("/queue")]}
      lead="How many jobs waited for others, waited in the queue, and ran. It is counted once an hour."
    >
      <Filters>
        <Choice name="started" label="Period" options={PERIODS} none="Last week" />
        <Choice
          name="job_type_id"
          label="Job type"
          options={types.map((type) => ({
            value: String(type.id),
            label: `${type.title || type.name} ${type.version}`,
          }))}
        />
      </Filters>
      {live.error && <Refusal error={live.error} />}
      {rows ? (
        <Panel>
          {rows.length ? (
            <Lines caption="Jobs pending, queued and running over time" times={times} lines={lines} height={280} />
          ) : (
            <Empty title="Nothing was measured in that time.">
              The first count comes with the next full hour. What waits now is in the <a href={to("/queue")}>queue</a>.
            </Empty>
          )}
        </Panel>
      ) : (
        !live.error && <Skeleton lines={8} />
      )}
      {rows && rows.length > 0 && (
        <>
          <h2 class="section">The latest counts</h2>
          <Table
            caption="The latest counts"
            columns={COLUMNS}
            rows={rows.slice(-SHOWN).reverse()}
            rowKey={(row) => row.time}
            empty={null}
          />
        </>
      )}
    </Page>
  );
}

function plot(rows: readonly Measured[]): { times: number[]; lines: Line[] } {
  return {
    times: rows.map((row) => Date.parse(row.time) / 1000),
    lines: [
      { name: "Pending", tone: "idle", values: rows.map((row) => row.pending_count) },
      { name: "Queued", tone: "waiting", values: rows.map((row) => row.queued_count) },
      { name: "Running", tone: "running", values: rows.map((row) => row.running_count) },
    ],
  };
}
