// One recipe of a type, started by hand.
import { go, to } from "../core/address";
import { useLive } from "../core/live";
import type { RecipeTypeDetails, Ref } from "../core/types";
import { Empty, Page, Refusal, Skeleton } from "../parts/page";
import { RunForm } from "../parts/run";

export default function RecipeTypeRun({ id }: { id: string }) {
  const live = useLive<RecipeTypeDetails>(`/recipe-types/${id}/`, 0);
  const type = live.data;
  if (!type)
    return (
      <Page title="Run a recipe" up={["Recipe types", to("/recipe-types")]}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  const name = type.title || type.name;
  return (
    <Page
      title={`Run ${name}`}
      up={[name, to(`/recipe-types/${id}`)]}
      aside={<span class="quiet">{type.version}</span>}
      lead={type.description ?? undefined}
    >
      {type.is_active ? (
        <RunForm<Ref>
          inputs={type.definition.input_data ?? []}
          hasOutputs={type.job_types.some((each) => each.interface.output_data?.length)}
          path="/queue/new-recipe/"
          document="recipe_data"
          body={(given, workspace) => ({
            recipe_type_id: type.id,
            recipe_data: { version: "1.0", input_data: given, ...(workspace ? { workspace_id: workspace } : {}) },
          })}
          verb="Run it"
          said={(recipe) => `Recipe ${recipe.id} is queued`}
          onMade={(recipe) => go(to(`/recipes/${recipe.id}`), { replace: true })}
        />
      ) : (
        <Empty title="This type is not in use." />
      )}
    </Page>
  );
}
