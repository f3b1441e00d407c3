// Daily figures: any kind, column and choice, as a plot, a table, a CSV file and a picture.
import { useMemo, useRef } from "preact/hooks";
import { asQuery, query, setQuery } from "../core/address";
import type { Page as Rows } from "../core/api";
import { count } from "../core/format";
import { useLive } from "../core/live";
import type { MetricsDetails, MetricsType, Plot } from "../core/types";
import { type Line, Lines } from "../parts/charts";
import { Choice, Filters } from "../parts/filters";
import { Empty, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { type Column, Table } from "../parts/table";

const PERIODS = [
  { value: "P7D", label: "Last week" },
  { value: "P90D", label: "Last 90 days" },
  { value: "P365D", label: "Last year" },
];
const TONES = ["running", "bad", "good", "waiting", "category-system", "idle"];
const MOST = TONES.length;

interface Series {
  name: string;
  values: Map<string, number>;
}

export default function Metrics() {
  const types = useLive<Rows<MetricsType>>("/metrics/", 0).data?.results;
  const kind = query.value.get("kind") ?? "job-types";
  const details = useLive<MetricsDetails>(`/metrics/${encodeURIComponent(kind)}/`, 0);
  const columns = details.data?.columns ?? [];
  const column = columns.find((each) => each.name === query.value.get("column")) ?? columns[0];
  const chosen = query.value.getAll("choice_id").slice(0, MOST);
  const started = query.value.get("started") ?? "P30D";
  const asked = column && asQuery({ column: column.name, choice_id: chosen, started, page_size: 10 });
  const plot = useLive<Rows<Plot>>(asked ? `/metrics/${encodeURIComponent(kind)}/plot-data/?${asked}` : null, 60);
  const data = plot.data?.results[0];
  const series = useMemo(() => data && seriesOf(data, details.data, chosen), [data, details.data, chosen.join()]);
  const days = useMemo(() => [...new Set(series?.flatMap((each) => [...each.values.keys()]))].sort(), [series]);
  const times = useMemo(() => days.map((day) => Date.parse(`${day}T00:00:00Z`) / 1000), [days]);
  const lines = useMemo(
    () =>
      (series ?? []).map(
        (each, place): Line => ({
          name: each.name,
          tone: TONES[place] ?? "idle",
          values: days.map((day) => each.values.get(day) ?? 0),
        }),
      ),
    [series, days],
  );
  const frame = useRef<HTMLDivElement>(null);
  const error = details.error ?? plot.error;
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
        <label class="filter">
          <span>Column</span>
          <select
            value={column?.name}
            onChange={(event) => setQuery({ column: event.currentTarget.value }, { replace: false })}
          >
            {(details.data?.groups ?? []).map((group) => (
              <optgroup key={group.name} label={group.title}>
                {columns
                  .filter((each) => each.group === group.name)
                  .map((each) => (
                    <option key={each.name} value={each.name}>
                      {each.title}
                    </option>
                  ))}
              </optgroup>
            ))}
          </select>
        </label>
        <Choice name="started" label="Period" options={PERIODS} none="Last 30 days" />
        <label class="filter">
          <span>Only, one by one</span>
          <select
            value=""
            disabled={chosen.length >= MOST}
            onChange={(event) => setQuery({ choice_id: [...chosen, event.currentTarget.value] }, { replace: false })}
          >
            <option value="">{chosen.length ? "And another" : "All together"}</option>
            {(details.data?.choices ?? [])
              .filter((each) => !chosen.includes(String(each.id)))
              .map((each) => (
                <option key={each.id} value={String(each.id)}>
                  {titleOf(each)}
                </option>
              ))}
          </select>
        </label>
      </Filters>
      {error && <Refusal error={error} />}
      {!series && !error && <Skeleton lines={8} />}
      {series && days.length === 0 && (
        <Panel>
          <Empty title="There are no figures of that time.">
            They are computed every night of the day that is over; choose a longer period, or come back tomorrow.
          </Empty>
        </Panel>
      )}
      {series && days.length > 0 && column && (
        <>
          <Panel
            title={column.title}
            aside={
              <div class="switches">
                <button
                  type="button"
                  class="slim"
                  onClick={() => save(`${kind}-${column.name}.csv`, asCsv(days, series))}
                >
                  Save as CSV
                </button>
                <button
                  type="button"
                  class="slim"
                  onClick={() => savePicture(frame.current, `${kind}-${column.name}.png`)}
                >
                  Save as PNG
                </button>
              </div>
            }
          >
            <p class="quiet">
              {column.description} {column.units !== "count" && `In ${column.units}.`}
            </p>
            <div ref={frame}>
              <Lines caption={column.title} times={times} lines={lines} height={300} />
            </div>
          </Panel>
          <h2 class="section">Day by day</h2>
          <Table
            caption={`${column.title}, day by day`}
            columns={[
              { name: "Day", cell: (day: string) => day },
              ...series.map(
                (each): Column<string> => ({
                  name: each.name,
                  cell: (day) => count(each.values.get(day) ?? 0),
                  kind: "figure",
                }),
              ),
            ]}
            rows={[...days].reverse()}
            rowKey={(day) => day}
            empty={null}
          />
        </>
      )}
    </Page>
  );
}

function titleOf(choice: MetricsDetails["choices"][number]): string {
  return [choice.title || choice.name, choice.version].filter(Boolean).join(" ");
}

function seriesOf(plot: Plot, details: MetricsDetails | undefined, chosen: readonly string[]): Series[] {
  if (!plot.values.length) return [];
  const ids = chosen.length > 1 ? chosen.map(Number) : [undefined];
  return ids.map((id) => {
    const only = id ?? (chosen.length === 1 ? Number(chosen[0]) : undefined);
    const choice = details?.choices.find((each) => each.id === only);
    const values = plot.values.filter((value) => id === undefined || value.id === id);
    return {
      name: choice ? titleOf(choice) : "All together",
      values: new Map(values.map((value) => [value.date, value.value])),
    };
  });
}

function asCsv(days: readonly string[], series: readonly Series[]): Blob {
  const cell = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = [
    ["day", ...series.map((each) => cell(each.name))],
    ...days.map((day) => [day, ...series.map((each) => String(each.values.get(day) ?? 0))]),
  ];
  return new Blob([rows.map((row) => `${row.join(",")}\r\n`).join("")], { type: "text/csv" });
}

function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function savePicture(frame: HTMLElement | null, name: string): void {
  frame?.querySelector("canvas")?.toBlob((content) => content && save(name, content));
}
