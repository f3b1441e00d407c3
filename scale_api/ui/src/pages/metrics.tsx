// Daily figures: any kind, columns and choices, as a plot, a table, a CSV file and a picture.
import { useMemo, useRef } from "preact/hooks";
import { asQuery, query, setQuery } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count } from "../core/format";
import { useLive } from "../core/live";
import type { MetricsDetails, MetricsType, Plot } from "../core/types";
import { type Line, Lines } from "../parts/charts";
import { Days, Filters, Several } from "../parts/filters";
import { Empty, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { asCsv, save, savePicture } from "../parts/save";
import { type Column, Table } from "../parts/table";

const TONES = ["running", "bad", "good", "waiting", "category-system", "idle"];
const MOST = TONES.length;
const OF: Record<string, string> = { "job-types": "job types", ingests: "Strikes", errors: "errors" };
const DAY_MS = 86_400_000;
const MOST_DAYS = 3700; // of which each has a row

type MetricsColumn = MetricsType["columns"][number];

interface Series {
  name: string;
  tone: string;
  values: readonly (number | null)[];
}

export default function Metrics() {
  const types = useLive<Rows<MetricsType>>("/metrics/", 0).data?.results;
  const kind = query.value.get("kind") ?? "job-types";
  const details = useLive<MetricsDetails>(`/metrics/${encodeURIComponent(kind)}/`, 0);
  const known = details.data?.columns ?? [];
  const named = query.value.getAll("column").flatMap((name) => known.find((each) => each.name === name) ?? []);
  const columns = named.length ? named.slice(0, MOST) : known.slice(0, 1);
  const choices = query.value.getAll("choice_id").slice(0, MOST);
  const period = { started: query.value.get("started") ?? "P30D", ended: query.value.get("ended") };
  const asked =
    columns.length > 0 &&
    asQuery({ column: columns.map((each) => each.name), choice_id: choices, ...period, page_size: MOST });
  const plot = useLive<Rows<Plot>>(asked ? `/metrics/${encodeURIComponent(kind)}/plot-data/?${asked}` : null, 60);
  const plots = plot.data?.results;
  const days = useMemo(() => plots && daysOf(plots), [plots]);
  const series = useMemo(
    () => plots && days && seriesOf(plots, days, choices, details.data),
    [plots, days, details.data, choices.join()],
  );
  const times = useMemo(() => (days ?? []).map((day) => Date.parse(`${day}T00:00:00Z`) / 1000), [days]);
  const frame = useRef<HTMLDivElement>(null);
  const error = details.error ?? plot.error;
  const title = columns.map((each) => each.title).join(", ");
  const name = `${kind}-${columns.map((each) => each.name).join("-")}`;
  const room = Math.floor(MOST / Math.max(1, columns.length)) - choices.length;
  return (
    <Page title="Metrics" lead="What happened on each day (UTC). The figures of a day are computed once it is over.">
      <Filters>
        <label class="filter">
          <span>Figures of</span>
          <select
            value={kind}
            onChange={(event) =>
              setQuery({ kind: event.currentTarget.value, column: null, choice_id: null }, { replace: false })
            }
          >
            {(types ?? []).map((each) => (
              <option key={each.name} value={each.name}>
                {each.title}
              </option>
            ))}
          </select>
        </label>
        <Several
          name="column"
          label="Columns"
          groups={(details.data?.groups ?? []).map((group) => ({
            label: group.title,
            options: known
              .filter((each) => each.group === group.name)
              .map((each) => ({ value: each.name, label: each.title, isOff: !mayJoin(each, columns, choices.length) })),
          }))}
          chosen={columns.map((each) => ({ value: each.name, label: each.title }))}
          more="Add another"
          least={1}
        />
        <Several
          name="choice_id"
          label={`Only of ${OF[kind] ?? "these"}`}
          groups={[
            {
              label: "",
              options: (details.data?.choices ?? []).map((each) => ({
                value: String(each.id),
                label: titleOf(each),
                isOff: room < 1,
              })),
            },
          ]}
          chosen={choices.map((id) => ({ value: id, label: titleById(details.data, id) }))}
          none="All together"
          more="Add another"
        />
        <Days none="Last 30 days" />
      </Filters>
      {error && <Refusal error={error} />}
      {!series && !error && <Skeleton lines={8} />}
      {series && days && days.length === 0 && (
        <Panel>
          <Empty title="There are no figures of that time.">
            They are computed every night of the day that is over; choose a longer period, or come back tomorrow.
          </Empty>
        </Panel>
      )}
      {series && days && days.length > 0 && columns[0] && (
        <>
          <Panel
            title={title}
            aside={
              <div class="switches">
                <button type="button" class="slim" onClick={() => save(`${name}.csv`, asCsv("day", days, series))}>
                  Save as CSV
                </button>
                <button
                  type="button"
                  class="slim"
                  onClick={() => savePicture(`${name}.png`, frame.current, title, series)}
                >
                  Save as PNG
                </button>
              </div>
            }
          >
            {columns.map((each) => (
              <p key={each.name} class="quiet plot-of">
                {columns.length > 1 && <strong>{each.title}: </strong>}
                {each.description} {each.units !== "count" && `In ${each.units}.`}
              </p>
            ))}
            <div ref={frame}>
              <Lines caption={title} times={times} lines={series as readonly Line[]} height={300} isDaily />
            </div>
          </Panel>
          <h2 class="section">Day by day</h2>
          <Table
            caption={`${title}, day by day`}
            columns={[
              { name: "Day", cell: (place: number) => days[place] },
              ...series.map(
                (each): Column<number> => ({
                  name: each.name,
                  cell: (place) => (each.values[place] === null ? "–" : count(each.values[place] ?? 0)),
                  kind: "figure",
                }),
              ),
            ]}
            rows={days.map((_, place) => days.length - 1 - place)}
            rowKey={(place) => place}
            empty={null}
          />
        </>
      )}
    </Page>
  );
}

/** Lines share an axis, so what is counted is not drawn beside what is measured in seconds; and there are only MOST. */
function mayJoin(column: MetricsColumn, others: readonly MetricsColumn[], choices: number): boolean {
  return (others.length + 1) * Math.max(1, choices) <= MOST && others.every((each) => each.units === column.units);
}

function titleOf(choice: MetricsDetails["choices"][number]): string {
  return [choice.title || choice.name, choice.version].filter(Boolean).join(" ");
}

function titleById(details: MetricsDetails | undefined, id: string): string {
  const choice = details?.choices.find((each) => String(each.id) === id);
  return choice ? titleOf(choice) : id;
}

/** Every day from the first with a figure to the last: a day on which nothing happened has its place, too. */
function daysOf(plots: readonly Plot[]): string[] {
  const times = plots.flatMap((plot) => plot.values.map((value) => Date.parse(`${value.date}T00:00:00Z`)));
  if (!times.length) return [];
  const last = times.reduce((one, other) => Math.max(one, other));
  const first = times.reduce((one, other) => Math.min(one, other));
  const length = Math.min(MOST_DAYS, Math.round((last - first) / DAY_MS) + 1);
  return Array.from({ length }, (_, back) => new Date(last - (length - 1 - back) * DAY_MS).toISOString().slice(0, 10));
}

/** A line of each column and choice. What adds up is 0 on a day without; an average or an extreme is nothing. */
function seriesOf(
  plots: readonly Plot[],
  days: readonly string[],
  choices: readonly string[],
  details: MetricsDetails | undefined,
): Series[] {
  const ids = choices.length > 1 ? choices : [choices[0]];
  const made = plots.flatMap((plot) =>
    ids.map((id) => {
      const own = plot.values.filter((value) => choices.length < 2 || String(value.id) === id);
      const values = new Map(own.map((value) => [value.date, value.value]));
      const choice = id === undefined ? "" : titleById(details, id);
      const names = [choice, plots.length > 1 ? plot.column.title : ""].filter(Boolean);
      const none = plot.column.aggregate === "sum" ? 0 : null;
      return { name: names.join(": ") || "All together", values: days.map((day) => values.get(day) ?? none) };
    }),
  );
  return made.map((each, place) => ({ ...each, tone: TONES[place] ?? "idle" }));
}
