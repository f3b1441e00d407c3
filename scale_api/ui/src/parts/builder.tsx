// Building a recipe by clicks: jobs are added and removed, and their inputs connected to what could feed them.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, type Page as Rows } from "../core/api";
import { useLive } from "../core/live";
import {
  before,
  connect,
  freeName,
  type Source,
  sourceOf,
  sourcesFor,
  wait,
  withInput,
  withJob,
  withoutInput,
  withoutJob,
} from "../core/recipe-graph";
import { attempt } from "../core/toasts";
import type { InterfaceInput, JobInterface, JobType, RecipeDefinition, RecipePart } from "../core/types";
import { Panel } from "./page";

interface BuilderProps {
  definition: RecipeDefinition;
  onChange: (next: RecipeDefinition) => void;
  /** The job whose connections are shown. */
  chosen: string | undefined;
  onChoose: (name: string | undefined) => void;
}

export function Builder({ definition, onChange, chosen, onChoose }: BuilderProps) {
  const types = useLive<Rows<JobType>>("/job-types/?order=name&page_size=1000", 0).data?.results;
  const interfaceOf = useInterfaces(definition, types);
  const part = definition.jobs.find((each) => each.name === chosen);
  return (
    <>
      {part && (
        <Connections
          key={part.name}
          definition={definition}
          part={part}
          interfaceOf={interfaceOf}
          onChange={onChange}
          onRemove={() => {
            onChoose(undefined);
            onChange(withoutJob(definition, part.name));
          }}
        />
      )}
      <AddJob definition={definition} types={types} interfaceOf={interfaceOf} onChange={onChange} onChoose={onChoose} />
      <Inputs definition={definition} onChange={onChange} />
    </>
  );
}

type InterfaceOf = (part: Pick<RecipePart, "job_type">) => JobInterface | undefined;

const keyOf = (type: { name: string; version: string }): string => `${type.name}\n${type.version}`;

/** The interfaces of the job types that the definition names, as far as they are there yet. */
function useInterfaces(definition: RecipeDefinition, types: readonly JobType[] | undefined): InterfaceOf {
  const [known, setKnown] = useState<ReadonlyMap<string, JobInterface>>(new Map());
  const wanted = [...new Set(definition.jobs.map((part) => keyOf(part.job_type)))].filter((key) => !known.has(key));
  const ids = (types ?? []).filter((type) => wanted.includes(keyOf(type))).map((type) => type.id);
  useEffect(() => {
    let isLate = false;
    for (const id of ids)
      void interfaceOfType(id).then(
        ([key, found]) => !isLate && setKnown((now) => new Map(now).set(key, found)),
        () => undefined, // it is asked for again with the next change; meanwhile its inputs are not shown
      );
    return () => {
      isLate = true;
    };
  }, [ids.join()]);
  return (part) => known.get(keyOf(part.job_type));
}

async function interfaceOfType(id: number): Promise<[string, JobInterface]> {
  const type = await get<JobType & { interface: JobInterface }>(`/job-types/${id}/`);
  return [keyOf(type), type.interface];
}

interface ConnectionsProps {
  definition: RecipeDefinition;
  part: RecipePart;
  interfaceOf: InterfaceOf;
  onChange: (next: RecipeDefinition) => void;
  onRemove: () => void;
}

const NEW = "new";

function Connections({ definition, part, interfaceOf, onChange, onRemove }: ConnectionsProps) {
  const inputs = interfaceOf(part)?.input_data;
  const waits = (part.dependencies ?? []).filter((each) => !each.connections?.length);
  const could = before(definition, part.name).filter(
    (each) => !part.dependencies?.some((known) => known.name === each.name),
  );
  const feed = (input: InterfaceInput, value: string): void => {
    if (value !== NEW) {
      onChange(connect(definition, part.name, input.name, sourceAs(value)));
      return;
    }
    const taken = (definition.input_data ?? []).map((each) => each.name);
    const made = { ...input, name: freeName(input.name, taken) };
    onChange(connect(withInput(definition, made), part.name, input.name, { kind: "recipe", input: made.name }));
  };
  return (
    <Panel
      title={`Job ${part.name}`}
      aside={
        <button type="button" class="slim" onClick={onRemove}>
          Remove<span class="unseen"> the job {part.name}</span>
        </button>
      }
    >
      <div class="fields">
        {!inputs && <p class="quiet">Its inputs are shown once its job type is known.</p>}
        {inputs?.length === 0 && <p class="quiet">It takes no inputs.</p>}
        {inputs?.map((input) => {
          const source = sourceOf(part, input.name);
          const sources = sourcesFor(definition, part.name, input, interfaceOf).map(asValue);
          const value = source ? asValue(source) : "";
          return (
            <label key={input.name} class="field">
              <span>{`${input.name} is fed by`}</span>
              <select value={value} onChange={(event) => feed(input, event.currentTarget.value)}>
                <option value="">{input.required === false ? "nothing" : "nothing yet"}</option>
                {value && !sources.includes(value) && <option value={value}>{asWords(value)}</option>}
                {sources.map((each) => (
                  <option key={each} value={each}>
                    {asWords(each)}
                  </option>
                ))}
                <option value={NEW}>a new input of the recipe</option>
              </select>
            </label>
          );
        })}
        {could.length > 0 && (
          <label class="field">
            <span>Waits also for</span>
            <select
              value=""
              onChange={(event) => onChange(wait(definition, part.name, event.currentTarget.value, true))}
            >
              <option value="">Choose a job</option>
              {could.map((each) => (
                <option key={each.name} value={each.name}>
                  {each.name}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {waits.length > 0 && (
        <ul class="built spaced-top">
          {waits.map((each) => (
            <li key={each.name}>
              <span>waits for {each.name}</span>
              <button
                type="button"
                class="slim"
                onClick={() => onChange(wait(definition, part.name, each.name, false))}
              >
                Remove<span class="unseen"> waiting for {each.name}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

// names have no line breaks
function asValue(source: Source): string {
  return source.kind === "recipe" ? `recipe\n${source.input}` : `job\n${source.job}\n${source.output}`;
}

function sourceAs(value: string): Source | null {
  const [kind, first = "", second = ""] = value.split("\n");
  if (kind === "recipe") return { kind, input: first };
  return kind === "job" ? { kind, job: first, output: second } : null;
}

function asWords(value: string): string {
  const source = sourceAs(value);
  if (!source) return "nothing";
  return source.kind === "recipe" ? `${source.input} of the recipe` : `${source.output} of ${source.job}`;
}

interface AddProps {
  definition: RecipeDefinition;
  types: readonly JobType[] | undefined;
  interfaceOf: InterfaceOf;
  onChange: (next: RecipeDefinition) => void;
  onChoose: (name: string) => void;
}

/** Puts a job into the definition, its first input fed by what comes before it. */
function AddJob({ definition, types, interfaceOf, onChange, onChoose }: AddProps) {
  const [chosen, setChosen] = useState("");
  const [after, setAfter] = useState("");
  const [isBusy, setBusy] = useState(false);
  const latest = useRef(definition);
  latest.current = definition; // it may be typed on while the interfaces are asked for
  const usable = types?.filter((type) => !type.is_system && type.is_active);
  const add = async (): Promise<void> => {
    const type = usable?.find((each) => String(each.id) === chosen);
    if (!type) return;
    setBusy(true);
    await attempt(`${type.title || type.name} is put into the graph`, async () => {
      const last = definition.jobs.find((each) => each.name === after);
      const wanted = [type, ...(types ?? []).filter((each) => last && keyOf(each) === keyOf(last.job_type))];
      const found = new Map(await Promise.all(wanted.map((each) => interfaceOfType(each.id))));
      const known: InterfaceOf = (part) => found.get(keyOf(part.job_type)) ?? interfaceOf(part);
      const name = freeName(
        type.name,
        latest.current.jobs.map((each) => each.name),
      );
      let next = withJob(latest.current, type, name);
      for (const input of (found.get(keyOf(type))?.input_data ?? [])
        .filter((each) => each.type !== "property")
        .slice(0, 1)) {
        const source = sourcesFor(next, name, input, known).find((each) =>
          after ? each.kind === "job" && each.job === after : each.kind === "recipe",
        );
        if (source) next = connect(next, name, input.name, source);
      }
      const isAfter = next.jobs.at(-1)?.dependencies?.some((each) => each.name === after);
      onChange(after && !isAfter ? wait(next, name, after, true) : next);
      setAfter(name);
      onChoose(name);
    });
    setBusy(false);
  };
  return (
    <Panel title="Add a job">
      <div class="fields">
        <label class="field">
          <span>Job type</span>
          <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
            <option value="">Choose one</option>
            {usable?.map((type) => (
              <option key={type.id} value={String(type.id)}>
                {type.title || type.name} {type.version}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>After</span>
          <select value={after} onChange={(event) => setAfter(event.currentTarget.value)}>
            <option value="">the recipe's own inputs</option>
            {definition.jobs.map((job) => (
              <option key={job.name} value={job.name}>
                {job.name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <p class="spaced-top">
        <button type="button" disabled={!chosen || isBusy} onClick={add}>
          Add it
        </button>
      </p>
    </Panel>
  );
}

const KINDS = ["file", "files", "property"];

function Inputs({ definition, onChange }: { definition: RecipeDefinition; onChange: BuilderProps["onChange"] }) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState("file");
  const inputs = definition.input_data ?? [];
  const isTaken = inputs.some((each) => each.name === name.trim());
  const add = (): void => {
    onChange(withInput(definition, { name: name.trim(), type: kind }));
    setName("");
  };
  return (
    <Panel title="Inputs of the recipe">
      <ul class="built">
        {inputs.map((each) => (
          <li key={each.name}>
            <span>
              {each.name} <span class="quiet">{each.media_types?.join(", ") || each.type}</span>
            </span>
            <button type="button" class="slim" onClick={() => onChange(withoutInput(definition, each.name))}>
              Remove<span class="unseen"> the input {each.name}</span>
            </button>
          </li>
        ))}
      </ul>
      <div class="fields spaced-top">
        <label class="field">
          <span>New input</span>
          <input type="text" value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Kind</span>
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
            {KINDS.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
      </div>
      <p class="spaced-top">
        <button type="button" disabled={!name.trim() || isTaken} onClick={add}>
          Add the input
        </button>
        {isTaken && <span class="quiet"> There is one of this name.</span>}
      </p>
    </Panel>
  );
}
