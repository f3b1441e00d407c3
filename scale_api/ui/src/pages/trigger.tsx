// One trigger event: what happened, by which rule, and the jobs and recipes that it queued.
import { to } from "../core/address";
import { useLive } from "../core/live";
import type { TriggerEventDetails } from "../core/types";
import { JobTypeLink, RecipeTypeLink } from "../parts/links";
import { Empty, Fact, Facts, None, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Status } from "../parts/status";
import { Moment } from "../parts/time";
import { Cause, Outcome, RuleTarget, useRules } from "../parts/trigger";

export default function Trigger({ id }: { id: string }) {
  const live = useLive<TriggerEventDetails>(`/trigger-events/${id}/`, 5);
  const rules = useRules();
  const event = live.data;
  return (
    <Page title={`Trigger event ${id}`} up={["Triggers", to("/triggers")]}>
      {live.error && <Refusal error={live.error} />}
      {!event && !live.error && <Skeleton lines={6} />}
      {event && (
        <>
          <Panel>
            <Facts>
              <Fact name="What happened">
                <Cause event={event} />
              </Fact>
              <Fact name="When">
                <Moment at={event.occurred} />
              </Fact>
              <Fact name="Rule of">
                <RuleTarget rule={event.rule && rules.get(event.rule.id)} />
              </Fact>
              <Fact name="Outcome">
                <Outcome event={event} />
              </Fact>
              <Fact name="Trace">{event.trace_id ? <code>{event.trace_id}</code> : <None />}</Fact>
            </Facts>
          </Panel>
          <Panel title="What it queued">
            {event.jobs.length + event.recipes.length === 0 && <Empty title="Nothing." />}
            <ul class="lines">
              {event.recipes.map((recipe) => (
                <li key={recipe.id}>
                  <a href={to(`/recipes/${recipe.id}`)}>Recipe {recipe.id}</a>{" "}
                  <RecipeTypeLink type={recipe.recipe_type} />
                </li>
              ))}
              {event.jobs.map((job) => (
                <li key={job.id}>
                  <a href={to(`/jobs/${job.id}`)}>Job {job.id}</a> <JobTypeLink type={job.job_type} />{" "}
                  <Status status={job.status} />
                </li>
              ))}
            </ul>
          </Panel>
        </>
      )}
    </Page>
  );
}
