// Is everything running, how much waits, and does more fail than usual?
import { useMemo, useState } from "preact/hooks";
import { to } from "../core/address";
import { change, type Page as Rows } from "../core/api";
import { now } from "../core/clock";
import { cpus, mebibytes, percent, relative, short } from "../core/format";
import { useLive } from "../core/live";
import { attempt } from "../core/toasts";
import {
  CATEGORIES,
  type Ingest,
  type JobTypeStatus,
  type Load,
  type NodeStatus,
  type Outcome,
  type QueueStatus,
  type Strike,
  type SystemStatus,
} from "../core/types";
import { type Bar, Bars, Meter } from "../parts/charts";
import { Question } from "../parts/dialog";
import { Empty, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Category, categoryWord, Health } from "../parts/status";
import { Time } from "../parts/time";

const HOUR_MS = 3_600_000;
const SHOWN_HOURS = 48;
const STALE_S = 60;
const WAITING = ["TRANSFERRED", "QUEUED", "INGESTING"] as const;

export default function Overview() {
  const status = useLive<SystemStatus>("/status/", 3);
  const [isAsking, setAsking] = useState(false);
  const isPaused = status.data?.scheduler.is_paused;
  const setPaused = (paused: boolean) =>
    attempt(paused ? "Scheduling is paused" : "Scheduling goes on", async () => {
      await change("PATCH", "/scheduler/", { is_paused: paused });
      await status.reload();
    });
  return (
    <Page
      title="Overview"
      actions={
        status.data &&
        (isPaused ? (
          <button type="button" class="primary" onClick={() => setPaused(false)}>
            Resume scheduling
          </button>
        ) : (
          <button type="button" onClick={() => setAsking(true)}>
            Pause scheduling
          </button>
        ))
      }
    >
      {status.error && !status.data && <Refusal error={status.error} />}
      <div class="overview">
        <Running status={status.data} />
        <Figures status={status.data} />
        <Throughput />
        <Resources status={status.data} />
        <Failures />
      </div>
      {isAsking && (
        <Question
          title="Pause scheduling?"
          verb="Pause scheduling"
          onYes={() => setPaused(true)}
          onClose={() => setAsking(false)}
        >
          <p>
            Jobs that run go on. No other job is started, on any node, until somebody resumes it. Files are still taken
            in.
          </p>
        </Question>
      )}
    </Page>
  );
}

/** Each part of Scale, and whether it does its work. */
function Running({ status }: { status: SystemStatus | undefined }) {
  const nodes = useLive<Rows<NodeStatus>>("/nodes/status/?page_size=1000", 10).data?.results;
  const strikes = useLive<Rows<Strike>>("/strikes/?page_size=1000", 10).data?.results;
  const active = nodes?.filter(({ node }) => node.is_active);
  const online = active?.filter((each) => each.is_online);
  const paused = active?.filter(({ node }) => node.is_paused || node.is_paused_errors);
  const broken = strikes?.filter((strike) => strike.last_error);
  const scans = strikes?.map((strike) => strike.last_scan ?? "").sort();
  const latest = scans?.at(-1);
  const isFresh = !!latest && now.value - Date.parse(latest) < STALE_S * 1000;
  return (
    <Panel title="What runs" class="span-all">
      <ul class="parts">
        <Part name="Mesos master" href={to("/scheduler")}>
          {status && (
            <>
              <Health tone={status.master.is_online ? "good" : "bad"}>
                {status.master.is_online ? "Online" : "Silent"}
              </Health>
              <small>
                {status.master.hostname}:{status.master.port}
              </small>
            </>
          )}
        </Part>
        <Part name="Scheduler" href={to("/scheduler")}>
          {status && (
            <>
              <Health tone={!status.scheduler.is_online ? "bad" : status.scheduler.is_paused ? "waiting" : "good"}>
                {!status.scheduler.is_online ? "Not running" : status.scheduler.is_paused ? "Paused" : "Online"}
              </Health>
              <small>{status.scheduler.hostname}</small>
            </>
          )}
        </Part>
        <Part name="Workers" href={to("/strikes")}>
          {strikes && (
            <>
              <Health tone={!strikes.length ? "off" : isFresh ? "good" : "bad"}>
                {!strikes.length ? "Nothing to watch" : isFresh ? "At work" : "Silent"}
              </Health>
              <small>
                {latest ? `looked for files ${relative(latest, now.value)}` : "no Strike has been looked at"}
              </small>
            </>
          )}
        </Part>
        <Part name="Nodes" href={to("/nodes")}>
          {active && online && paused && (
            <>
              <Health tone={!online.length ? "bad" : online.length < active.length ? "waiting" : "good"}>
                {`${online.length} of ${active.length} online`}
              </Health>
              <small>{paused.length ? `${paused.length} paused` : "none paused"}</small>
            </>
          )}
        </Part>
        <Part name="Strikes" href={to("/strikes")}>
          {strikes && broken && (
            <>
              <Health tone={!strikes.length ? "off" : broken.length ? "bad" : "good"}>
                {broken.length ? `${broken.length} of ${strikes.length} cannot read` : `${strikes.length} watching`}
              </Health>
              <small>{broken[0]?.last_error ?? "all directories can be read"}</small>
            </>
          )}
        </Part>
      </ul>
    </Panel>
  );
}

function Part({ name, href, children }: { name: string; href: string; children: preact.ComponentChildren }) {
  return (
    <li>
      <a href={href}>{name}</a>
      {children || <Skeleton lines={1} />}
    </li>
  );
}

function Figures({ status }: { status: SystemStatus | undefined }) {
  const queue = useLive<Rows<QueueStatus>>("/queue/status/?page_size=1000", 5).data?.results;
  const running = useLive<Rows<unknown>>("/jobs/?status=RUNNING&page_size=1", 5).data?.count;
  const failed = useLive<Rows<unknown>>("/jobs/?status=FAILED&started=PT24H&page_size=1", 10).data?.count;
  const blocked = useLive<Rows<unknown>>("/jobs/?status=BLOCKED&page_size=1", 15).data?.count;
  const waiting = useLive<Rows<Ingest>>(
    `/ingests/?${WAITING.map((each) => `status=${each}`).join("&")}&order=transfer_started&page_size=1`,
    5,
  ).data;
  const oldest = queue?.map((each) => each.longest_queued).sort()[0];
  const late = waiting?.results[0];
  return (
    <ul class="figures span-all">
      <Figure
        name="Jobs queued"
        href={to("/queue")}
        value={status?.queue_depth}
        note={
          oldest ? (
            <>
              oldest <Time at={oldest} />
            </>
          ) : (
            "the queue is empty"
          )
        }
      />
      <Figure name="Jobs running" href={to("/jobs", { status: "RUNNING" })} value={running} note="right now" />
      <Figure
        name="Jobs failed"
        href={to("/jobs", { status: "FAILED", started: "PT24H" })}
        value={failed}
        note="changed in the last 24 hours"
        isBad={!!failed}
      />
      <Figure
        name="Jobs blocked"
        href={to("/jobs", { status: "BLOCKED" })}
        value={blocked}
        note="behind a failed one"
        isBad={!!blocked}
      />
      <Figure
        name="Files to ingest"
        href={to("/ingests", { status: [...WAITING] })}
        value={waiting?.count}
        note={
          late ? (
            <>
              oldest came <Time at={late.transfer_started} />
            </>
          ) : (
            "no file waits"
          )
        }
      />
    </ul>
  );
}

interface FigureProps {
  name: string;
  href: string;
  value: number | undefined;
  note: preact.ComponentChildren;
  isBad?: boolean;
}

function Figure({ name, href, value, note, isBad }: FigureProps) {
  return (
    <li class={isBad ? "is-bad" : ""}>
      <a href={href}>
        <span class="figure-name">{name}</span>
        {value === undefined ? (
          <span class="skeleton skeleton-figure" />
        ) : (
          <span class="figure-value">{short(value)}</span>
        )}
      </a>
      <small>{note}</small>
    </li>
  );
}

const useOutcomes = () => useLive<Rows<Outcome>>("/load/outcomes/?started=P7D&page_size=1000", 15);

function Throughput() {
  const outcomes = useOutcomes();
  const rows = outcomes.data?.results;
  const bars = useMemo(() => rows && hours(rows), [rows]);
  const ended = bars?.reduce((sum, bar) => sum + bar.parts.reduce((all, part) => all + part.value, 0), 0);
  return (
    <Panel
      title="Jobs that ended, by hour"
      aside={ended !== undefined && `${short(ended)} in ${SHOWN_HOURS} hours`}
      class="span-two"
    >
      {outcomes.error && !rows && <Refusal error={outcomes.error} />}
      {!bars ? (
        <Skeleton lines={5} />
      ) : ended ? (
        <Bars caption={`Jobs that ended in each of the last ${SHOWN_HOURS} hours`} bars={bars} />
      ) : (
        <Empty title="No job has ended in the last two days.">
          Drop a file where a <a href={to("/strikes")}>Strike</a> looks, or queue a job from the page of its{" "}
          <a href={to("/job-types")}>job type</a>.
        </Empty>
      )}
    </Panel>
  );
}

function hours(rows: readonly Outcome[]): Bar[] {
  const last = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  return Array.from({ length: SHOWN_HOURS }, (_, place) => {
    const start = last - (SHOWN_HOURS - 1 - place) * HOUR_MS;
    const here = rows.filter((row) => Date.parse(row.time) === start);
    const sum = (fits: (row: Outcome) => boolean): number => here.filter(fits).reduce((all, row) => all + row.count, 0);
    const date = new Date(start);
    const clock = `${String(date.getHours()).padStart(2, "0")}:00`;
    const day = date.toLocaleDateString("en", { weekday: "short" });
    return {
      label: `${day} ${clock}`,
      tick: date.getHours() % 12 === 0 ? (date.getHours() ? clock : day) : undefined,
      parts: [
        { name: "Completed", tone: "good", value: sum((row) => row.status === "COMPLETED") },
        ...CATEGORIES.map((category) => ({
          name: `Failed: ${categoryWord(category).toLowerCase()}`,
          tone: `category-${category.toLowerCase()}`,
          value: sum((row) => row.status === "FAILED" && row.category === category),
        })),
        { name: "Canceled", tone: "off", value: sum((row) => row.status === "CANCELED") },
      ],
    };
  });
}

const DAY_H = 24;

/** Failures of the last day beside those of the six days before: an absolute number alone says little. */
function Failures() {
  const outcomes = useOutcomes();
  const types = useLive<Rows<JobTypeStatus>>("/job-types/status/?started=PT24H&page_size=1000", 15).data?.results;
  const rows = outcomes.data?.results;
  const failing = types
    ?.map((each) => ({ type: each.job_type, counts: each.job_counts.filter((count) => count.status === "FAILED") }))
    .map((each) => ({ ...each, failed: each.counts.reduce((sum, count) => sum + count.count, 0) }))
    .filter((each) => each.failed)
    .sort((a, b) => b.failed - a.failed)
    .slice(0, 6);
  return (
    <Panel title="Failures against their own past" class="span-all">
      <div class="failures">
        {rows ? (
          <table>
            <caption class="unseen">Share of jobs that failed, by category of error</caption>
            <thead>
              <tr>
                <th>Fault of</th>
                <th class="figure">Last 24 hours</th>
                <th class="figure">Share</th>
                <th class="figure">Six days before</th>
                <th>Compared</th>
              </tr>
            </thead>
            <tbody>
              {CATEGORIES.map((category) => {
                const today = share(rows, category, true);
                const past = share(rows, category, false);
                return (
                  <tr key={category}>
                    <td data-name="Fault of">
                      <Category category={category} />
                    </td>
                    <td class="figure" data-name="Last 24 hours">
                      <a href={to("/jobs", { status: "FAILED", error_category: category, started: "PT24H" })}>
                        {short(today.failed)}
                      </a>
                    </td>
                    <td class="figure" data-name="Share">
                      {percent(today.rate)}
                    </td>
                    <td class="figure" data-name="Six days before">
                      {percent(past.rate)}
                    </td>
                    <td data-name="Compared">
                      <Compared today={today.rate} past={past.rate} hasPast={past.all > 0} />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        ) : (
          <Skeleton lines={4} />
        )}
        <div>
          <h3>What failed most in 24 hours</h3>
          {failing?.length === 0 && <p class="quiet">Nothing failed.</p>}
          <ul class="ranking">
            {failing?.map(({ type, failed, counts }) => (
              <li key={type.id}>
                <a href={to("/jobs", { status: "FAILED", job_type_id: type.id, started: "PT24H" })}>
                  {type.title || type.name} <span class="quiet">{type.version}</span>
                </a>
                <span>
                  {counts.map((count) => count.category && <Category key={count.category} category={count.category} />)}
                </span>
                <strong class="figure">{short(failed)}</strong>
              </li>
            ))}
          </ul>
        </div>
      </div>
    </Panel>
  );
}

function share(
  rows: readonly Outcome[],
  category: string,
  isToday: boolean,
): { failed: number; all: number; rate: number } {
  const border = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - (DAY_H - 1) * HOUR_MS;
  const here = rows.filter((row) => row.status !== "CANCELED" && Date.parse(row.time) >= border === isToday);
  const sum = (some: readonly Outcome[]): number => some.reduce((all, row) => all + row.count, 0);
  const failed = sum(here.filter((row) => row.status === "FAILED" && row.category === category));
  const all = sum(here);
  return { failed, all, rate: all ? failed / all : 0 };
}

function Compared({ today, past, hasPast }: { today: number; past: number; hasPast: boolean }) {
  if (!hasPast) return <span class="quiet">no past to compare with</span>;
  if (today > past * 1.5 && today - past > 0.01)
    return <Health tone="bad">{past ? `${(today / past).toFixed(1)} times as many` : "new"}</Health>;
  if (today < past * 0.67 && past - today > 0.01) return <Health tone="good">fewer than before</Health>;
  return <span class="quiet">as usual</span>;
}

function Resources({ status }: { status: SystemStatus | undefined }) {
  const load = useLive<Rows<Load>>("/load/?started=P1D&page_size=1000", 60).data?.results.at(-1);
  const resources = status?.resources;
  if (!status)
    return (
      <Panel title="Resources of all nodes">
        <Skeleton lines={5} />
      </Panel>
    );
  if (!resources)
    return (
      <Panel title="Resources of all nodes">
        <Empty title="No node has told what it has.">
          Nodes appear with their first offer. See the <a href={to("/nodes")}>nodes</a>.
        </Empty>
      </Panel>
    );
  const { total, scheduled, used } = resources;
  const shown: [string, "cpus" | "mem" | "disk" | "gpus", (value: number) => string][] = [
    ["CPUs", "cpus", cpus],
    ["Memory", "mem", mebibytes],
    ["Disk", "disk", mebibytes],
  ];
  if (total.gpus) shown.push(["GPUs", "gpus", cpus]);
  return (
    <Panel title="Resources of all nodes">
      <div class="meters">
        {shown.map(([label, name, say]) => (
          <Meter
            key={name}
            label={label}
            total={total[name]}
            text={`${say(scheduled[name])} of ${say(total[name])} scheduled, ${say(used[name])} used`}
            shares={[
              { name: "scheduled", tone: "scheduled", value: scheduled[name] },
              { name: "used", tone: "used", value: used[name] },
            ]}
          />
        ))}
      </div>
      {load && (
        <p class="panel-foot">
          At <Time at={load.time} />: {short(load.running_count)} ran, {short(load.queued_count)} queued,{" "}
          {short(load.pending_count)} pending. <a href={to("/load")}>Load over time</a>
        </p>
      )}
    </Panel>
  );
}
