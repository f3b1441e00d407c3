// What an event, its rule and its outcome look like, wherever they are shown.
import { to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { many } from "../core/format";
import { useLive } from "../core/live";
import type { RuleWithTarget, TriggerEvent } from "../core/types";
import { JobTypeLink, RecipeTypeLink } from "./links";
import { None } from "./page";

/** All rules by their id, with what each starts. */
export function useRules(): ReadonlyMap<number, RuleWithTarget> {
  const live = useLive<Rows<RuleWithTarget>>("/trigger-rules/?page_size=1000", 0);
  return new Map(live.data?.results.map((rule) => [rule.id, rule]));
}

/** What happened, in a few words that lead to it. */
export function Cause({ event }: { event: TriggerEvent }) {
  const { file_id: fileId, file_name: fileName, ingest_ids: ids, strike_id: strikeId } = event.description;
  const { rule_name: ruleName, user } = event.description;
  if (fileId)
    return (
      <>
        <a href={to(`/files/${fileId}`)}>{fileName ?? `file ${fileId}`}</a>{" "}
        {event.type === "PARSE" ? "was parsed" : "was ingested"}
      </>
    );
  if (event.type === "STRIKE_TRANSFER")
    return (
      <>
        {ids ? many(ids.length, "file") : <a href={to("/ingests", { file_name: fileName })}>{fileName}</a>} came in
        whole
      </>
    );
  if (strikeId) return <a href={to(`/strikes/${strikeId}`)}>Strike {strikeId} was made</a>;
  if (ruleName) return <>The clock: {ruleName}</>;
  return user ? <>{user} asked for it</> : event.type;
}

export function RuleTarget({ rule }: { rule: RuleWithTarget | null | undefined }) {
  if (rule?.job_type) return <JobTypeLink type={rule.job_type} />;
  if (rule?.recipe_type) return <RecipeTypeLink type={rule.recipe_type} />;
  return rule ? rule.name || `rule ${rule.id}` : <None />;
}

export function Outcome({ event }: { event: TriggerEvent }) {
  return event.error ? <span class="tone-bad">Nothing was started: {event.error}</span> : <>Started</>;
}
