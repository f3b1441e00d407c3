// Two versions of a type side by side: rows of the same name that are in use beside each other.
import type { ComponentChildren } from "preact";
import { asQuery, query, setQuery, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { useLive } from "../core/live";
import { Difference } from "./difference";
import { Panel, Refusal, Skeleton } from "./page";
import { type Column, Table } from "./table";

const MOST = 100;

interface Version {
  id: number;
  name: string;
  version: string;
}

export interface Aspect<Kind> {
  name: string;
  of: (type: Kind) => string;
}

interface VersionsProps<Kind extends Version> {
  type: Kind;
  /** Of the API and of the UI alike: "job-types". */
  path: string;
  aspects: readonly Aspect<Kind>[];
  document: (type: Kind) => unknown;
  /** Shows one of the two beside the other. */
  picture?: (type: Kind) => ComponentChildren;
  /** What else there is to compare, under the names of both. */
  children?: (other: Kind) => ComponentChildren;
}

/** The address says which other version is meant, `beside`; by default the one before this, or after the first. */
export function Versions<Kind extends Version>(props: VersionsProps<Kind>) {
  const { type, path, aspects, document, picture, children } = props;
  const live = useLive<Rows<Version>>(`/${path}/?${asQuery({ name: type.name, order: "id", page_size: MOST })}`, 0);
  const rows = live.data?.results.filter((each) => each.name === type.name);
  const place = rows?.findIndex((each) => each.id === type.id) ?? 0;
  const others = rows?.filter((each) => each.id !== type.id) ?? [];
  const named = others.find((each) => String(each.id) === query.value.get("beside"));
  const chosen = named ?? others[Math.max(0, place - 1)];
  const beside = useLive<Kind>(chosen ? `/${path}/${chosen.id}/` : null, 0);
  const other = beside.isStale ? undefined : beside.data;
  const error = live.error ?? beside.error;
  const columns: Column<Aspect<Kind>>[] = other
    ? [
        { name: "What", cell: (row) => row.name },
        { name: `Version ${other.version}`, cell: (row) => row.of(other) },
        {
          name: `Version ${type.version}`,
          cell: (row) =>
            row.of(type) === row.of(other) ? row.of(type) : <strong class="differs">{row.of(type)}</strong>,
        },
      ]
    : [];
  return (
    <Panel title="Versions" class="spaced-top" aside={rows && (rows.length === 1 ? "one" : `${rows.length} in all`)}>
      {error && <Refusal error={error} />}
      {!rows && !error && <Skeleton lines={2} />}
      {rows && !chosen && (
        <p class="quiet">
          There is only {type.version}. A type of the same name with another version stands beside it from then on.
        </p>
      )}
      {chosen && (
        <div class="filters revisions">
          <label class="filter">
            <span>Beside this, {type.version}</span>
            <select
              value={String(chosen.id)}
              onChange={(event) => setQuery({ beside: event.currentTarget.value }, { replace: false })}
            >
              {others.map((each) => (
                <option key={each.id} value={String(each.id)}>
                  {each.version}
                </option>
              ))}
            </select>
          </label>
          <a href={to(`/${path}/${chosen.id}`)}>Go to {chosen.version}</a>
        </div>
      )}
      {chosen && !other && !error && <Skeleton lines={5} />}
      {other && (
        <>
          {picture && (
            <div class="halves">
              {[other, type].map((each) => (
                <section key={each.id} class="side">
                  <h3>Version {each.version}</h3>
                  {picture(each)}
                </section>
              ))}
            </div>
          )}
          <Table
            caption={`Version ${other.version} beside ${type.version}`}
            columns={columns}
            rows={aspects}
            rowKey={(row) => row.name}
            empty={null}
          />
          {children?.(other)}
          <Difference
            caption={`What differs between version ${other.version} and version ${type.version}`}
            before={document(other)}
            after={document(type)}
          />
        </>
      )}
    </Panel>
  );
}
