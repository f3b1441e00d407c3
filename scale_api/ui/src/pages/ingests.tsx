// Files as they come in: how many in each hour, and what became of each.
import { useMemo } from "preact/hooks";
import { asQuery, query, setQuery, to } from "../core/address";
import { change, type Page as Rows } from "../core/api";
import { count, many, size } from "../core/format";
import { useLive } from "../core/live";
import { attempt } from "../core/toasts";
import type { Ingest, IngestHours, IngestStatus, Strike } from "../core/types";
import { type Bar, Bars } from "../parts/charts";
import { Choice, Choices, Filters, LEAST_PART, PeriodChoice, Search } from "../parts/filters";
import { Empty, None, NoRows, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Status, word } from "../parts/status";
import { type Column, Pager, pageNumber, pageSize, Table } from "../parts/table";
import { Time } from "../parts/time";

const STATUSES: readonly IngestStatus[] = [
  "TRANSFERRING",
  "TRANSFERRED",
  "QUEUED",
  "INGESTING",
  "INGESTED",
  "DEFERRED",
  "DUPLICATE",
  "ERRORED",
];
const FILTERS = ["status", "strike_id", "file_name", "file_name_part", "started"] as const;
const NEWEST = "-last_modified";

export default function Ingests() {
  const rows = pageSize();
  const order = query.value.get("order") ?? NEWEST;
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.getAll(name)]));
  const live = useLive<Rows<Ingest>>(
    `/ingests/?${asQuery({ ...wanted, order, page: pageNumber(), page_size: rows })}`,
    4,
  );
  const strikes = useLive<Rows<Strike>>("/strikes/?order=name&page_size=1000", 0).data?.results ?? [];
  const retry = (ingest: Ingest): Promise<unknown> =>
    attempt(`${ingest.file_name} is tried again`, () => change("POST", `/ingests/${ingest.id}/retry/`, {})).then(
      live.reload,
    );
  const columns: readonly Column<Ingest>[] = [
    { name: "File", cell: (row) => <FileName row={row} />, order: "file_name" },
    { name: "Status", cell: (row) => <Status status={row.status} />, order: "status", kind: "tight" },
    { name: "Why", cell: (row) => row.reason ?? <None />, kind: "wide" },
    {
      name: "Strike",
      cell: (row) => <a href={to(`/strikes/${row.strike.id}`)}>{row.strike.title || row.strike.name}</a>,
    },
    { name: "Size", cell: (row) => size(row.file_size ?? row.bytes_transferred), order: "file_size", kind: "figure" },
    {
      name: "Job",
      cell: (row) => (row.job ? <a href={to(`/jobs/${row.job.id}`)}>{row.job.id}</a> : <None />),
      kind: "figure",
    },
    { name: "Changed", cell: (row) => <Time at={row.last_modified} />, order: "last_modified", kind: "tight" },
    {
      name: "Again",
      kind: "tight",
      cell: (row) =>
        row.status === "ERRORED" ? (
          <button type="button" class="slim" onClick={() => retry(row)}>
            Retry<span class="unseen"> {row.file_name}</span>
          </button>
        ) : (
          <None> </None>
        ),
    },
  ];
  const isFiltered = FILTERS.some((name) => query.value.has(name));
  return (
    <Page title="Ingest" aside={live.data && <span class="quiet figure">{many(live.data.count, "file")}</span>}>
      <Hours />
      <h2 class="section">File by file</h2>
      <Filters>
        <Choices name="status" label="Status" options={STATUSES.map((value) => ({ value, label: word(value) }))} />
        <Choice
          name="strike_id"
          label="Strike"
          options={strikes.map((strike) => ({ value: String(strike.id), label: strike.title || strike.name }))}
        />
        <PeriodChoice />
        <Search name="file_name_part" label="Name of the file" placeholder="a part of it" least={LEAST_PART} isMain />
      </Filters>
      <Table
        caption="Files as they came in"
        columns={columns}
        rows={live.data?.results}
        rowKey={(row) => row.id}
        order={order}
        error={live.error}
        isStale={live.isStale}
        empty={
          <Panel>
            <NoRows isFiltered={isFiltered} noun="file" all={to("/ingests")} title="No file has come in yet.">
              Copy one into the directory of a <a href={to("/strikes")}>Strike</a>.
            </NoRows>
          </Panel>
        }
      />
      <Pager count={live.data?.count} size={rows} />
    </Page>
  );
}

function FileName({ row }: { row: Ingest }) {
  if (!row.source_file) return <>{row.file_name}</>;
  return <a href={to(`/files/${row.source_file.id}`)}>{row.file_name}</a>;
}

const HOURS = new Map([
  ["PT48H", 48],
  ["P7D", 168],
]);
const HOUR_MS = 3_600_000;

/** Files or bytes per hour, one row of bars for each Strike. */
function Hours() {
  const period = query.value.get("period") === "P7D" ? "P7D" : "PT48H";
  const byData = query.value.get("by") === "data";
  const ofBytes = query.value.get("of") === "bytes";
  const live = useLive<Rows<IngestHours>>(
    `/ingests/status/?${asQuery({ started: period, use_ingest_time: byData ? "false" : "true", page_size: 1000 })}`,
    30,
  );
  const strikes = live.data?.results;
  const shown = useMemo(
    () => strikes?.map((each) => ({ ...each, bars: bars(each, HOURS.get(period) ?? 48, ofBytes) })),
    [strikes, period, ofBytes],
  );
  return (
    <Panel
      title={`${ofBytes ? "Bytes" : "Files"} per hour`}
      aside={
        <div class="switches">
          <Switch name="of" value="bytes" off="Files" on="Bytes" />
          <Switch name="by" value="data" off="When ingested" on="When recorded" />
          <Switch name="period" value="P7D" off="2 days" on="7 days" />
        </div>
      }
    >
      {live.error && <Refusal error={live.error} />}
      {!shown && !live.error && <Skeleton lines={5} />}
      {shown?.length === 0 && (
        <Empty title="Nothing is watched.">
          <a href={to("/strikes/new")}>Make a Strike</a>: it takes in what lands in a directory.
        </Empty>
      )}
      <ul class="feeds">
        {shown?.map(({ strike, files, size: bytes, most_recent: latest, bars: made }) => (
          <li key={strike.id}>
            <h3>
              <a href={to(`/strikes/${strike.id}`)}>{strike.title || strike.name}</a>
            </h3>
            <p class="quiet">
              {many(files, "file")}, {size(bytes)}
              {latest && (
                <>
                  , the last <Time at={latest} />
                </>
              )}
            </p>
            <Bars
              caption={`${strike.title || strike.name}: ${ofBytes ? "bytes" : "files"} per hour`}
              bars={made}
              isSmall={!!shown && shown.length > 1}
            />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** Two choices, one of them in the address. */
function Switch({ name, value, off, on }: { name: string; value: string; off: string; on: string }) {
  const isOn = query.value.get(name) === value;
  return (
    <span class="choices">
      <button type="button" class="slim" aria-pressed={!isOn} onClick={() => setQuery({ [name]: null })}>
        {off}
      </button>
      <button type="button" class="slim" aria-pressed={isOn} onClick={() => setQuery({ [name]: value })}>
        {on}
      </button>
    </span>
  );
}

function bars(each: IngestHours, hours: number, ofBytes: boolean): Bar[] {
  const known = new Map(each.values.map((hour) => [Date.parse(hour.time), hour]));
  const last = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  return Array.from({ length: hours }, (_, place) => {
    const start = last - (hours - 1 - place) * HOUR_MS;
    const date = new Date(start);
    const hour = known.get(start);
    const day = date.toLocaleDateString("en", { weekday: "short" });
    const clock = `${String(date.getHours()).padStart(2, "0")}:00`;
    const isMarked = hours > 48 ? date.getHours() === 0 : date.getHours() % 12 === 0;
    return {
      label: `${day} ${clock}`,
      tick: isMarked ? (date.getHours() ? clock : day) : undefined,
      parts: [
        ofBytes
          ? { name: "Bytes", tone: "running", value: hour?.size ?? 0, text: size(hour?.size ?? 0) }
          : { name: "Files", tone: "running", value: hour?.files ?? 0, text: count(hour?.files ?? 0) },
      ],
    };
  });
}
