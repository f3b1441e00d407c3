// Sources and products: as a table, and where they lie on the globe.
import { useMemo, useState } from "preact/hooks";
import { asQuery, query, setQuery, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { absolute, many, size } from "../core/format";
import { useLive } from "../core/live";
import { isUtc } from "../core/settings";
import type { ScaleFile } from "../core/types";
import { Filters, LEAST_PART, PeriodChoice, Search } from "../parts/filters";
import { Footprints } from "../parts/map";
import { None, NoRows, Page, Panel } from "../parts/page";
import { type Column, Pager, pageNumber, pageSize, Table } from "../parts/table";
import { Moment, Time } from "../parts/time";

const KINDS = [
  { value: "products", label: "Products" },
  { value: "sources", label: "Sources" },
  { value: "files", label: "All files" },
] as const;
const FILTERS = ["file_name", "file_name_part", "started"] as const;
const NEWEST = "-last_modified";
const STEPS = 100;

const COLUMNS: readonly Column<ScaleFile>[] = [
  {
    name: "File",
    cell: (file) => <a href={to(`/files/${file.id}`)}>{file.file_name}</a>,
    order: "file_name",
    kind: "wide",
  },
  { name: "Media type", cell: (file) => file.media_type || <None />, order: "media_type" },
  { name: "Data types", cell: (file) => (file.data_type.length ? file.data_type.join(", ") : <None />) },
  { name: "Size", cell: (file) => size(file.file_size), order: "file_size", kind: "figure" },
  { name: "Recorded", cell: (file) => <Moment at={file.data_started} />, order: "data_started", kind: "tight" },
  { name: "Countries", cell: (file) => (file.countries.length ? file.countries.join(", ") : <None />) },
  { name: "Catalogued", cell: (file) => <Time at={file.created} />, order: "created", kind: "tight" },
  {
    name: "Content",
    kind: "tight",
    cell: (file) =>
      file.is_deleted ? (
        <span class="tag">deleted</span>
      ) : (
        <a href={file.url} download={file.file_name}>
          Download<span class="unseen"> {file.file_name}</span>
        </a>
      ),
  },
];

export default function Files() {
  const kind = KINDS.find((each) => each.value === query.value.get("kind"))?.value ?? "products";
  const rows = pageSize();
  const order = query.value.get("order") ?? NEWEST;
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.getAll(name)]));
  const live = useLive<Rows<ScaleFile>>(
    `/${kind}/?${asQuery({ ...wanted, order, page: pageNumber(), page_size: rows })}`,
    10,
  );
  const isFiltered = FILTERS.some((name) => query.value.has(name));
  return (
    <Page title="Files" aside={live.data && <span class="quiet figure">{many(live.data.count, "file")}</span>}>
      <Filters>
        <fieldset class="filter choices">
          <legend>Kind</legend>
          {KINDS.map((each) => (
            <button
              type="button"
              key={each.value}
              aria-pressed={each.value === kind}
              onClick={() =>
                setQuery({ kind: each.value === "products" ? null : each.value, page: null }, { replace: false })
              }
            >
              {each.label}
            </button>
          ))}
        </fieldset>
        <Search name="file_name_part" label="Name" placeholder="a part of it" least={LEAST_PART} isMain />
        <PeriodChoice />
      </Filters>
      {live.data && <MapOf files={live.data.results} />}
      <Table
        caption="Files"
        columns={COLUMNS}
        rows={live.data?.results}
        rowKey={(file) => file.id}
        href={(file) => to(`/files/${file.id}`)}
        order={order}
        error={live.error}
        isStale={live.isStale}
        empty={
          <Panel>
            <NoRows isFiltered={isFiltered} noun="file" all={to("/files", { kind })} title="There are none yet.">
              Sources come in through <a href={to("/strikes")}>Strikes</a>; <a href={to("/jobs")}>jobs</a> make
              products.
            </NoRows>
          </Panel>
        }
      />
      <Pager count={live.data?.count} size={rows} />
    </Page>
  );
}

/** The footprints of this page of the table, up to a time that the slider says. */
function MapOf({ files }: { files: readonly ScaleFile[] }) {
  const [share, setShare] = useState(STEPS);
  const placed = useMemo(() => files.filter((file) => file.geometry && !file.is_deleted), [files]);
  const times = placed.flatMap((file) => (file.data_started ? [Date.parse(file.data_started)] : []));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const until = share === STEPS ? Number.POSITIVE_INFINITY : first + ((last - first) * share) / STEPS;
  const shown = useMemo(
    () =>
      placed
        .filter((file) => !file.data_started || Date.parse(file.data_started) <= until)
        .map((file) => ({
          id: file.id,
          name: file.file_name,
          wkt: file.geometry ?? "",
          href: to(`/files/${file.id}`),
        })),
    [placed, until],
  );
  if (!placed.length) return null;
  return (
    <Panel title="Where they lie" class="spaced" aside={`${many(shown.length, "footprint")} of this page`}>
      <Footprints caption="Footprints of the files of this page" footprints={shown} />
      {times.length > 1 && last > first && (
        <label class="slider">
          <span>Recorded until {absolute(Math.min(until, last), isUtc.value)}</span>
          <input
            type="range"
            min="0"
            max={STEPS}
            value={share}
            onInput={(event) => setShare(Number(event.currentTarget.value))}
          />
        </label>
      )}
    </Panel>
  );
}
