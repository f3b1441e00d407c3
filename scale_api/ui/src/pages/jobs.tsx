// All jobs: found by filters, watched as they change, canceled and requeued many at a time.
import { useState } from "preact/hooks";
import { asQuery, query, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count, many } from "../core/format";
import { useLive } from "../core/live";
import { CATEGORIES, JOB_STATUSES, type Job, type JobType, type Queued } from "../core/types";
import { Choice, Choices, Filters, PeriodChoice, Search } from "../parts/filters";
import { JobTypeLink } from "../parts/links";
import { CANCELABLE, CancelJobs, ENDED, Prioritise, REQUEUABLE, RequeueJobs } from "../parts/many-jobs";
import { None, NoRows, Page } from "../parts/page";
import { Category, categoryWord, Status, word } from "../parts/status";
import { type Column, Pager, pageNumber, pageSize, Table, useSteady } from "../parts/table";
import { Time, Took } from "../parts/time";

const NEWEST = "-last_modified";
const FILTERS = ["status", "job_type_id", "job_id", "error_category", "started", "ended"] as const;

const columns = (waiting: ReadonlyMap<number, string>): readonly Column<Job>[] => [
  { name: "Job", cell: (job) => <a href={to(`/jobs/${job.id}`)}>{job.id}</a>, order: "id", kind: "tight" },
  { name: "Type", cell: (job) => <JobTypeLink type={job.job_type} />, order: "job_type__name" },
  { name: "Status", cell: (job) => <Status status={job.status} />, order: "status", kind: "tight" },
  { name: "Why", cell: (job) => <Why job={job} waiting={waiting.get(job.id)} />, kind: "wide" },
  {
    name: "Tries",
    cell: (job) => (job.max_tries ? `${job.num_exes} of ${job.max_tries}` : job.num_exes),
    order: "num_exes",
    kind: "figure",
  },
  { name: "Priority", cell: (job) => job.priority, order: "priority", kind: "figure" },
  { name: "Took", cell: (job) => <Took start={job.started} end={job.ended} />, kind: "figure" },
  { name: "Changed", cell: (job) => <Time at={job.last_modified} />, order: "last_modified", kind: "tight" },
];

function Why({ job, waiting }: { job: Job; waiting: string | undefined }) {
  if (job.status === "QUEUED" && waiting) return <>{waiting}</>;
  if (!job.reason && !job.error) return <None />;
  return (
    <>
      {job.error && (
        <>
          <Category category={job.error.category} />{" "}
        </>
      )}
      {job.reason ?? job.error?.title}
    </>
  );
}

const ASKED = 150; // jobs whose reason is asked for at once: an address can be only so long
const jobKey = (job: Job): number => job.id;

export default function Jobs() {
  const size = pageSize();
  const order = query.value.get("order") ?? NEWEST;
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.getAll(name)]));
  const list = useLive<Rows<Job>>(`/jobs/?${asQuery({ ...wanted, order, page: pageNumber(), page_size: size })}`, 3);
  const types = useLive<Rows<JobType>>("/job-types/?order=name&order=version&page_size=1000", 0).data?.results ?? [];
  const [chosen, setChosen] = useState<ReadonlySet<number | string>>(new Set());
  const [isOver, setOver] = useState(false);
  const [question, setQuestion] = useState<"cancel" | "requeue" | "requeue-all" | "priority" | null>(null);
  const { rows, fresh, release } = useSteady(list, jobKey, isOver || chosen.size > 0);
  const waiting = useWaiting(rows);
  const total = list.data?.count;
  const some = rows?.filter((job) => chosen.has(job.id)) ?? [];
  const close = (): void => setQuestion(null);
  const finish = async (): Promise<void> => {
    setChosen(new Set());
    await list.reload();
  };
  return (
    <Page
      title="Jobs"
      aside={total !== undefined && <span class="quiet figure">{count(total)}</span>}
      actions={
        !!total && (
          <button type="button" onClick={() => setQuestion("requeue-all")}>
            Requeue all that match…
          </button>
        )
      }
    >
      <Filters>
        <Choices
          name="status"
          label="Status"
          options={JOB_STATUSES.map((status) => ({ value: status, label: word(status) }))}
        />
        <Choice
          name="job_type_id"
          label="Job type"
          options={types.map((type) => ({
            value: String(type.id),
            label: `${type.title || type.name} ${type.version}`,
          }))}
        />
        <Choice
          name="error_category"
          label="Failed by fault of"
          options={CATEGORIES.map((category) => ({ value: category, label: categoryWord(category) }))}
        />
        <PeriodChoice />
        <Search name="job_id" label="Number" placeholder="such as 4711" isMain />
      </Filters>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: only holds the rows in place */}
      <div onMouseEnter={() => setOver(true)} onMouseLeave={() => setOver(false)}>
        <div class="table-bar">
          {chosen.size > 0 ? (
            <>
              <strong>{many(some.length, "job")} selected</strong>
              <button
                type="button"
                disabled={!some.some((job) => CANCELABLE.has(job.status))}
                onClick={() => setQuestion("cancel")}
              >
                Cancel…
              </button>
              <button
                type="button"
                disabled={!some.some((job) => REQUEUABLE.has(job.status))}
                onClick={() => setQuestion("requeue")}
              >
                Requeue…
              </button>
              <button
                type="button"
                disabled={!some.some((job) => !ENDED.has(job.status))}
                onClick={() => setQuestion("priority")}
              >
                Priority…
              </button>
              <button type="button" class="plain" onClick={() => setChosen(new Set())}>
                Select none
              </button>
            </>
          ) : (
            <span class="quiet">
              {isOver
                ? "The rows stay in place while the pointer is on them."
                : "Newest changes come first by themselves."}
            </span>
          )}
          {fresh > 0 && (
            <button type="button" class="plain" onClick={release}>
              Show {many(fresh, "changed job")}
            </button>
          )}
        </div>
        <Table
          caption="Jobs"
          columns={columns(waiting)}
          rows={rows}
          rowKey={jobKey}
          href={(job) => to(`/jobs/${job.id}`)}
          selection={{ chosen, set: setChosen }}
          order={order}
          error={list.error}
          isStale={list.isStale}
          empty={<NoJobs />}
        />
      </div>
      <Pager count={total} size={size} />
      {question === "cancel" && <CancelJobs jobs={some} onClose={close} onDone={finish} />}
      {question === "priority" && <Prioritise jobs={some} onClose={close} onDone={finish} />}
      {question === "requeue" && (
        <RequeueJobs
          title={`Requeue ${many(some.filter((job) => REQUEUABLE.has(job.status)).length, "job")}?`}
          body={{ job_ids: some.map((job) => job.id) }}
          onClose={close}
          onDone={finish}
        />
      )}
      {question === "requeue-all" && (
        <RequeueJobs title="Requeue all jobs that match?" body={selection()} onClose={close} onDone={finish} isAll />
      )}
    </Page>
  );
}

/** Why the queued ones among these jobs wait: only the queue knows. */
function useWaiting(rows: readonly Job[] | undefined): ReadonlyMap<number, string> {
  const ids = rows?.filter((job) => job.status === "QUEUED").map((job) => job.id) ?? [];
  const asked = asQuery({ job_id: ids.slice(0, ASKED), page_size: ASKED });
  const queue = useLive<Rows<Queued>>(ids.length ? `/queue/?${asked}` : null, 5).data?.results;
  return new Map(queue?.map((entry) => [entry.job_id, entry.reason]));
}

/** The filters of this page as the API takes them for a requeue. */
function selection(): Record<string, unknown> {
  const { value } = query;
  const ids = (name: string): number[] => value.getAll(name).map(Number).filter(Number.isInteger);
  const statuses = value.getAll("status").filter((status) => REQUEUABLE.has(status));
  return {
    ...(statuses.length === 1 ? { status: statuses[0] } : {}),
    ...(value.get("started") ? { started: value.get("started") } : {}),
    ...(value.get("ended") ? { ended: value.get("ended") } : {}),
    job_ids: ids("job_id"),
    job_type_ids: ids("job_type_id"),
    error_categories: value.getAll("error_category"),
  };
}

function NoJobs() {
  const isFiltered = FILTERS.some((name) => query.value.has(name));
  return (
    <NoRows isFiltered={isFiltered} noun="job" all={to("/jobs")} title="There are no jobs yet.">
      A file that a <a href={to("/strikes")}>Strike</a> takes in starts those whose rule it meets. By hand, one of any{" "}
      <a href={to("/job-types")}>job type</a> is run from the page of its type.
    </NoRows>
  );
}
