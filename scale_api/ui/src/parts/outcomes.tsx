// How jobs ended: hour by hour, and their failures beside those of the days before.
import { useMemo } from "preact/hooks";
import { to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { percent, short } from "../core/format";
import { useLive } from "../core/live";
import { CATEGORIES, type JobTypeStatus, type Outcome } from "../core/types";
import { type Bar, Bars } from "./charts";
import { ENDED } from "./many-jobs";
import { Empty, Panel, Refusal, Skeleton } from "./page";
import { Category, categoryWord, Health } from "./status";

const HOUR_MS = 3_600_000;
const SHOWN_HOURS = 48;

const useOutcomes = () => useLive<Rows<Outcome>>("/load/outcomes/?started=P7D&page_size=1000", 15);

export function Throughput() {
  const outcomes = useOutcomes();
  const rows = outcomes.data?.results;
  const bars = useMemo(() => rows && hours(rows), [rows]);
  const ended = bars?.reduce((sum, bar) => sum + bar.parts.reduce((all, part) => all + part.value, 0), 0);
  return (
    <Panel
      title="Jobs that ended, by hour"
      aside={
        ended !== undefined && (
          <a href={to("/jobs", { status: [...ENDED], started: `PT${SHOWN_HOURS}H` })}>
            {short(ended)} in {SHOWN_HOURS} hours
          </a>
        )
      }
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
      href: to("/jobs", {
        status: [...ENDED],
        started: date.toISOString(),
        ended: new Date(start + HOUR_MS).toISOString(),
      }),
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
export function Failures() {
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
                      <a
                        href={to("/jobs", {
                          status: "FAILED",
                          error_category: category,
                          started: "P7D",
                          ended: "PT24H",
                        })}
                      >
                        {percent(past.rate)}
                      </a>
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
