// The directories that are watched, and whether each can be read.
import { query, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count } from "../core/format";
import { useLive } from "../core/live";
import { may } from "../core/session";
import type { Strike } from "../core/types";
import { Empty, None, Page, Panel } from "../parts/page";
import { Health } from "../parts/status";
import { type Column, Table } from "../parts/table";
import { Time } from "../parts/time";

const COLUMNS: readonly Column<Strike>[] = [
  {
    name: "Strike",
    cell: (strike) => <a href={to(`/strikes/${strike.id}`)}>{strike.title || strike.name}</a>,
    order: "name",
  },
  { name: "State", cell: (strike) => <StrikeState strike={strike} />, kind: "tight" },
  { name: "What is wrong", cell: (strike) => strike.last_error ?? <None />, kind: "wide" },
  { name: "Files there", cell: (strike) => count(strike.files_seen), kind: "figure" },
  { name: "Last look", cell: (strike) => <Time at={strike.last_scan} none="never" />, kind: "tight" },
  {
    name: "Files",
    kind: "tight",
    cell: (strike) => (
      <a href={to("/ingests", { strike_id: strike.id })}>
        Taken in<span class="unseen"> by {strike.name}</span>
      </a>
    ),
  },
];

export default function Strikes() {
  const order = query.value.get("order") ?? "name";
  const live = useLive<Rows<Strike>>(`/strikes/?order=${encodeURIComponent(order)}&page_size=1000`, 5);
  return (
    <Page
      title="Strikes"
      lead="A Strike watches a directory. What lands there is moved into a workspace and catalogued, and may start jobs."
      actions={
        may("operator") && (
          <a class="button" href={to("/strikes/new")}>
            New Strike
          </a>
        )
      }
    >
      <Table
        caption="Strikes"
        columns={COLUMNS}
        rows={live.data?.results}
        rowKey={(strike) => strike.id}
        href={(strike) => to(`/strikes/${strike.id}`)}
        order={order}
        error={live.error}
        skeleton={3}
        empty={
          <Panel>
            <Empty title="Nothing is watched yet.">
              <a href={to("/strikes/new")}>Make a Strike</a> of the directory in which your files arrive.
            </Empty>
          </Panel>
        }
      />
    </Page>
  );
}

export function StrikeState({ strike }: { strike: Strike }) {
  if (strike.last_error) return <Health tone="bad">Cannot read</Health>;
  if (strike.job?.status === "CANCELED") return <Health tone="off">Stopped</Health>;
  if (!strike.last_scan) return <Health tone="waiting">Starting</Health>;
  return <Health tone="good">Watching</Health>;
}
