// Where files are kept, and how full it is.
import { query } from "../core/address";
import type { Page as Rows } from "../core/api";
import { size } from "../core/format";
import { useLive } from "../core/live";
import type { Workspace } from "../core/types";
import { Meter } from "../parts/charts";
import { Empty, None, Page, Panel } from "../parts/page";
import { Health } from "../parts/status";
import { type Column, Table } from "../parts/table";
import { Time } from "../parts/time";

const COLUMNS: readonly Column<Workspace>[] = [
  { name: "Workspace", cell: (each) => each.title || each.name, order: "title" },
  { name: "Name", cell: (each) => <code>{each.name}</code>, order: "name" },
  { name: "What it is for", cell: (each) => each.description || <None />, kind: "wide" },
  {
    name: "State",
    cell: (each) => <Health tone={each.is_active ? "good" : "off"}>{each.is_active ? "In use" : "Archived"}</Health>,
    kind: "tight",
  },
  { name: "Used", cell: (each) => <Used workspace={each} /> },
  { name: "Served at", cell: (each) => (each.base_url ? <code>{each.base_url}</code> : "by Scale itself") },
  { name: "Changed", cell: (each) => <Time at={each.last_modified} />, order: "last_modified", kind: "tight" },
];

function Used({ workspace: { used_size: used, total_size: total } }: { workspace: Workspace }) {
  if (used === null || total === null) return <None />;
  return (
    <Meter
      label=""
      total={total}
      text={`${size(used)} of ${size(total)}`}
      shares={[{ name: "used", tone: "used", value: used }]}
    />
  );
}

export default function Workspaces() {
  const order = query.value.get("order") ?? "name";
  const live = useLive<Rows<Workspace>>(`/workspaces/?order=${encodeURIComponent(order)}&page_size=1000`, 15);
  return (
    <Page title="Workspaces" lead="A workspace is where files are kept: a directory, or a store that a broker knows.">
      <Table
        caption="Workspaces"
        columns={COLUMNS}
        rows={live.data?.results}
        rowKey={(each) => each.id}
        order={order}
        error={live.error}
        empty={
          <Panel>
            <Empty title="There are no workspaces yet.">
              Make one by <a href="/docs/api/">POST /workspaces/</a>; Strikes and products need one to store files in.
            </Empty>
          </Panel>
        }
      />
    </Page>
  );
}
