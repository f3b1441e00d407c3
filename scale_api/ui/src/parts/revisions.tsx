// What a type was before: two of its revisions, and what differs between them.
import type { ComponentChildren } from "preact";
import { query, setQuery } from "../core/address";
import type { Page as Rows } from "../core/api";
import { absolute, count } from "../core/format";
import { useLive } from "../core/live";
import { isUtc } from "../core/settings";
import type { Revision } from "../core/types";
import { Difference } from "./difference";
import { Panel, Refusal, Skeleton } from "./page";

const NEWEST = 100;

interface RevisionsProps<Kind extends Revision> {
  /** Of the API: the list of revisions. */
  path: string;
  document: (revision: Kind) => unknown;
  /** What every change of makes a revision. */
  noun: string;
  /** Shows one of the two beside the other. */
  picture?: (revision: Kind) => ComponentChildren;
}

/** The address says which two are compared: `from` and `to`, by default the newest and the one before. */
export function Revisions<Kind extends Revision>({ path, document, noun, picture }: RevisionsProps<Kind>) {
  const live = useLive<Rows<Kind>>(`${path}?page_size=${NEWEST}`, 0);
  const rows = live.data?.results;
  const chosen = (name: string, place: number): Kind | undefined => {
    const number = Number(query.value.get(name));
    return rows?.find((each) => each.revision_num === number) ?? rows?.[place];
  };
  const from = chosen("from", 1);
  const to = chosen("to", 0);
  return (
    <Panel title="Revisions" aside={rows && `${count(live.data?.count ?? 0)} in all`}>
      {live.error && <Refusal error={live.error} />}
      {!rows && !live.error && <Skeleton lines={3} />}
      {rows?.length === 1 && <p class="quiet">This is the first one. Each change of its {noun} makes another.</p>}
      {rows && from && to && rows.length > 1 && (
        <>
          <div class="filters revisions">
            <Choice name="from" label="From" rows={rows} chosen={from} />
            <Choice name="to" label="To" rows={rows} chosen={to} />
          </div>
          {picture && (
            <div class="halves">
              {[from, to].map((each, place) => (
                <section key={place} class="side">
                  <h3>Revision {each.revision_num}</h3>
                  {picture(each)}
                </section>
              ))}
            </div>
          )}
          <Difference
            caption={`What differs between revision ${from.revision_num} and revision ${to.revision_num}`}
            before={document(from)}
            after={document(to)}
          />
        </>
      )}
    </Panel>
  );
}

function Choice({
  name,
  label,
  rows,
  chosen,
}: {
  name: string;
  label: string;
  rows: readonly Revision[];
  chosen: Revision;
}) {
  return (
    <label class="filter">
      <span>{label}</span>
      <select value={chosen.revision_num} onChange={(event) => setQuery({ [name]: event.currentTarget.value })}>
        {rows.map((each) => (
          <option key={each.id} value={each.revision_num}>
            {`${each.revision_num}, made ${absolute(each.created, isUtc.value)}`}
          </option>
        ))}
      </select>
    </label>
  );
}
