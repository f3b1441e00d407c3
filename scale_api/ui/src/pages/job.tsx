// One job: where it stands and why, what it took and made, each of its executions, and what they printed.
import { useState } from "preact/hooks";
import { query, setQuery, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { now } from "../core/clock";
import { between, cpus, duration, mebibytes, quoted, relative } from "../core/format";
import { useLive } from "../core/live";
import type { Execution, JobDetails, Node, Parameter, ScaleFile } from "../core/types";
import { FileLink, JobTypeLink, RecipeTypeLink } from "../parts/links";
import { Log } from "../parts/log";
import { CANCELABLE, CancelJobs, REQUEUABLE, RequeueJobs } from "../parts/many-jobs";
import { Empty, Fact, Facts, None, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Phases } from "../parts/phases";
import { Category, Status } from "../parts/status";
import { type Column, Table } from "../parts/table";
import { Moment, Time, Took } from "../parts/time";

const ENDED: ReadonlySet<string> = new Set(["FAILED", "COMPLETED", "CANCELED"]);

export default function Job({ id }: { id: string }) {
  const live = useLive<JobDetails>(`/jobs/${id}/`, 2);
  const [question, setQuestion] = useState<"cancel" | "requeue" | null>(null);
  const job = live.data;
  const up: [string, string] = ["Jobs", to("/jobs")];
  if (!job)
    return (
      <Page title={`Job ${id}`} up={up}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  const shown = job.job_exes.find((exe) => String(exe.id) === query.value.get("execution")) ?? newest(job);
  const close = (): void => setQuestion(null);
  return (
    <Page
      title={`Job ${job.id}`}
      up={up}
      aside={<Status status={job.status} />}
      actions={
        <>
          {CANCELABLE.has(job.status) && (
            <button type="button" onClick={() => setQuestion("cancel")}>
              Cancel…
            </button>
          )}
          {REQUEUABLE.has(job.status) && (
            <button type="button" class="primary" onClick={() => setQuestion("requeue")}>
              Requeue…
            </button>
          )}
        </>
      }
    >
      {live.error && <Refusal error={live.error} />}
      <Standing job={job} />
      {shown && (
        <Panel
          title="Time"
          aside={
            <>
              Execution {shown.id}, <Time at={shown.created} />
            </>
          }
        >
          <Phases execution={shown} />
        </Panel>
      )}
      <div class="halves">
        <Parameters title="Inputs" empty="It takes none." parameters={job.inputs} />
        <Parameters
          title="Outputs"
          empty={ENDED.has(job.status) ? "It made none." : "They appear here when it is done."}
          parameters={job.outputs}
        />
      </div>
      {job.job_exes.length > 1 && <Executions job={job} shown={shown} />}
      {shown && <Log key={shown.id} executionId={shown.id} isQueued={shown.status === "QUEUED"} />}
      {job.job_exes.length === 1 && <Executions job={job} shown={shown} />}
      <About job={job} />
      <Command job={job} />
      {question === "cancel" && <CancelJobs jobs={[job]} onClose={close} onDone={live.reload} />}
      {question === "requeue" && (
        <RequeueJobs
          title={`Requeue job ${job.id}?`}
          body={{ job_ids: [job.id] }}
          onClose={close}
          onDone={live.reload}
        />
      )}
    </Page>
  );
}

function newest(job: JobDetails): Execution | undefined {
  return [...job.job_exes].sort((a, b) => b.id - a.id)[0];
}

/** In one sentence: where it stands, and why. */
function Standing({ job }: { job: JobDetails }) {
  const { attempt, max_tries: tries, next, decision } = job.retry;
  const isAhead = next !== null && Date.parse(next) > now.value;
  const of = `Attempt ${attempt} of ${tries}`;
  return (
    <div class={`standing standing-${job.status.toLowerCase()}`}>
      <p class="standing-reason">{sentence(job)}</p>
      <p class="quiet">
        {attempt > 0 && of}
        {isAhead && `, the next ${relative(next, now.value)}`}
        {job.waiting && `${attempt > 0 ? " · " : ""}Place ${job.waiting.position} in the queue`}
        {decision && `${attempt > 0 || job.waiting ? " · " : ""}${decision}`}
      </p>
      {job.error && (
        <p>
          <Category category={job.error.category} /> <strong>{job.error.title ?? job.error.name}</strong>
          {job.error.description && <span class="quiet"> {job.error.description}</span>}
        </p>
      )}
    </div>
  );
}

function sentence(job: JobDetails): string {
  const exe = newest(job);
  const upper = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
  switch (job.status) {
    case "QUEUED":
      return `Waiting: ${job.waiting?.reason ?? job.reason ?? "for its turn"}`;
    case "RUNNING":
      return job.reason
        ? upper(job.reason)
        : `Running since ${exe?.started ? relative(exe.started, now.value) : "now"}`;
    case "COMPLETED":
      return `Completed in ${duration(between(job.started, job.ended))}`;
    case "PENDING":
      return upper(job.reason ?? "waits for jobs before it in its recipe");
    default:
      return upper(job.reason || exe?.message || `It is ${job.status.toLowerCase()}`);
  }
}

function Parameters({ title, empty, parameters }: { title: string; empty: string; parameters: readonly Parameter[] }) {
  return (
    <Panel title={title}>
      {parameters.length === 0 && <p class="quiet">{empty}</p>}
      <dl class="parameters">
        {parameters.map((each) => (
          <div key={each.name}>
            <dt>
              <code>{each.name}</code>
            </dt>
            <dd>
              <Value parameter={each} empty={title === "Outputs" ? empty : "not given"} />
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

function Value({ parameter: { value }, empty }: { parameter: Parameter; empty: string }) {
  if (value === null || (Array.isArray(value) && !value.length)) return <span class="quiet">{empty}</span>;
  if (typeof value === "string") return <code>{value}</code>;
  const files: readonly ScaleFile[] = Array.isArray(value) ? value : [value];
  return (
    <ul>
      {files.map((file) => (
        <li key={file.id}>
          <FileLink file={file} />
        </li>
      ))}
    </ul>
  );
}

function About({ job }: { job: JobDetails }) {
  const { event, recipes } = job;
  const by = event.rule
    ? `rule ${event.rule.name || event.rule.id}`
    : String(event.description?.user ?? event.type.toLowerCase());
  return (
    <Panel title="About">
      <Facts>
        <Fact name="Job type">
          <JobTypeLink type={job.job_type} />, revision {job.job_type_rev.revision_num}
        </Fact>
        {recipes.map((recipe) => (
          <Fact key={recipe.id} name="Part of">
            <a href={to(`/recipes/${recipe.id}`)}>Recipe {recipe.id}</a> of <RecipeTypeLink type={recipe.recipe_type} />
          </Fact>
        ))}
        <Fact name="Started by">
          {by}, <Time at={event.occurred} />
        </Fact>
        <Fact name="Priority">{job.priority}</Fact>
        <Fact name="Needs">
          {cpus(job.cpus_required)} CPUs, {mebibytes(job.mem_required)} memory,{" "}
          {mebibytes((job.disk_in_required ?? 0) + (job.disk_out_required ?? 0))} disk
          {job.gpus_required > 0 && `, ${job.gpus_required} GPUs`}
        </Fact>
        <Fact name="Timeout">{duration(job.timeout)}</Fact>
        <Fact name="Created">
          <Moment at={job.created} />
        </Fact>
        <Fact name="Ended">
          <Moment at={job.ended} none="not yet" />
        </Fact>
      </Facts>
    </Panel>
  );
}

function Executions({ job, shown }: { job: JobDetails; shown: Execution | undefined }) {
  const nodes = useLive<Rows<Node>>(
    job.job_exes.length ? "/nodes/?include_inactive=true&page_size=1000" : null,
    0,
  ).data;
  const host = (id: number): string => nodes?.results.find((node) => node.id === id)?.hostname ?? `node ${id}`;
  const columns: readonly Column<Execution>[] = [
    {
      name: "Execution",
      kind: "tight",
      cell: (exe) => (
        <button
          type="button"
          class="plain slim"
          aria-pressed={exe.id === shown?.id}
          onClick={() => setQuery({ execution: exe.id, line: null }, { replace: false })}
        >
          {exe.id}
        </button>
      ),
    },
    { name: "Status", cell: (exe) => <Status status={exe.status} />, kind: "tight" },
    {
      name: "Node",
      cell: (exe) => (exe.node ? <a href={to(`/nodes/${exe.node.id}`)}>{host(exe.node.id)}</a> : <None />),
    },
    { name: "Exit code", cell: (exe) => exe.job_exit_code ?? <None />, kind: "figure" },
    { name: "Why", cell: (exe) => exe.message || <None />, kind: "wide" },
    { name: "Queued", cell: (exe) => <Time at={exe.queued} />, kind: "tight" },
    { name: "Took", cell: (exe) => <Took start={exe.started} end={exe.ended} />, kind: "figure" },
  ];
  return (
    <Panel title="Executions" aside={job.job_exes.length > 1 && "Choose one to see its time and log"}>
      <Table
        caption="Executions of this job, the newest first"
        columns={columns}
        rows={[...job.job_exes].sort((a, b) => b.id - a.id)}
        rowKey={(exe) => exe.id}
        empty={<Empty title="It was not put on the queue yet." />}
      />
    </Panel>
  );
}

/** What a person types to run the same by hand, on any machine that reaches the files. */
function Command({ job }: { job: JobDetails }) {
  const [isCopied, setCopied] = useState(false);
  if (job.job_type.is_system) return null;
  const text = commandOf(job);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    window.setTimeout(() => setCopied(false), 2000);
  };
  return (
    <Panel
      title="To run it by hand"
      aside={
        <button type="button" onClick={copy}>
          {isCopied ? "Copied" : "Copy"}
        </button>
      }
    >
      <section class="command" tabIndex={0} aria-label="Command to run this job by hand">
        <pre>{text}</pre>
      </section>
    </Panel>
  );
}

export function commandOf(job: JobDetails): string {
  const { interface: shape } = job.job_type_rev;
  const image = job.job_type.uses_docker ? job.job_type.docker_image : null;
  const root = image ? "/scale" : "$PWD";
  const lines = ["mkdir -p input output && chmod a+rwx output"];
  const values = new Map<string, string>([["job_output_dir", `${root}/output`]]);
  for (const { name, value } of job.inputs) {
    if (value === null) values.set(name, "");
    else if (typeof value === "string") values.set(name, value);
    else {
      const files = Array.isArray(value) ? value : [value];
      lines.push(`mkdir -p ${quoted(`input/${name}`)}`);
      for (const file of files)
        lines.push(`curl -sSfo ${quoted(`input/${name}/${file.file_name}`)} ${quoted(file.url)}`);
      values.set(name, Array.isArray(value) ? `${root}/input/${name}` : `${root}/input/${name}/${files[0]?.file_name}`);
    }
  }
  const filled = shape.command_arguments.replace(
    /\$\{(?:(.*?)\s+)?([\w-]+)\}/g,
    (_all, flag: string | undefined, name: string) => {
      const value = values.get(name) ?? "";
      if (!value) return "";
      const word = value.startsWith("$PWD") ? `"${value}"` : quoted(value);
      return flag ? `${flag} ${word}` : word;
    },
  );
  const run = `${shape.command} ${filled}`.trim();
  lines.push(
    image
      ? `docker run --rm -v "$PWD/input:/scale/input:ro" -v "$PWD/output:/scale/output" ${quoted(image)} ${run}`
      : run,
  );
  return lines.join("\n");
}
