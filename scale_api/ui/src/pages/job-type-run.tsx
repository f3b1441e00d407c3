// One job of a type, started by hand.
import { go, to } from "../core/address";
import { useLive } from "../core/live";
import type { JobTypeDetails, Ref } from "../core/types";
import { Empty, Page, Refusal, Skeleton } from "../parts/page";
import { RunForm } from "../parts/run";

export default function JobTypeRun({ id }: { id: string }) {
  const live = useLive<JobTypeDetails>(`/job-types/${id}/`, 0);
  const type = live.data;
  if (!type)
    return (
      <Page title="Run a job" up={["Job types", to("/job-types")]}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  const name = type.title || type.name;
  const { input_data: inputs = [], output_data: outputs = [] } = type.interface;
  return (
    <Page
      title={`Run ${name}`}
      up={[name, to(`/job-types/${id}`)]}
      aside={<span class="quiet">{type.version}</span>}
      lead={type.is_paused ? "This type is paused: the job waits until it goes on." : (type.description ?? undefined)}
    >
      {type.is_active && !type.is_system ? (
        <RunForm<Ref>
          inputs={inputs}
          hasOutputs={outputs.length > 0}
          path="/queue/new-job/"
          document="job_data"
          body={(given, workspace) => ({
            job_type_id: type.id,
            job_data: {
              version: "1.0",
              input_data: given,
              output_data: workspace ? outputs.map((each) => ({ name: each.name, workspace_id: workspace })) : [],
            },
          })}
          verb="Run it"
          said={(job) => `Job ${job.id} is queued`}
          onMade={(job) => go(to(`/jobs/${job.id}`), { replace: true })}
        />
      ) : (
        <Empty title={type.is_system ? "Scale runs this type by itself." : "This type is not in use."} />
      )}
    </Page>
  );
}
