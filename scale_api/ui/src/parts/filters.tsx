// Filters that live in the address: a list of links, searches and choices above a table.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { query, setQuery } from "../core/address";

const TYPING_MS = 300;
/** So many letters of a name the API looks for at least. */
export const LEAST_PART = 3;

export function Filters({ children }: { children: ComponentChildren }) {
  const isFiltered = [...query.value.keys()].some((name) => !["page", "size", "order"].includes(name));
  const clear = (): void => {
    const names = [...new Set(query.value.keys())].filter((name) => !["size", "order"].includes(name));
    setQuery(Object.fromEntries(names.map((name) => [name, null])), { replace: false });
  };
  return (
    <search class="filters">
      {children}
      {isFiltered && (
        <button type="button" class="plain" onClick={clear}>
          Clear filters
        </button>
      )}
    </search>
  );
}

interface Option {
  value: string;
  label: string;
}

interface ChoiceProps {
  name: string;
  label: string;
  options: readonly Option[];
  /** What no choice means. */
  none?: string;
}

/** One choice out of a list, or none. */
export function Choice({ name, label, options, none = "Any" }: ChoiceProps) {
  const value = query.value.get(name) ?? "";
  const isUnknown = value !== "" && !options.some((option) => option.value === value);
  return (
    <label class="filter">
      <span>{label}</span>
      <select
        value={value}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value, page: null }, { replace: false })}
      >
        <option value="">{none}</option>
        {isUnknown && <option value={value}>{value}</option>}
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Several of a few: buttons that stay down. */
export function Choices({ name, label, options }: { name: string; label: string; options: readonly Option[] }) {
  const chosen = query.value.getAll(name);
  const toggle = (value: string): void => {
    const values = chosen.includes(value) ? chosen.filter((each) => each !== value) : [...chosen, value];
    setQuery({ [name]: values, page: null }, { replace: false });
  };
  return (
    <fieldset class="filter choices">
      <legend>{label}</legend>
      {options.map((option) => (
        <button
          type="button"
          key={option.value}
          aria-pressed={chosen.includes(option.value)}
          onClick={() => toggle(option.value)}
        >
          {option.label}
        </button>
      ))}
    </fieldset>
  );
}

interface SearchProps {
  name: string;
  label: string;
  placeholder?: string;
  /** "/" leads to the first of a page that is marked so. */
  isMain?: boolean;
  /** With fewer letters the API is not asked; 0 letters ask for everything. */
  least?: number;
}

/** A text that the API looks for. */
export function Search({ name, label, placeholder, isMain, least = 1 }: SearchProps) {
  const given = query.value.get(name) ?? "";
  const [text, setText] = useState(given);
  useEffect(() => setText(given), [given]);
  const wanted = text.trim();
  const isShort = wanted !== "" && wanted.length < least;
  useEffect(() => {
    if (text === given || isShort) return undefined;
    const timer = window.setTimeout(() => setQuery({ [name]: wanted, page: null }), TYPING_MS);
    return () => window.clearTimeout(timer);
  }, [text, given, name, wanted, isShort]);
  return (
    <label class="filter">
      <span>{isShort ? `${label}: ${least} letters or more` : label}</span>
      <input
        type="search"
        value={text}
        placeholder={placeholder}
        data-main-filter={isMain ? "" : undefined}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}

const PERIODS: readonly Option[] = [
  { value: "PT1H", label: "Last hour" },
  { value: "PT24H", label: "Last 24 hours" },
  { value: "P7D", label: "Last 7 days" },
  { value: "P30D", label: "Last 30 days" },
];

interface SeveralProps {
  name: string;
  label: string;
  groups: readonly { label: string; options: readonly (Option & { isOff?: boolean })[] }[];
  chosen: readonly Option[];
  /** What no choice means. */
  none?: string;
  /** The way to choose one more. */
  more: string;
  /** So many stay chosen. */
  least?: number;
}

/** Several of many: chosen one by one out of a list, each with a button that takes it back. */
export function Several({ name, label, groups, chosen, none = "", more, least = 0 }: SeveralProps) {
  const values = chosen.map((each) => each.value);
  const set = (wanted: readonly string[]): void => setQuery({ [name]: [...wanted] }, { replace: false });
  const options = (all: SeveralProps["groups"][number]["options"]) =>
    all
      .filter((each) => !values.includes(each.value))
      .map((each) => (
        <option key={each.value} value={each.value} disabled={each.isOff}>
          {each.label}
        </option>
      ));
  return (
    <div class="filter several">
      <label>
        <span>{label}</span>
        <select value="" onChange={(event) => set([...values, event.currentTarget.value])}>
          <option value="">{chosen.length ? more : none}</option>
          {groups.map((group) =>
            group.label ? (
              <optgroup key={group.label} label={group.label}>
                {options(group.options)}
              </optgroup>
            ) : (
              options(group.options)
            ),
          )}
        </select>
      </label>
      {chosen.length > 0 && (
        <ul class="chips" aria-label={`${label}, chosen`}>
          {chosen.map((each) => (
            <li key={each.value} class="chip">
              {each.label}
              {chosen.length > least && (
                <button
                  type="button"
                  class="plain"
                  aria-label={`Without ${each.label}`}
                  onClick={() => set(values.filter((value) => value !== each.value))}
                >
                  ×
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

const SPANS: readonly Option[] = [
  { value: "P7D", label: "Last week" },
  { value: "P90D", label: "Last 90 days" },
  { value: "P365D", label: "Last year" },
];
const MONTHS = 13;
const DAY = /^\d{4}-\d\d-\d\d$/;

/** Days of UTC: `started` and `ended`, as a month, as a span until now, or from one day to another. */
export function Days({ none }: { none: string }) {
  const given = ["started", "ended"].map((name) => query.value.get(name) ?? "");
  const [started = "", ended = ""] = given;
  const months = useMemo(lastMonths, []);
  const value = ended ? `${started}/${ended}` : started;
  const isListed = [...SPANS, ...months].some((each) => each.value === value);
  const choose = (chosen: string): void => {
    const [from = "", until = ""] = chosen.split("/");
    setQuery({ started: from, ended: until }, { replace: false });
  };
  const day = (name: "started" | "ended", label: string, text: string) => (
    <label class="filter">
      <span>{label}</span>
      <input
        type="date"
        value={DAY.test(text) ? text : ""}
        min={name === "ended" && DAY.test(started) ? started : undefined}
        max={name === "started" && ended ? ended : undefined}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value }, { replace: false })}
      />
    </label>
  );
  return (
    <>
      <label class="filter">
        <span>Period</span>
        <select value={value} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="">{none}</option>
          {!isListed && value && <option value={value}>As chosen</option>}
          {SPANS.map((each) => (
            <option key={each.value} value={each.value}>
              {each.label}
            </option>
          ))}
          <optgroup label="A month">
            {months.map((each) => (
              <option key={each.value} value={each.value}>
                {each.label}
              </option>
            ))}
          </optgroup>
        </select>
      </label>
      {day("started", "From", started)}
      {day("ended", "Until", ended)}
    </>
  );
}

/** This month and those before, the newest first, as "2026-11-01/2026-11-30". */
function lastMonths(): Option[] {
  const today = new Date();
  return Array.from({ length: MONTHS }, (_, back) => {
    const first = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - back, 1));
    const last = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - back + 1, 0));
    const [from, until] = [first, last].map((each) => each.toISOString().slice(0, 10));
    return { value: `${from}/${until}`, label: MONTH.format(first) };
  });
}

const MONTH = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });

/** `started` as the API takes it: a duration before now. */
export function PeriodChoice({ label = "Changed" }: { label?: string }) {
  return <Choice name="started" label={label} options={PERIODS} />;
}
