// Filters that live in the address: a list of links, searches and choices above a table.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { query, setQuery } from "../core/address";

const TYPING_MS = 300;

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
}

/** A text that the API compares exactly. */
export function Search({ name, label, placeholder, isMain }: SearchProps) {
  const given = query.value.get(name) ?? "";
  const [text, setText] = useState(given);
  useEffect(() => setText(given), [given]);
  useEffect(() => {
    if (text === given) return undefined;
    const timer = window.setTimeout(() => setQuery({ [name]: text.trim(), page: null }), TYPING_MS);
    return () => window.clearTimeout(timer);
  }, [text, given, name]);
  return (
    <label class="filter">
      <span>{label}</span>
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

/** `started` as the API takes it: a duration before now. */
export function PeriodChoice({ label = "Changed" }: { label?: string }) {
  return <Choice name="started" label={label} options={PERIODS} />;
}
