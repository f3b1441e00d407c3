// Forms that are validated by the API as one types: what it refuses stands beside the field that it names.
import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useId, useState } from "preact/hooks";
import { ApiError, change, type Problem } from "../core/api";
import { Panel } from "./page";

const TYPING_MS = 350;

export interface Warning {
  id: string;
  details: string;
}

export interface Verdict {
  problems: readonly Problem[];
  warnings: readonly Warning[];
  /** The API has been asked about what stands there now. */
  isCurrent: boolean;
}

/** What the API says to POST `path` of `body`; asked whenever the body has not changed for a moment. null asks nothing. */
export function useValidation(path: string, body: unknown): Verdict {
  const text = body === null ? null : JSON.stringify(body);
  const [verdict, setVerdict] = useState<Omit<Verdict, "isCurrent"> & { of: string | null }>({
    problems: [],
    warnings: [],
    of: null,
  });
  useEffect(() => {
    if (text === null) return undefined;
    let isLate = false;
    const timer = window.setTimeout(async () => {
      const answer = await ask(path, JSON.parse(text));
      if (!isLate) setVerdict({ ...answer, of: text });
    }, TYPING_MS);
    return () => {
      isLate = true;
      window.clearTimeout(timer);
    };
  }, [path, text]);
  return { problems: verdict.problems, warnings: verdict.warnings, isCurrent: verdict.of === text };
}

async function ask(path: string, body: unknown): Promise<Omit<Verdict, "isCurrent">> {
  try {
    const { warnings } = await change<{ warnings: Warning[] }>("POST", path, body);
    return { problems: [], warnings };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { problems: error.problems.length ? error.problems : [{ path: "", message: error.message }], warnings: [] };
  }
}

/** The problems of a field and of all inside of it. */
export function problemsOf(problems: readonly Problem[], path: string): Problem[] {
  return problems.filter(
    (each) => each.path === path || each.path.startsWith(`${path}.`) || each.path.startsWith(`${path}[`),
  );
}

const Problems = createContext<readonly Problem[]>([]);

interface EditorProps {
  /** Shown by the fields that they name. */
  problems: readonly Problem[];
  /** Something was typed that is not saved: the browser asks before it is lost. */
  isDirty: boolean;
  onSave: (event: Event) => void;
  class?: string;
  children: ComponentChildren;
}

/** The form of an editor: its fields on one side, what is said of them on the other. */
export function EditorForm({ problems, isDirty, onSave, class: name = "", children }: EditorProps) {
  useEffect(() => {
    if (!isDirty) return undefined;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [isDirty]);
  return (
    <Problems.Provider value={problems}>
      <form class={`editor ${name}`} onSubmit={onSave}>
        {children}
      </form>
    </Problems.Provider>
  );
}

interface FieldProps {
  label: string;
  /** As the API names it. */
  path?: string;
  hint?: ComponentChildren;
  class?: string;
  /** Draws the input with these attributes. */
  children: (attributes: {
    id: string;
    "aria-describedby": string | undefined;
    "aria-invalid": boolean;
  }) => ComponentChildren;
}

/** A label, an input, what it is for, and what is wrong with it. */
export function Field({ label, path, hint, class: name = "", children }: FieldProps) {
  const id = useId();
  const problems = useContext(Problems);
  const own = path === undefined ? [] : problemsOf(problems, path);
  const described = hint || own.length ? `${id}-note` : undefined;
  return (
    <div class={`field ${own.length ? "is-wrong" : ""} ${name}`}>
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": described, "aria-invalid": own.length > 0 })}
      {described && (
        <p id={described} class="field-note">
          {own.length
            ? own.map((each) => (
                <span key={each.path + each.message} class="field-problem">
                  {each.path === path ? "" : `${each.path.slice(path?.length).replace(/^\./, "")}: `}
                  {each.message}
                </span>
              ))
            : hint}
        </p>
      )}
    </div>
  );
}

interface TextProps extends Omit<FieldProps, "children"> {
  value: string;
  onValue: (value: string) => void;
  placeholder?: string;
  isCode?: boolean;
  isRequired?: boolean;
  rows?: number;
  maxLength?: number;
  isNumber?: boolean;
  isSecret?: boolean;
  autocomplete?: string;
}

export function TextField(props: TextProps) {
  const {
    value,
    onValue,
    placeholder,
    isCode,
    isRequired,
    rows,
    maxLength,
    isNumber,
    isSecret,
    autocomplete,
    ...field
  } = props;
  const common = {
    value,
    placeholder,
    required: isRequired,
    maxLength,
    spellcheck: !isCode,
    class: isCode ? "code" : "",
  };
  return (
    <Field {...field}>
      {(attributes) =>
        rows ? (
          <textarea {...attributes} {...common} rows={rows} onInput={(event) => onValue(event.currentTarget.value)} />
        ) : (
          <input
            {...attributes}
            {...common}
            type={(isSecret ? "password" : "text") as "text"}
            autocomplete={autocomplete as "off"}
            inputMode={isNumber ? "decimal" : undefined}
            onInput={(event) => onValue(event.currentTarget.value)}
          />
        )
      }
    </Field>
  );
}

interface SelectProps extends Omit<FieldProps, "children"> {
  value: string;
  onValue: (value: string) => void;
  options: readonly { value: string; label: string }[];
}

export function SelectField({ value, onValue, options, ...field }: SelectProps) {
  return (
    <Field {...field}>
      {(attributes) => (
        <select {...attributes} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
          {!options.some((option) => option.value === value) && <option value={value}>{value}</option>}
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** What the API says of the whole: problems that no field of the form shows (`shown` are those that do), and warnings. */
export function Verdicts({ verdict, shown }: { verdict: Verdict; shown: readonly string[] }) {
  const rest = verdict.problems.filter((each) => !shown.some((path) => problemsOf([each], path).length));
  return (
    <div class="verdicts" role="status">
      {rest.map((each) => (
        <p key={each.path + each.message} class="verdict verdict-bad">
          {each.path && <code>{each.path}</code>} {each.message}
        </p>
      ))}
      {verdict.warnings.map((each) => (
        <p key={each.id + each.details} class="verdict">
          <strong>{each.id.replaceAll("_", " ")}</strong> {each.details}
        </p>
      ))}
      {verdict.isCurrent && !verdict.problems.length && !verdict.warnings.length && (
        <p class="verdict verdict-good">Nothing is wrong with it.</p>
      )}
    </div>
  );
}

interface JudgementProps {
  verdict: Verdict;
  /** Fields that show their own problems. */
  shown: readonly string[];
  /** What has to be given before the API can be asked. */
  missing?: string | undefined;
  /** A field holds what is no JSON. */
  isUnreadable?: boolean;
  verb: string;
  onDiscard?: (() => void) | undefined;
}

/** Beside the fields of an editor: what the API says to them as one types, and the way to save what it finds right. */
export function Judgement({ verdict, shown, missing, isUnreadable, verb, onDiscard }: JudgementProps) {
  const isRight = !missing && !isUnreadable && verdict.isCurrent && !verdict.problems.length;
  return (
    <Panel title="What Scale says to it">
      {missing ? (
        <p class="quiet">{missing}</p>
      ) : isUnreadable ? (
        <p class="verdict verdict-bad">What is marked cannot be read.</p>
      ) : (
        <Verdicts verdict={verdict} shown={shown} />
      )}
      {!missing && !isUnreadable && verdict.problems.length > 0 && (
        <p class="verdict verdict-bad">What is marked has to be mended.</p>
      )}
      <div class="actions spaced-top">
        {onDiscard && (
          <button type="button" onClick={onDiscard}>
            Discard changes
          </button>
        )}
        <button type="submit" class="primary" disabled={!isRight}>
          {verb}
        </button>
      </div>
    </Panel>
  );
}
