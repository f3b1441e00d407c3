// How a job type did: how often it failed, how long it took, and what it used of what it asks for.
import { query, to } from "../core/address";
import { count, cpus, duration, many, mebibytes, percent } from "../core/format";
import { useLive } from "../core/live";
import type { JobTypeDetails, Performance, Spread } from "../core/types";
import { Meter } from "./charts";
import { Choice } from "./filters";
import { Empty, Fact, Facts, Panel, Refusal, Skeleton } from "./page";
import { Category } from "./status";
import { type Column, Table } from "./table";

const PERIODS = [
  { value: "PT24H", label: "Last 24 hours" },
  { value: "P30D", label: "Last 30 days" },
  { value: "P365D", label: "Last year" },
];

interface Row {
  name: string;
  spread: Spread | null;
  text: (value: number) => string;
}

export function HowItDid({ type }: { type: JobTypeDetails }) {
  const over = query.value.get("over");
  const path = `/job-types/${type.id}/performance/${over ? `?started=${encodeURIComponent(over)}` : ""}`;
  const { data: did, error, isStale } = useLive<Performance>(path, 30);
  return (
    <Panel title="How it did" aside={<Choice name="over" label="Over" options={PERIODS} none="Last 7 days" />}>
      {error && <Refusal error={error} />}
      {!did && !error && <Skeleton lines={6} />}
      {did && (
        <div class={`performance ${isStale ? "is-stale" : ""}`}>
          <Ends did={did} type={type} />
          {did.measured > 0 ? <Figures did={did} type={type} /> : <Empty title="None completed in this time." />}
        </div>
      )}
    </Panel>
  );
}

function Ends({ did, type }: { did: Performance; type: JobTypeDetails }) {
  const ended = did.completed + did.failed;
  const jobs = (status: string) => to("/jobs", { status, job_type_id: type.id });
  return (
    <div>
      <Facts>
        <Fact name="Completed">
          <a href={jobs("COMPLETED")}>{count(did.completed)}</a>
        </Fact>
        <Fact name="Failed">
          <a href={jobs("FAILED")}>{count(did.failed)}</a>
          {did.failed > 0 && <span class="tone-bad"> {percent(did.failed / ended)}</span>}
        </Fact>
        <Fact name="Canceled">
          <a href={jobs("CANCELED")}>{count(did.canceled)}</a>
        </Fact>
      </Facts>
      {did.failures.length > 0 && (
        <ul class="ranking spaced-top" aria-label="What they failed by">
          {did.failures.map(({ error, count: number }) => (
            <li key={error?.id ?? 0}>
              <span>{error ? error.title || error.name : "no error of the catalogue"}</span>
              {error ? <Category category={error.category} /> : <span />}
              <span class="figure">{`${count(number)} · ${percent(number / ended)}`}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Figures({ did, type }: { did: Performance; type: JobTypeDetails }) {
  const rows: readonly Row[] = [
    { name: "Waited in the queue", spread: did.queued_s, text: duration },
    { name: "Fetched its inputs", spread: did.pre_s, text: duration },
    { name: "Ran the algorithm", spread: did.job_s, text: duration },
    { name: "Stored its outputs", spread: did.post_s, text: duration },
    { name: "On the node, in all", spread: did.total_s, text: duration },
    { name: "CPUs", spread: did.cpus, text: cpus },
    { name: "Memory", spread: did.mem, text: mebibytes },
    { name: "Disk for outputs", spread: did.disk_out, text: mebibytes },
  ];
  const at = (name: keyof Spread) => (row: Row) => row.spread && row.text(row.spread[name]);
  const columns: readonly Column<Row>[] = [
    { name: "What", cell: (row) => row.name },
    { name: "Half", cell: at("p50"), kind: "figure" },
    { name: "95 %", cell: at("p95"), kind: "figure" },
    { name: "All", cell: at("max"), kind: "figure" },
  ];
  return (
    <>
      <Table
        caption="What executions took"
        columns={columns}
        rows={rows.filter((row) => row.spread)}
        rowKey={(row) => row.name}
        empty={null}
        isSmall
      />
      <div class="meters">
        <Asked name="CPUs" spread={did.cpus} asked={type.cpus_required} text={cpus} />
        <Asked name="Memory" spread={did.mem} asked={type.mem_required} text={mebibytes} />
        {type.disk_out_mult_required === 0 && (
          <Asked name="Disk for outputs" spread={did.disk_out} asked={type.disk_out_const_required} text={mebibytes} />
        )}
        <Asked name="Time" spread={did.total_s} asked={type.timeout} text={duration} />
        <p class="quiet">
          What half, 95 % and all of them took at most; the bars show 95 % and all, of what the type asks for. Measured
          on {many(did.measured, "execution")}, the newest that completed.
        </p>
      </div>
    </>
  );
}

interface Compared {
  name: string;
  of: (did: Performance) => string;
}

const COMPARED: readonly Compared[] = [
  { name: "Completed", of: (did) => count(did.completed) },
  { name: "Failed", of: (did) => (did.failed ? percent(did.failed / (did.completed + did.failed)) : "none") },
  { name: "Ran the algorithm", of: (did) => spreadText(did.job_s, duration) },
  { name: "On the node, in all", of: (did) => spreadText(did.total_s, duration) },
  { name: "Memory", of: (did) => spreadText(did.mem, mebibytes) },
];

function spreadText(spread: Spread | null, text: (value: number) => string): string {
  return spread ? `${text(spread.p50)}, 95 %: ${text(spread.p95)}` : "–";
}

/** How two types did in the last seven days. */
export function DidBeside({ before, after }: { before: JobTypeDetails; after: JobTypeDetails }) {
  const one = useLive<Performance>(`/job-types/${before.id}/performance/`, 0);
  const other = useLive<Performance>(`/job-types/${after.id}/performance/`, 0);
  if (!one.data || !other.data) {
    const error = one.error ?? other.error;
    return error ? <Refusal error={error} /> : <Skeleton lines={3} />;
  }
  const [first, second] = [one.data, other.data];
  return (
    <Table
      caption="How both did in the last 7 days"
      columns={[
        { name: "In the last 7 days", cell: (row: Compared) => row.name },
        { name: `Version ${before.version}`, cell: (row: Compared) => row.of(first) },
        { name: `Version ${after.version}`, cell: (row: Compared) => row.of(second) },
      ]}
      rows={COMPARED}
      rowKey={(row) => row.name}
      empty={null}
    />
  );
}

interface AskedProps {
  name: string;
  spread: Spread | null;
  asked: number;
  text: (value: number) => string;
}

function Asked({ name, spread, asked, text }: AskedProps) {
  if (!spread || !asked) return null;
  return (
    <Meter
      label={name}
      total={asked}
      text={`${text(spread.p95)} to ${text(spread.max)} of ${text(asked)}`}
      shares={[
        { name: "the most", tone: "scheduled", value: spread.max },
        { name: "95 %", tone: "used", value: spread.p95 },
      ]}
    />
  );
}
