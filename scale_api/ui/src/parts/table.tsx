// Lists: a page of rows from the API, with its order, page and filters in the address.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { query, setQuery } from "../core/address";
import type { ApiError, Page } from "../core/api";
import { count as counted } from "../core/format";
import { useKeys } from "../core/keys";
import type { Live } from "../core/live";
import { Refusal } from "./page";

export interface Column<Row> {
  name: string;
  cell: (row: Row) => ComponentChildren;
  /** The field by which the API orders, if it does. */
  order?: string;
  /** "figure" aligns to the right, "wide" takes the room that is left. */
  kind?: "figure" | "wide" | "tight";
}

interface TableProps<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[] | undefined;
  rowKey: (row: Row) => number | string;
  empty: ComponentChildren;
  error?: ApiError | undefined;
  isStale?: boolean;
  /** Where j, k and Enter lead. */
  href?: (row: Row) => string;
  selection?: Selection;
  /** Shown order as the API has it, such as "-last_modified"; a click on a column's name changes it. */
  order?: string;
  skeleton?: number;
  /** Has so few and short columns that it stays a table where there is little room. */
  isSmall?: boolean;
}

export interface Selection {
  chosen: ReadonlySet<number | string>;
  set: (chosen: ReadonlySet<number | string>) => void;
}

export function Table<Row>(props: TableProps<Row>) {
  const {
    caption,
    columns,
    rows,
    rowKey,
    empty,
    error,
    isStale,
    href,
    selection,
    order,
    skeleton = 8,
    isSmall,
  } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  useRowKeys(body, !!href);
  if (error && !rows) return <Refusal error={error} />;
  if (rows && rows.length === 0) return <>{empty}</>;
  const keys = rows?.map(rowKey) ?? [];
  const hasAll = keys.length > 0 && keys.every((key) => selection?.chosen.has(key));
  const toggle = (key: number | string): void => {
    const chosen = new Set(selection?.chosen);
    if (!chosen.delete(key)) chosen.add(key);
    selection?.set(chosen);
  };
  return (
    <div class={`table-frame ${isStale ? "is-stale" : ""}`}>
      {error && <Refusal error={error} />}
      <table aria-busy={!rows} class={isSmall ? "is-small" : ""}>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {selection && (
              <th class="tight">
                <input
                  type="checkbox"
                  aria-label="Select all of this page"
                  checked={hasAll}
                  onChange={() => selection.set(hasAll ? new Set() : new Set(keys))}
                />
              </th>
            )}
            {columns.map((column) => (
              <Head key={column.name} column={column} order={order} />
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {rows
            ? rows.map((row) => {
                const key = rowKey(row);
                const isChosen = selection?.chosen.has(key);
                return (
                  <tr key={key} class={isChosen ? "is-chosen" : ""} data-href={href?.(row)}>
                    {selection && (
                      <td class="tight choose">
                        <input
                          type="checkbox"
                          aria-label={`Select ${key}`}
                          checked={!!isChosen}
                          onChange={() => toggle(key)}
                        />
                      </td>
                    )}
                    {columns.map((column) => (
                      <td key={column.name} class={column.kind ?? ""} data-name={column.name}>
                        <div>{column.cell(row)}</div>
                      </td>
                    ))}
                  </tr>
                );
              })
            : Array.from({ length: skeleton }, (_, line) => (
                <tr key={line} aria-hidden="true">
                  {selection && <td class="tight choose" />}
                  {columns.map((column, place) => (
                    <td key={column.name} class={column.kind ?? ""}>
                      <span class={`skeleton skeleton-${(line + place) % 3}`} />
                    </td>
                  ))}
                </tr>
              ))}
        </tbody>
      </table>
    </div>
  );
}

function Head<Row>({ column, order }: { column: Column<Row>; order: string | undefined }) {
  const { name, order: field, kind = "" } = column;
  if (!field || order === undefined) return <th class={kind}>{name}</th>;
  const isUp = order === field;
  const isDown = order === `-${field}`;
  return (
    <th class={kind} aria-sort={isUp ? "ascending" : isDown ? "descending" : "none"}>
      <button type="button" class="sort" onClick={() => setQuery({ order: isDown ? field : `-${field}`, page: null })}>
        {name}
        <span aria-hidden="true">{isUp ? " ↑" : isDown ? " ↓" : ""}</span>
      </button>
    </th>
  );
}

/** j and k go from row to row, Enter opens: the links of the rows take the focus, so that all of it is seen. */
function useRowKeys(body: { current: HTMLTableSectionElement | null }, has: boolean): void {
  const move = (by: number): void => {
    const links = [...(body.current?.querySelectorAll<HTMLAnchorElement>("tr[data-href]") ?? [])].map((row) =>
      row.querySelector<HTMLAnchorElement>("a"),
    );
    const here = links.findIndex((link) => link?.closest("tr")?.contains(document.activeElement));
    links[Math.min(links.length - 1, Math.max(0, here < 0 ? 0 : here + by))]?.focus();
  };
  useKeys(
    has
      ? [
          { keys: "j", does: "Next row", run: () => move(1) },
          { keys: "k", does: "Previous row", run: () => move(-1) },
        ]
      : [],
    [has],
  );
}

const SIZES = [25, 50, 100, 250];

/** The page in the address; also how many rows there are in all. */
export function Pager({ count, size }: { count: number | undefined; size: number }) {
  const page = pageNumber();
  if (!count) return <div class="pager" />;
  const pages = Math.max(1, Math.ceil(count / size));
  const first = (page - 1) * size + 1;
  return (
    <nav class="pager" aria-label="Pages">
      <span class="figure">
        {counted(first)}–{counted(Math.min(count, page * size))} of {counted(count)}
      </span>
      <label>
        Rows{" "}
        <select value={size} onChange={(event) => setQuery({ size: event.currentTarget.value, page: null })}>
          {SIZES.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      </label>
      <button type="button" disabled={page <= 1} onClick={() => turn(page - 1)}>
        Previous
      </button>
      <button type="button" disabled={page >= pages} onClick={() => turn(page + 1)}>
        Next
      </button>
    </nav>
  );
}

function turn(page: number): void {
  setQuery({ page: page > 1 ? page : null }, { replace: false });
}

export function pageNumber(): number {
  return Math.max(1, Number(query.value.get("page")) || 1);
}

export function pageSize(fallback = 50): number {
  const size = Number(query.value.get("size"));
  return SIZES.includes(size) ? size : fallback;
}

/**
 * Rows that do not move under the pointer. While `isHeld` their order stays as it was and only what they show changes;
 * `fresh` says how many would have come in.
 */
export function useSteady<Row>(
  live: Live<Page<Row>>,
  rowKey: (row: Row) => number | string,
  isHeld: boolean,
): { rows: Row[] | undefined; fresh: number; release: () => void } {
  const incoming = live.data?.results;
  const held = useRef<Row[] | undefined>(undefined);
  const [releases, setReleases] = useState(0);
  const result = useMemo(() => {
    if (!incoming || live.isStale) return { rows: incoming, fresh: 0 };
    if (!isHeld || !held.current) return { rows: incoming, fresh: 0 };
    const byKey = new Map(incoming.map((row) => [rowKey(row), row]));
    const kept = held.current.map((row) => byKey.get(rowKey(row)) ?? row);
    const before = new Set(kept.map(rowKey));
    return { rows: kept, fresh: incoming.filter((row) => !before.has(rowKey(row))).length };
  }, [incoming, isHeld, live.isStale, rowKey, releases]);
  useEffect(() => {
    held.current = result.rows;
  }, [result]);
  return {
    ...result,
    release: () => {
      held.current = incoming;
      setReleases((times) => times + 1);
    },
  };
}
