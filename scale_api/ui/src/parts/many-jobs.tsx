// What is done to many jobs at a time, each with a question before.
import { useState } from "preact/hooks";
import { asQuery } from "../core/address";
import { change, type Page as Rows } from "../core/api";
import { many } from "../core/format";
import { useLive } from "../core/live";
import { attempt } from "../core/toasts";
import type { Job } from "../core/types";
import { Question } from "./dialog";

export const CANCELABLE: ReadonlySet<string> = new Set(["PENDING", "BLOCKED", "QUEUED", "RUNNING", "FAILED"]);
export const REQUEUABLE: ReadonlySet<string> = new Set(["FAILED", "CANCELED"]);
export const ENDED: ReadonlySet<string> = new Set(["COMPLETED", "FAILED", "CANCELED"]);
const AT_ONCE = 4;

async function cancelAll(ids: readonly number[]): Promise<void> {
  const left = [...ids];
  const work = async (): Promise<void> => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      await change("PATCH", `/jobs/${id}/`, { status: "CANCELED" });
    }
  };
  const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, work));
  const bad = results.find((result) => result.status === "rejected");
  if (bad) throw bad.reason;
}

interface ActionProps {
  onClose: () => void;
  onDone: () => Promise<void>;
}

export function CancelJobs({ jobs, onClose, onDone }: ActionProps & { jobs: readonly Job[] }) {
  const ids = jobs.filter((job) => CANCELABLE.has(job.status)).map((job) => job.id);
  const running = jobs.filter((job) => job.status === "RUNNING").length;
  const undo = (): void => {
    void attempt(`${many(ids.length, "job")} put back on the queue`, () =>
      change("POST", "/queue/requeue-jobs/", { job_ids: ids }).then(onDone),
    );
  };
  const yes = (): Promise<unknown> =>
    attempt(
      ids.length === 1 ? `Job ${ids[0]} is canceled` : `${many(ids.length, "job")} canceled`,
      () => cancelAll(ids),
      undo,
    ).then(onDone);
  return (
    <Question title={`Cancel ${many(ids.length, "job")}?`} verb="Cancel them" isDangerous onYes={yes} onClose={onClose}>
      <p>
        {running > 0 && `${many(running, "of them runs", "of them run")}: what they have done so far is lost. `}
        Jobs that depend on them in a recipe are blocked. Canceled jobs can be requeued.
      </p>
    </Question>
  );
}

interface RequeueProps extends ActionProps {
  title: string;
  body: Record<string, unknown>;
  isAll?: boolean;
}

export function RequeueJobs({ title, body, isAll, onClose, onDone }: RequeueProps) {
  const [priority, setPriority] = useState("");
  const found = useLive<Rows<Job>>(isAll ? `/jobs/?${matching(body)}` : null, 0).data?.count;
  const yes = (): Promise<unknown> =>
    attempt("Jobs are requeued", () =>
      change("POST", "/queue/requeue-jobs/", { ...body, ...(priority ? { priority: Number(priority) } : {}) }),
    ).then(onDone);
  return (
    <Question title={title} verb="Requeue" onYes={yes} onClose={onClose}>
      {isAll && (
        <p>
          {found === undefined ? "Counting…" : <strong>{many(found, "job")}</strong>} that failed or were canceled,
          among those that the filters of this page let through.
        </p>
      )}
      <p>
        They go back to the queue and are tried anew. Jobs that were blocked behind them wait again for their inputs.
      </p>
      <label class="filter">
        <span>Priority (a smaller number starts earlier)</span>
        <input
          type="number"
          min="0"
          placeholder="as they have it"
          value={priority}
          onInput={(event) => setPriority(event.currentTarget.value)}
        />
      </label>
    </Question>
  );
}

/** What the API will take of a selection, counted beforehand. */
function matching(body: Record<string, unknown>): URLSearchParams {
  const { status, job_ids, job_type_ids, error_categories, started, ended } = body as Record<string, string[]>;
  return asQuery({
    status: status ?? [...REQUEUABLE],
    job_id: job_ids,
    job_type_id: job_type_ids,
    error_category: error_categories,
    started,
    ended,
    page_size: 1,
  });
}

/** Jobs that wait get another place in the queue. */
export function Prioritise({ jobs, onClose, onDone }: ActionProps & { jobs: readonly Job[] }) {
  const open = jobs.filter((job) => !ENDED.has(job.status));
  const [priority, setPriority] = useState(String(Math.min(...open.map((job) => job.priority))));
  const yes = (): Promise<unknown> =>
    attempt(`${many(open.length, "job")} given the priority ${priority}`, () =>
      change("POST", "/queue/prioritise-jobs/", { job_ids: open.map((job) => job.id), priority: Number(priority) }),
    ).then(onDone);
  return (
    <Question title={`Another priority for ${many(open.length, "job")}?`} verb="Give it" onYes={yes} onClose={onClose}>
      <p>A smaller number starts earlier. What runs goes on and has it for its next try.</p>
      <label class="filter">
        <span>Priority</span>
        <input type="number" required value={priority} onInput={(event) => setPriority(event.currentTarget.value)} />
      </label>
    </Question>
  );
}
