// One recipe: its graph as it runs, where its time went, and what it was given.

import { to } from "../core/address";
import { now } from "../core/clock";
import { between, duration } from "../core/format";
import { useLive } from "../core/live";
import type { RecipeDefinition, RecipeDetails, RecipeJob } from "../core/types";
import { Graph, type GraphEdge, type GraphNode } from "../parts/graph";
import { FileLink, JobTypeLink, RecipeTypeLink } from "../parts/links";
import { Fact, Facts, None, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Category, Status, tone, word } from "../parts/status";
import { type Column, Table } from "../parts/table";
import { Moment, Time, Took } from "../parts/time";
import { Standing } from "./recipes";

const COLUMNS: readonly Column<RecipeJob>[] = [
  { name: "Part", cell: ({ job_name: name, job }) => <a href={to(`/jobs/${job.id}`)}>{name}</a> },
  { name: "Job type", cell: ({ job }) => <JobTypeLink type={job.job_type} /> },
  { name: "Status", cell: ({ job }) => <Status status={job.status} />, kind: "tight" },
  { name: "Why", cell: ({ job }) => <Why job={job} />, kind: "wide" },
  { name: "Tries", cell: ({ job }) => job.num_exes, kind: "figure" },
  { name: "Took", cell: ({ job }) => <Took start={job.started} end={job.ended} />, kind: "figure" },
];

function Why({ job }: { job: RecipeJob["job"] }) {
  if (!job.reason && !job.error) return <None />;
  return (
    <>
      {job.error && (
        <>
          <Category category={job.error.category} />{" "}
        </>
      )}
      {job.reason ?? job.error?.title}
    </>
  );
}

export default function Recipe({ id }: { id: string }) {
  const live = useLive<RecipeDetails>(`/recipes/${id}/`, 2);
  const recipe = live.data;
  const up: [string, string] = ["Recipes", to("/recipes")];
  if (!recipe)
    return (
      <Page title={`Recipe ${id}`} up={up}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  const jobs = recipe.jobs.map((each) => ({ ...each, status: each.job.status }));
  const { nodes, edges } = graphOf(recipe.recipe_type_rev.definition, recipe.jobs);
  const { event } = recipe;
  return (
    <Page title={`Recipe ${recipe.id}`} up={up} aside={<Standing recipe={{ completed: recipe.completed, jobs }} />}>
      {live.error && <Refusal error={live.error} />}
      <Panel title="Graph" aside="A click on a job opens it">
        <Graph caption="What depends on what in this recipe" nodes={nodes} edges={edges} />
      </Panel>
      <Panel title="Time">
        <Gantt recipe={recipe} />
      </Panel>
      <h2 class="section">Jobs</h2>
      <Table
        caption="Jobs of this recipe"
        columns={COLUMNS}
        rows={recipe.jobs}
        rowKey={(each) => each.job.id}
        href={(each) => to(`/jobs/${each.job.id}`)}
        empty={null}
      />
      <div class="halves">
        <Panel title="What it was given">
          {recipe.input_files.length ? (
            <ul>
              {recipe.input_files.map((file) => (
                <li key={file.id}>
                  <FileLink file={file} />
                </li>
              ))}
            </ul>
          ) : (
            <p class="quiet">No files.</p>
          )}
        </Panel>
        <Panel title="About">
          <Facts>
            <Fact name="Recipe type">
              <RecipeTypeLink type={recipe.recipe_type} />, revision {recipe.recipe_type_rev.revision_num}
            </Fact>
            <Fact name="Started by">
              {event.rule
                ? `rule ${event.rule.name || event.rule.id}`
                : String(event.description?.user ?? event.type.toLowerCase())}
              , <Time at={event.occurred} />
            </Fact>
            <Fact name="Started">
              <Moment at={recipe.created} />
            </Fact>
            <Fact name="Completed">
              <Moment at={recipe.completed} none="not yet" />
            </Fact>
          </Facts>
        </Panel>
      </div>
    </Page>
  );
}

/** Nodes and edges of a definition; with `jobs`, what became of each. */
export function graphOf(
  definition: RecipeDefinition,
  jobs: readonly RecipeJob[] = [],
): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const made = new Map(jobs.map((each) => [each.job_name, each.job]));
  const nodes: GraphNode[] = (definition.input_data ?? []).map((input) => ({
    id: `input ${input.name}`,
    title: input.name,
    note: input.media_types?.join(", ") || input.type,
    isInput: true,
  }));
  const edges: GraphEdge[] = [];
  for (const part of definition.jobs) {
    const job = made.get(part.name);
    nodes.push({
      id: part.name,
      title: part.name,
      note: `${job?.job_type.title ?? part.job_type.name} ${part.job_type.version}`,
      status: job?.status,
      href: job && to(`/jobs/${job.id}`),
    });
    for (const each of part.recipe_inputs ?? [])
      edges.push({
        from: `input ${each.recipe_input}`,
        to: part.name,
        label: `${each.recipe_input} becomes ${each.job_input}`,
      });
    for (const each of part.dependencies ?? [])
      edges.push({
        from: each.name,
        to: part.name,
        label:
          (each.connections ?? []).map((pair) => `${pair.output} becomes ${pair.input}`).join(", ") || "waits for it",
      });
  }
  return { nodes, edges };
}

/** When each job waited and ran, below each other. */
function Gantt({ recipe }: { recipe: RecipeDetails }) {
  const start = Date.parse(recipe.created);
  const ends = recipe.jobs.flatMap(({ job }) => [job.ended, job.started, job.queued].filter((time) => time !== null));
  const isOpen = recipe.jobs.some(({ job }) => job.status === "QUEUED" || job.status === "RUNNING");
  const end = isOpen ? now.value : Math.max(start + 1, ...ends.map((time) => Date.parse(time)));
  const at = (time: string): number => ((Date.parse(time) - start) / (end - start)) * 100;
  return (
    <ul class="gantt">
      {recipe.jobs.map(({ job, job_name: name }) => {
        const until = job.ended ? at(job.ended) : 100;
        const started = job.started ? at(job.started) : until;
        const queued = job.queued ? at(job.queued) : null;
        const took = between(job.started, job.ended);
        return (
          <li key={job.id}>
            <span class="gantt-name">{name}</span>
            <svg
              width="100%"
              height="16"
              role="img"
              aria-label={`${name}: ${word(job.status)}${took === undefined ? "" : `, ran ${duration(took)}`}`}
            >
              <rect class="meter-ground" width="100%" height="16" rx="3" />
              {queued !== null && (
                <rect class="fill-waiting" x={`${queued}%`} width={`${Math.max(0, started - queued)}%`} height="16" />
              )}
              {job.started && (
                <rect
                  class={`fill-${tone(job.status)}`}
                  x={`${started}%`}
                  width={`${Math.max(0.4, until - started)}%`}
                  height="16"
                  rx="2"
                />
              )}
            </svg>
            <span class="figure quiet">
              {job.started ? <Took start={job.started} end={job.ended} /> : word(job.status)}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
