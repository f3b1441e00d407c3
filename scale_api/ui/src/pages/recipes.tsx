// Recipes as a grid: a row is a recipe, a column the part that a job plays, a cell what became of it. What fails again
// and again, and what is stuck, shows as a pattern.
import { asQuery, query, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { between, count, duration } from "../core/format";
import { useLive } from "../core/live";
import type { JobState, RecipeType, RecipeWithJobs } from "../core/types";
import { Choice, Filters, PeriodChoice } from "../parts/filters";
import { RecipeTypeLink } from "../parts/links";
import { None, NoRows, Page, Panel } from "../parts/page";
import { categoryWord, Health, Status, StatusGlyph, tone, word } from "../parts/status";
import { type Column, Pager, pageNumber, pageSize, Table } from "../parts/table";
import { Time, Took } from "../parts/time";

const FILTERS = ["type_id", "started"] as const;
const NEWEST = "-created";
const SHOWN: readonly JobState["status"][] = [
  "COMPLETED",
  "RUNNING",
  "QUEUED",
  "PENDING",
  "FAILED",
  "BLOCKED",
  "CANCELED",
];

export default function Recipes() {
  const size = pageSize(25);
  const order = query.value.get("order") ?? NEWEST;
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.getAll(name)]));
  const live = useLive<Rows<RecipeWithJobs>>(
    `/recipes/jobs/?${asQuery({ ...wanted, order, page: pageNumber(), page_size: size })}`,
    4,
  );
  const types =
    useLive<Rows<RecipeType>>("/recipe-types/?order=name&order=version&page_size=1000", 0).data?.results ?? [];
  const rows = live.data?.results;
  const isFiltered = FILTERS.some((name) => query.value.has(name));
  const columns: readonly Column<RecipeWithJobs>[] = [
    { name: "Recipe", cell: (row) => <a href={to(`/recipes/${row.id}`)}>{row.id}</a>, order: "id", kind: "tight" },
    { name: "Type", cell: (row) => <RecipeTypeLink type={row.recipe_type} />, order: "recipe_type__name" },
    { name: "Stands", cell: (row) => <Standing recipe={row} />, kind: "tight" },
    { name: "Jobs", cell: (row) => <Cells recipe={row} />, kind: "wide" },
    { name: "Took", cell: (row) => <Took start={row.created} end={row.completed ?? lastEnd(row)} />, kind: "figure" },
    { name: "Started", cell: (row) => <Time at={row.created} />, order: "created", kind: "tight" },
  ];
  return (
    <Page title="Recipes" aside={live.data && <span class="quiet figure">{count(live.data.count)}</span>}>
      <Filters>
        <Choice
          name="type_id"
          label="Recipe type"
          options={types.map((type) => ({
            value: String(type.id),
            label: `${type.title || type.name} ${type.version}`,
          }))}
        />
        <PeriodChoice />
        <p class="legend-bar">
          {SHOWN.map((status) => (
            <Status key={status} status={status} />
          ))}
        </p>
      </Filters>
      <Table
        caption="Recipes"
        columns={columns}
        rows={rows}
        rowKey={(row) => row.id}
        href={(row) => to(`/recipes/${row.id}`)}
        order={order}
        error={live.error}
        isStale={live.isStale}
        empty={
          <Panel>
            <NoRows isFiltered={isFiltered} noun="recipe" all={to("/recipes")} title="No recipe has been started yet.">
              A file that meets the rule of a <a href={to("/recipe-types")}>recipe type</a> starts one; so does the
              command <code>scale recipe run</code>.
            </NoRows>
          </Panel>
        }
      />
      <Pager count={live.data?.count} size={size} />
    </Page>
  );
}

function lastEnd(recipe: RecipeWithJobs): string | undefined {
  const isOpen = recipe.jobs.some((job) => ["QUEUED", "RUNNING"].includes(job.status));
  return isOpen
    ? undefined
    : recipe.jobs
        .map((job) => job.ended ?? "")
        .sort()
        .at(-1) || undefined;
}

function Cells({ recipe }: { recipe: RecipeWithJobs }) {
  if (!recipe.jobs.length) return <None />;
  return (
    <ul class="cells">
      {recipe.jobs.map((job) => {
        const took = between(job.started, job.ended);
        const text = `${job.job_name}: ${word(job.status)}${job.category ? ` by fault of ${categoryWord(job.category)}` : ""}`;
        return (
          <li key={job.id}>
            <a
              class={`cell cell-${tone(job.status)}`}
              href={to(`/jobs/${job.id}`)}
              title={took === undefined ? text : `${text}, ${duration(took)}`}
              aria-label={text}
            >
              <StatusGlyph status={job.status} />
              <span>{job.job_name}</span>
            </a>
          </li>
        );
      })}
    </ul>
  );
}

/** Of all its jobs the worst: what needs somebody comes first. */
export function Standing({
  recipe,
}: {
  recipe: { completed: string | null; jobs: readonly { status: JobState["status"] }[] };
}) {
  const has = (...some: JobState["status"][]): boolean => recipe.jobs.some((job) => some.includes(job.status));
  if (recipe.completed) return <Health tone="good">Completed</Health>;
  if (has("FAILED")) return <Health tone="bad">Failed</Health>;
  if (has("CANCELED", "BLOCKED")) return <Health tone="off">Blocked</Health>;
  if (has("RUNNING")) return <Status status="RUNNING" />;
  if (has("QUEUED")) return <Status status="QUEUED" />;
  return <Status status="PENDING" />;
}
