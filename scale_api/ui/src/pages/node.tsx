// One machine: what it has, what of it is taken, and what runs on it.
import { to } from "../core/address";
import { now } from "../core/clock";
import { cpus, mebibytes, relative } from "../core/format";
import { useLive } from "../core/live";
import type { NodeDetails, RunningExecution } from "../core/types";
import { Meter } from "../parts/charts";
import { JobTypeLink } from "../parts/links";
import { Empty, Fact, Facts, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { PauseNode } from "../parts/pause";
import { type Column, Table } from "../parts/table";
import { Moment, Time, Took } from "../parts/time";
import { NodeState } from "./nodes";

const COLUMNS: readonly Column<RunningExecution>[] = [
  {
    name: "Job",
    cell: (exe) => <a href={to(`/jobs/${exe.job.id}`, { execution: exe.id })}>{exe.job.id}</a>,
    kind: "tight",
  },
  { name: "Type", cell: (exe) => <JobTypeLink type={exe.job.job_type} />, kind: "wide" },
  { name: "CPUs", cell: (exe) => cpus(exe.cpus_scheduled), kind: "figure" },
  { name: "Memory", cell: (exe) => mebibytes(exe.mem_scheduled), kind: "figure" },
  { name: "Disk", cell: (exe) => mebibytes(exe.disk_total_scheduled), kind: "figure" },
  { name: "Runs for", cell: (exe) => <Took start={exe.started} end={null} />, kind: "figure" },
];

export default function Node({ id }: { id: string }) {
  const live = useLive<NodeDetails>(`/nodes/${id}/`, 3);
  const node = live.data;
  const up: [string, string] = ["Nodes", to("/nodes")];
  if (!node)
    return (
      <Page title={`Node ${id}`} up={up}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  return (
    <Page
      title={node.hostname}
      up={up}
      aside={<NodeState node={node} isOnline={!node.disconnected} />}
      actions={node.is_active && <PauseNode node={node} onDone={live.reload} />}
    >
      {live.error && <Refusal error={live.error} />}
      <Why node={node} />
      <div class="halves">
        <Panel title="Resources">
          <Meters node={node} />
        </Panel>
        <Panel title="About">
          <Facts>
            <Fact name="Last offer">
              <Time at={node.last_offer} none="never" />
            </Fact>
            <Fact name="First seen">
              <Moment at={node.created} />
            </Fact>
            <Fact name="Agent's port">{node.port}</Fact>
            <Fact name="Agent's id">
              <code>{node.slave_id}</code>
            </Fact>
          </Facts>
        </Panel>
      </div>
      <h2 class="section">What runs here</h2>
      <Table
        caption="Executions that run on this node"
        columns={COLUMNS}
        rows={node.job_exes_running}
        rowKey={(exe) => exe.id}
        href={(exe) => to(`/jobs/${exe.job.id}`)}
        empty={
          <Panel>
            <Empty title="Nothing runs here now.">
              {node.is_paused || node.is_paused_errors
                ? "It is paused: nothing is started on it until it is resumed."
                : "The next offer of this node is matched with the queue."}
            </Empty>
          </Panel>
        }
      />
    </Page>
  );
}

/** Why it is not used, and what comes next. */
function Why({ node }: { node: NodeDetails }) {
  const {
    since,
    next_probe: probe,
    failures,
  } = (node.health ?? {}) as { since?: string; next_probe?: string; failures?: number };
  if (node.is_paused_errors)
    return (
      <div class="standing standing-failed">
        <p class="standing-reason">{node.pause_reason ?? "Paused because jobs failed here by faults of the system"}</p>
        <p class="quiet">
          {since && `Since ${relative(since, now.value)}`}
          {probe && `, the next job tries it ${relative(probe, now.value)}`}
          {failures ? `, ${failures} tries have failed` : ""}
        </p>
      </div>
    );
  if (node.is_paused)
    return (
      <div class="standing standing-queued">
        <p class="standing-reason">Paused: {node.pause_reason ?? "no reason was given"}</p>
      </div>
    );
  if (node.disconnected)
    return (
      <div class="standing standing-failed">
        <p class="standing-reason">The Mesos master has lost its agent</p>
        <p class="quiet">What ran there is tried again elsewhere once Mesos has given it up.</p>
      </div>
    );
  return null;
}

function Meters({ node }: { node: NodeDetails }) {
  if (!node.resources) return <Empty title="It has not told what it has.">It does with its first offer.</Empty>;
  const { total, scheduled, used } = node.resources;
  const names = (["cpus", "mem", "disk", "gpus"] as const).filter((name) => name !== "gpus" || total.gpus);
  const words = { cpus: "CPUs", mem: "Memory", disk: "Disk", gpus: "GPUs" };
  return (
    <div class="meters">
      {names.map((name) => {
        const say = name === "cpus" || name === "gpus" ? cpus : mebibytes;
        return (
          <Meter
            key={name}
            label={words[name]}
            total={total[name]}
            text={`${say(scheduled[name])} of ${say(total[name])} scheduled, ${say(used[name])} used`}
            shares={[
              { name: "scheduled", tone: "scheduled", value: scheduled[name] },
              { name: "used", tone: "used", value: used[name] },
            ]}
          />
        );
      })}
    </div>
  );
}
