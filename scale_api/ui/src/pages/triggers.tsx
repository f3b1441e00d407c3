// What happened, and what it started: files that met a rule, the clock, people. A rule that could start nothing says why.
import { asQuery, query, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { many } from "../core/format";
import { useLive } from "../core/live";
import type { TriggerEvent } from "../core/types";
import { Choice, Filters, PeriodChoice, Search } from "../parts/filters";
import { NoRows, Page, Panel } from "../parts/page";
import { type Column, Pager, pageNumber, pageSize, Table } from "../parts/table";
import { Time } from "../parts/time";
import { Cause, Outcome, RuleTarget, useRules } from "../parts/trigger";

const FILTERS = ["type", "has_error", "file_name", "rule_id", "started"] as const;
const TYPES = [
  { value: "INGEST", label: "File ingested" },
  { value: "PARSE", label: "File parsed" },
  { value: "USER", label: "Person" },
  { value: "STRIKE_CREATED", label: "Strike made" },
];

export default function Triggers() {
  const size = pageSize();
  const order = query.value.get("order") ?? "-occurred";
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.getAll(name)]));
  const live = useLive<Rows<TriggerEvent>>(
    `/trigger-events/?${asQuery({ ...wanted, order, page: pageNumber(), page_size: size })}`,
    4,
  );
  const rules = useRules();
  const isFiltered = FILTERS.some((name) => query.value.has(name));
  const columns: readonly Column<TriggerEvent>[] = [
    {
      name: "Event",
      cell: (event) => <a href={to(`/triggers/${event.id}`)}>{event.id}</a>,
      order: "id",
      kind: "tight",
    },
    { name: "What happened", cell: (event) => <Cause event={event} />, order: "type" },
    { name: "Rule of", cell: (event) => <RuleTarget rule={event.rule && rules.get(event.rule.id)} /> },
    { name: "Outcome", cell: (event) => <Outcome event={event} />, kind: "wide" },
    { name: "When", cell: (event) => <Time at={event.occurred} />, order: "occurred", kind: "tight" },
  ];
  return (
    <Page
      title="Triggers"
      lead="What started jobs and recipes. Where a rule was met but could start nothing, the file stays as it is."
      aside={live.data && <span class="quiet figure">{many(live.data.count, "event")}</span>}
    >
      <Filters>
        <Search name="file_name" label="File name" placeholder="the whole name" isMain />
        <Choice name="type" label="What happened" options={TYPES} />
        <Choice
          name="has_error"
          label="Outcome"
          options={[
            { value: "true", label: "Could start nothing" },
            { value: "false", label: "Started" },
          ]}
        />
        <PeriodChoice label="When" />
      </Filters>
      <Table
        caption="Trigger events"
        columns={columns}
        rows={live.data?.results}
        rowKey={(event) => event.id}
        href={(event) => to(`/triggers/${event.id}`)}
        order={order}
        error={live.error}
        isStale={live.isStale}
        empty={
          <Panel>
            <NoRows isFiltered={isFiltered} noun="event" all={to("/triggers")} title="Nothing has happened yet.">
              A <a href={to("/job-types")}>job type</a> or <a href={to("/recipe-types")}>recipe type</a> with a trigger
              rule starts when a file meets it.
            </NoRows>
          </Panel>
        }
      />
      <Pager count={live.data?.count} size={size} />
    </Page>
  );
}
