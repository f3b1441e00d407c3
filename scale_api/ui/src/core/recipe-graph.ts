// Changes to a recipe's definition, each giving a new one: jobs come and go, inputs are fed from elsewhere.
import type { InterfaceInput, JobInterface, RecipeDefinition, RecipePart } from "./types";

/** Where an input of a job gets its value from. */
export type Source = { kind: "recipe"; input: string } | { kind: "job"; job: string; output: string };

export function sourceOf(part: RecipePart, input: string): Source | null {
  const own = part.recipe_inputs?.find((each) => each.job_input === input);
  if (own) return { kind: "recipe", input: own.recipe_input };
  for (const { name, connections = [] } of part.dependencies ?? []) {
    const pair = connections.find((each) => each.input === input);
    if (pair) return { kind: "job", job: name, output: pair.output };
  }
  return null;
}

/** Feed an input of a job from `source` and from nowhere else; null: from nothing. */
export function connect(
  definition: RecipeDefinition,
  job: string,
  input: string,
  source: Source | null,
): RecipeDefinition {
  return changed(definition, job, (part) => {
    const free = disconnected(part, input);
    if (!source) return free;
    if (source.kind === "recipe")
      return {
        ...free,
        recipe_inputs: [...(free.recipe_inputs ?? []), { recipe_input: source.input, job_input: input }],
      };
    const pair = { output: source.output, input };
    const dependencies = free.dependencies ?? [];
    const isThere = dependencies.some((each) => each.name === source.job);
    return {
      ...free,
      dependencies: isThere
        ? dependencies.map((each) =>
            each.name === source.job ? { ...each, connections: [...(each.connections ?? []), pair] } : each,
          )
        : [...dependencies, { name: source.job, connections: [pair] }],
    };
  });
}

/** Without what feeds this input; a job that was only waited for because of it is waited for no longer. */
function disconnected(part: RecipePart, input: string): RecipePart {
  return {
    ...part,
    recipe_inputs: (part.recipe_inputs ?? []).filter((each) => each.job_input !== input),
    dependencies: (part.dependencies ?? []).flatMap((each) => {
      const connections = (each.connections ?? []).filter((pair) => pair.input !== input);
      const wasFor = connections.length < (each.connections?.length ?? 0);
      return wasFor && !connections.length ? [] : [{ ...each, connections }];
    }),
  };
}

/** Let a job wait for another without being given anything of it; or no longer. */
export function wait(definition: RecipeDefinition, job: string, other: string, isWanted: boolean): RecipeDefinition {
  return changed(definition, job, (part) => {
    const rest = (part.dependencies ?? []).filter((each) => each.name !== other);
    return { ...part, dependencies: isWanted ? [...rest, { name: other, connections: [] }] : rest };
  });
}

export function withJob(definition: RecipeDefinition, type: { name: string; version: string }, name: string) {
  const part: RecipePart = {
    name,
    job_type: { name: type.name, version: type.version },
    recipe_inputs: [],
    dependencies: [],
  };
  return { ...definition, jobs: [...definition.jobs, part] };
}

/** Without the job; whatever it fed is fed by nothing. */
export function withoutJob(definition: RecipeDefinition, name: string): RecipeDefinition {
  const jobs = definition.jobs
    .filter((part) => part.name !== name)
    .map((part) => ({ ...part, dependencies: (part.dependencies ?? []).filter((each) => each.name !== name) }));
  return { ...definition, jobs };
}

export function withInput(definition: RecipeDefinition, input: InterfaceInput): RecipeDefinition {
  return { ...definition, input_data: [...(definition.input_data ?? []), input] };
}

/** Without this input of the recipe; whatever it fed is fed by nothing. */
export function withoutInput(definition: RecipeDefinition, name: string): RecipeDefinition {
  return {
    ...definition,
    input_data: (definition.input_data ?? []).filter((each) => each.name !== name),
    jobs: definition.jobs.map((part) => ({
      ...part,
      recipe_inputs: (part.recipe_inputs ?? []).filter((each) => each.recipe_input !== name),
    })),
  };
}

/** The name, with a number behind it while it is taken. */
export function freeName(name: string, taken: readonly string[]): string {
  let found = name;
  for (let number = 2; taken.includes(found); number += 1) found = `${name}-${number}`;
  return found;
}

/** The jobs that may come before `job`: all but itself and those that wait for it. */
export function before(definition: RecipeDefinition, job: string): RecipePart[] {
  const later = new Set([job]);
  for (let size = 0; size !== later.size; ) {
    size = later.size;
    for (const part of definition.jobs)
      if (part.dependencies?.some((each) => later.has(each.name))) later.add(part.name);
  }
  return definition.jobs.filter((part) => !later.has(part.name));
}

/** What could feed an input: by kind, as the API checks it. */
export function sourcesFor(
  definition: RecipeDefinition,
  job: string,
  input: InterfaceInput,
  interfaceOf: (part: RecipePart) => JobInterface | undefined,
): Source[] {
  const own = (definition.input_data ?? []).filter((each) => feeds(each.type, input.type));
  const others = before(definition, job).flatMap((part) =>
    (interfaceOf(part)?.output_data ?? [])
      .filter((output) => feeds(output.type, input.type))
      .map((output): Source => ({ kind: "job", job: part.name, output: output.name })),
  );
  return [...own.map((each): Source => ({ kind: "recipe", input: each.name })), ...others];
}

function feeds(from: string, to: string): boolean {
  return from === to || (from === "file" && to === "files");
}

function changed(definition: RecipeDefinition, job: string, change: (part: RecipePart) => RecipePart) {
  return { ...definition, jobs: definition.jobs.map((part) => (part.name === job ? change(part) : part)) };
}
