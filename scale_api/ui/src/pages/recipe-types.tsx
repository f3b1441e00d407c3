// All recipe types.
import { query, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count } from "../core/format";
import { useLive } from "../core/live";
import { may } from "../core/session";
import type { RecipeType } from "../core/types";
import { RecipeTypeLink } from "../parts/links";
import { Empty, None, Page, Panel } from "../parts/page";
import { Health } from "../parts/status";
import { type Column, Table } from "../parts/table";
import { Time } from "../parts/time";

const COLUMNS: readonly Column<RecipeType>[] = [
  { name: "Recipe type", cell: (type) => <RecipeTypeLink type={type} />, order: "name" },
  { name: "What it does", cell: (type) => type.description ?? <None />, kind: "wide" },
  { name: "Jobs", cell: (type) => count(type.definition.jobs.length), kind: "figure" },
  {
    name: "State",
    cell: (type) => <Health tone={type.is_active ? "good" : "off"}>{type.is_active ? "In use" : "Not in use"}</Health>,
    kind: "tight",
  },
  { name: "Started by", cell: (type) => (type.trigger_rule ? "a rule" : "people"), kind: "tight" },
  {
    name: "Recipes",
    kind: "tight",
    cell: (type) => (
      <a href={to("/recipes", { type_id: type.id })}>
        Show<span class="unseen"> those of {type.name}</span>
      </a>
    ),
  },
  { name: "Changed", cell: (type) => <Time at={type.last_modified} />, order: "last_modified", kind: "tight" },
];

export default function RecipeTypes() {
  const order = query.value.get("order") ?? "name";
  const live = useLive<Rows<RecipeType>>(`/recipe-types/?order=${encodeURIComponent(order)}&page_size=1000`, 10);
  return (
    <Page
      title="Recipe types"
      lead="A recipe type chains job types: what one makes, the next is given."
      actions={
        may("admin") && (
          <a class="button" href={to("/recipe-types/new")}>
            New recipe type
          </a>
        )
      }
    >
      <Table
        caption="Recipe types"
        columns={COLUMNS}
        rows={live.data?.results}
        rowKey={(type) => type.id}
        href={(type) => to(`/recipe-types/${type.id}`)}
        order={order}
        error={live.error}
        skeleton={4}
        empty={
          <Panel>
            <Empty title="There are no recipe types yet.">
              <a href={to("/recipe-types/new")}>Chain two job types</a> to make the first one.
            </Empty>
          </Panel>
        }
      />
    </Page>
  );
}
