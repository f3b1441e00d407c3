// Is everything running, how much waits, and does more fail than usual?
import { useState } from "preact/hooks";
import { to } from "../core/address";
import { change, type Page as Rows } from "../core/api";
import { now } from "../core/clock";
import { cpus, mebibytes, relative, short } from "../core/format";
import { useLive } from "../core/live";
import { attempt } from "../core/toasts";
import type { Ingest, Load, NodeStatus, QueueStatus, Strike, SystemStatus } from "../core/types";
import { Meter } from "../parts/charts";
import { Question } from "../parts/dialog";
import { Failures, Throughput } from "../parts/outcomes";
import { Empty, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Health } from "../parts/status";
import { Time } from "../parts/time";

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
    <Panel title="Resources of all nodes" aside={<a href={to("/nodes")}>Node by node</a>}>
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
