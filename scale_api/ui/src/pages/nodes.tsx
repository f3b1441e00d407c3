// The machines: which are there, what each does, and which are paused and why.
import { query, setQuery, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count } from "../core/format";
import { useLive } from "../core/live";
import type { Node, NodeStatus, StatusCount } from "../core/types";
import { Empty, None, Page, Panel } from "../parts/page";
import { PauseNode } from "../parts/pause";
import { Health } from "../parts/status";
import { type Column, Table } from "../parts/table";
import { Moment, Time } from "../parts/time";

export default function Nodes() {
  const live = useLive<Rows<NodeStatus>>("/nodes/status/?page_size=1000", 4);
  const wantsInactive = query.value.has("inactive");
  const inactive = useLive<Rows<Node>>(
    wantsInactive ? "/nodes/?include_inactive=true&order=hostname&page_size=1000" : null,
    30,
  ).data?.results.filter((node) => !node.is_active);
  const rows = live.data?.results;
  const columns: readonly Column<NodeStatus>[] = [
    { name: "Node", cell: ({ node }) => <a href={to(`/nodes/${node.id}`)}>{node.hostname}</a> },
    { name: "State", cell: (each) => <NodeState node={each.node} isOnline={each.is_online} />, kind: "tight" },
    { name: "Reason", cell: ({ node }) => node.pause_reason ?? <None />, kind: "wide" },
    { name: "Running", cell: (each) => count(each.job_exes_running.length), kind: "figure" },
    { name: "Completed in 3 h", cell: (each) => count(sum(each.job_exe_counts, "COMPLETED")), kind: "figure" },
    { name: "Failed in 3 h", cell: (each) => <Failed counts={each.job_exe_counts} />, kind: "figure" },
    { name: "Last offer", cell: ({ node }) => <Time at={node.last_offer} none="never" />, kind: "tight" },
    { name: "Pause", cell: ({ node }) => <PauseNode node={node} onDone={live.reload} class="slim" />, kind: "tight" },
  ];
  return (
    <Page
      title="Nodes"
      aside={
        rows && (
          <span class="quiet">
            {count(rows.filter((each) => each.is_online).length)} of {count(rows.length)} online
          </span>
        )
      }
      actions={
        <button
          type="button"
          aria-pressed={wantsInactive}
          onClick={() => setQuery({ inactive: wantsInactive ? null : "1" })}
        >
          Show those no longer used
        </button>
      }
    >
      <Table
        caption="Nodes"
        columns={columns}
        rows={rows}
        rowKey={({ node }) => node.id}
        href={({ node }) => to(`/nodes/${node.id}`)}
        error={live.error}
        empty={
          <Panel>
            <Empty title="There are no nodes yet.">
              A node appears with its first offer. Does the <a href={to("/scheduler")}>scheduler</a> reach the Mesos
              master, and has the master agents?
            </Empty>
          </Panel>
        }
      />
      {wantsInactive && (
        <>
          <h2 class="section">No longer used</h2>
          <Table
            caption="Nodes that are no longer used"
            columns={[
              { name: "Node", cell: (node: Node) => <a href={to(`/nodes/${node.id}`)}>{node.hostname}</a> },
              { name: "Since", cell: (node: Node) => <Moment at={node.archived} /> },
              { name: "First seen", cell: (node: Node) => <Moment at={node.created} /> },
            ]}
            rows={inactive}
            rowKey={(node) => node.id}
            skeleton={2}
            empty={
              <Panel>
                <Empty title="Every node that was ever seen is still used." />
              </Panel>
            }
          />
        </>
      )}
    </Page>
  );
}

type StateOf = Pick<Node, "is_active" | "is_paused" | "is_paused_errors">;

export function NodeState({ node, isOnline }: { node: StateOf; isOnline: boolean }) {
  if (!node.is_active) return <Health tone="off">Not used</Health>;
  if (!isOnline) return <Health tone="bad">Offline</Health>;
  if (node.is_paused_errors) return <Health tone="bad">Paused by errors</Health>;
  if (node.is_paused) return <Health tone="waiting">Paused</Health>;
  return <Health tone="good">Online</Health>;
}

function sum(counts: readonly StatusCount[], status: string): number {
  return counts.filter((each) => each.status === status).reduce((all, each) => all + each.count, 0);
}

function Failed({ counts }: { counts: readonly StatusCount[] }) {
  const failed = sum(counts, "FAILED");
  return <span class={failed ? "tone-bad" : ""}>{count(failed)}</span>;
}
