// One job type: what goes in and comes out, what it needs, how it did, and what starts it.
import { to } from "../core/address";
import { cpus, duration, mebibytes } from "../core/format";
import { useLive } from "../core/live";
import { may } from "../core/session";
import type { InterfaceInput, InterfaceOutput, JobTypeDetails, JobTypeRevision, TriggerRule } from "../core/types";
import { Fact, Facts, None, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { PauseType } from "../parts/pause";
import { DidBeside, HowItDid } from "../parts/performance";
import { Revisions } from "../parts/revisions";
import { RulePreview } from "../parts/rule-preview";
import { Category } from "../parts/status";
import { type Column, Table } from "../parts/table";
import { Moment, Time } from "../parts/time";
import { type Aspect, Versions } from "../parts/versions";
import { TypeState } from "./job-types";

const ASPECTS: readonly Aspect<JobTypeDetails>[] = [
  { name: "State", of: (type) => (!type.is_active ? "Switched off" : type.is_paused ? "Paused" : "In use") },
  { name: "Image", of: (type) => type.docker_image || "none: a plain command" },
  { name: "CPUs", of: (type) => cpus(type.cpus_required) },
  { name: "Memory", of: (type) => mebibytes(type.mem_required) },
  { name: "GPUs", of: (type) => cpus(type.gpus_required) },
  { name: "Timeout", of: (type) => duration(type.timeout) },
  { name: "Priority", of: (type) => String(type.priority) },
  { name: "Tries", of: (type) => String(type.max_tries) },
  { name: "At once", of: (type) => (type.max_scheduled === null ? "as many as fit" : String(type.max_scheduled)) },
];

export default function JobType({ id }: { id: string }) {
  const live = useLive<JobTypeDetails>(`/job-types/${id}/`, 5);
  const type = live.data;
  const up: [string, string] = ["Job types", to("/job-types")];
  if (!type)
    return (
      <Page title={`Job type ${id}`} up={up}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  return (
    <Page
      title={type.title || type.name}
      up={up}
      aside={
        <>
          <span class="quiet">{type.version}</span>
          <TypeState type={type} />
        </>
      }
      lead={type.description ?? undefined}
      actions={
        <>
          <a class="button" href={to("/jobs", { job_type_id: type.id })}>
            Its jobs
          </a>
          <PauseType type={type} onDone={live.reload} />
          {!type.is_system && type.is_active && may("operator") && (
            <a class="button" href={to(`/job-types/${type.id}/run`)}>
              Run it…
            </a>
          )}
          {!type.is_system && may("admin") && (
            <a class="button" href={to(`/job-types/${type.id}/edit`)}>
              Edit
            </a>
          )}
        </>
      }
    >
      {live.error && <Refusal error={live.error} />}
      <HowItDid type={type} />
      <Panel title="What it needs">
        <Facts>
          <Fact name="CPUs">{cpus(type.cpus_required)}</Fact>
          <Fact name="Memory">{mebibytes(type.mem_required)}</Fact>
          <Fact name="Disk for outputs">
            {mebibytes(type.disk_out_const_required)}
            {type.disk_out_mult_required > 0 && ` and ${type.disk_out_mult_required} times its inputs`}
          </Fact>
          {type.gpus_required > 0 && <Fact name="GPUs">{type.gpus_required}</Fact>}
          <Fact name="Timeout">{duration(type.timeout)}</Fact>
          <Fact name="Priority">{type.priority}</Fact>
          <Fact name="Tries">{type.max_tries || "for ever"}</Fact>
          <Fact name="At once">{type.max_scheduled ?? "as many as fit"}</Fact>
        </Facts>
      </Panel>
      <Panel title="How it is run">
        <Facts>
          <Fact name="Image">{type.docker_image ? <code>{type.docker_image}</code> : "none: a plain command"}</Fact>
          <Fact name="Name">
            <code>{type.name}</code>
          </Fact>
          <Fact name="Revision">{type.revision_num}</Fact>
          <Fact name="Author">{type.author_name ?? <None />}</Fact>
          <Fact name="Made">
            <Moment at={type.created} />
          </Fact>
          <Fact name="Changed">
            <Time at={type.last_modified} />
          </Fact>
        </Facts>
        <section class="command spaced-top" tabIndex={0} aria-label="Command of this job type">
          <pre>{`${type.interface.command} ${type.interface.command_arguments}`}</pre>
        </section>
      </Panel>
      <div class="halves">
        <Ends title="Inputs" rows={type.interface.input_data ?? []} />
        <Ends title="Outputs" rows={type.interface.output_data ?? []} />
      </div>
      <div class="halves">
        <Panel title="What starts it">
          {type.trigger_rule ? (
            <Rule rule={type.trigger_rule} typeId={type.id} />
          ) : (
            <p class="quiet">No rule: recipes and people start it.</p>
          )}
        </Panel>
        <Panel title="What its exit codes mean">
          <Mapping type={type} />
        </Panel>
      </div>
      <Versions<JobTypeDetails>
        type={type}
        path="job-types"
        aspects={ASPECTS}
        document={({ interface: called, error_mapping, trigger_rule }) => ({
          interface: called,
          error_mapping,
          trigger_rule: trigger_rule && { type: trigger_rule.type, configuration: trigger_rule.configuration },
        })}
      >
        {(other) => <DidBeside before={other} after={type} />}
      </Versions>
      <Revisions<JobTypeRevision>
        path={`/job-types/${type.id}/revisions/`}
        key={type.revision_num}
        document={(revision) => revision.interface}
        noun="interface"
      />
    </Page>
  );
}

function Ends({ title, rows }: { title: string; rows: readonly (InterfaceInput | InterfaceOutput)[] }) {
  const columns: readonly Column<InterfaceInput | InterfaceOutput>[] = [
    { name: "Name", cell: (row) => <code>{row.name}</code> },
    { name: "Kind", cell: (row) => row.type },
    {
      name: "Media type",
      cell: (row) =>
        ("media_types" in row && row.media_types?.join(", ")) ||
        ("media_type" in row && row.media_type) || <None>any</None>,
    },
    { name: "Required", cell: (row) => (row.required === false ? "no" : "yes") },
  ];
  return (
    <Panel title={title}>
      <Table
        caption={title}
        columns={columns}
        rows={rows}
        rowKey={(row) => row.name}
        empty={<p class="quiet">None.</p>}
      />
    </Panel>
  );
}

function Mapping({ type }: { type: JobTypeDetails }) {
  const codes = Object.entries(type.error_mapping.exit_codes ?? {});
  if (!codes.length)
    return <p class="quiet">Nothing of its own: 0 is success, anything else a fault of the algorithm.</p>;
  return (
    <ul class="mapping">
      {codes.map(([code, name]) => {
        const error = type.errors.find((each) => each.name === name);
        return (
          <li key={code}>
            <code>{code}</code> {error ? <Category category={error.category} /> : null} {error?.title ?? name}
          </li>
        );
      })}
    </ul>
  );
}

function Rule({ rule, typeId }: { rule: TriggerRule; typeId: number }) {
  const { type, is_active, configuration } = rule;
  return (
    <>
      <p>
        {is_active ? "Active" : "Switched off"}: {type.toLowerCase()} {rule.name && <code>{rule.name}</code>}
      </p>
      <section class="command spaced-top" tabIndex={0} aria-label="Configuration of the rule">
        <pre>{JSON.stringify(configuration, null, 2)}</pre>
      </section>
      <RulePreview rule={{ type, is_active, configuration }} target={{ job_type_id: typeId }} />
    </>
  );
}
