// On which of the files that there are a trigger rule would have fired. Nothing is changed by it.
import { useState } from "preact/hooks";
import { to } from "../core/address";
import { ApiError, change } from "../core/api";
import { many } from "../core/format";
import { Empty, Refusal } from "./page";
import { Time } from "./time";

const SHOWN = 20;

interface Preview {
  count: number;
  jobs: number;
  results: { file: { id: number; file_name: string }; occurred: string; error: string | null }[];
}

interface RulePreviewProps {
  /** As it stands in the editor, saved or not. */
  rule: object;
  /** What it is to start. */
  target: { job_type_id: number } | { recipe_type_id: number };
}

export function RulePreview({ rule, target }: RulePreviewProps) {
  const [seen, setSeen] = useState<{ of: string; found: Preview | ApiError } | null>(null);
  const text = JSON.stringify(rule);
  const look = async (): Promise<void> => {
    const asked = change<Preview>("POST", "/trigger-rules/preview/", { trigger_rule: rule, ...target });
    const found = await asked.catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
      return error;
    });
    setSeen({ of: text, found });
  };
  const found = seen?.of === text ? seen.found : null; // what was found for another rule says nothing of this one
  return (
    <div class="spaced-top">
      <button type="button" onClick={look}>
        On which files would it have fired?
      </button>
      {found instanceof ApiError && <Refusal error={found} />}
      {found && !(found instanceof ApiError) && (
        <div role="status" class="spaced-top">
          {found.count ? (
            <p>
              On {many(found.count, "file")}, {many(found.jobs, "job")} each
              {found.results.length > SHOWN ? `; the newest ${SHOWN}:` : ":"}
            </p>
          ) : (
            <Empty title="On none of the files that there are." />
          )}
          <ul>
            {found.results.slice(0, SHOWN).map((each) => (
              <li key={each.file.id}>
                <a href={to(`/files/${each.file.id}`)}>{each.file.file_name}</a> <Time at={each.occurred} />{" "}
                {each.error && <span class="tone-bad">{each.error}</span>}
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}
