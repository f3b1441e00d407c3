// One file: what it is, where it lies, what it was made from and what was made from it.
import { asQuery, to } from "../core/address";
import type { Page as Rows } from "../core/api";
import { many, size } from "../core/format";
import { useLive } from "../core/live";
import type { Provenance, ScaleFile, TriggerEvent } from "../core/types";
import { Footprints } from "../parts/map";
import { Empty, Fact, Facts, None, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Moment } from "../parts/time";
import { Outcome, RuleTarget, useRules } from "../parts/trigger";

export default function File({ id }: { id: string }) {
  const live = useLive<ScaleFile>(`/files/${id}/`, 15);
  const file = live.data;
  const up: [string, string] = ["Files", to("/files")];
  if (!file)
    return (
      <Page title={`File ${id}`} up={up}>
        {live.error ? <Refusal error={live.error} /> : <Skeleton lines={8} />}
      </Page>
    );
  const more = Object.entries(file.meta_data ?? {});
  return (
    <Page
      title={file.file_name}
      up={up}
      aside={file.is_deleted && <span class="tag">deleted</span>}
      actions={
        !file.is_deleted && (
          <a class="button" href={file.url} download={file.file_name}>
            Download
          </a>
        )
      }
    >
      <Panel>
        <Facts>
          <Fact name="Size">{size(file.file_size)}</Fact>
          <Fact name="Media type">{file.media_type || <None />}</Fact>
          <Fact name="Data types">{file.data_type.join(", ") || <None />}</Fact>
          <Fact name="Workspace">{file.workspace.name}</Fact>
          <Fact name="Recorded">
            <Moment at={file.data_started} />
            {file.data_ended && (
              <>
                {" to "}
                <Moment at={file.data_ended} />
              </>
            )}
          </Fact>
          <Fact name="Countries">{file.countries.join(", ") || <None />}</Fact>
          <Fact name="Catalogued">
            <Moment at={file.created} />
          </Fact>
          <Fact name="UUID">
            <code>{file.uuid}</code>
          </Fact>
          {more.map(([name, value]) => (
            <Fact key={name} name={name}>
              {typeof value === "object" ? <code>{JSON.stringify(value)}</code> : String(value)}
            </Fact>
          ))}
        </Facts>
      </Panel>
      <div class="halves">
        <Relatives
          title="What it was made from"
          fileId={file.id}
          way="ancestors"
          none="Nothing: it came in from outside."
        />
        <Relatives title="What was made from it" fileId={file.id} way="descendants" none="Nothing yet." />
      </div>
      <Started fileId={file.id} />
      {file.geometry && (
        <Panel title="Where it lies">
          <Footprints
            caption={`The footprint of ${file.file_name}`}
            footprints={[{ id: file.id, name: file.file_name, wkt: file.geometry, href: to(`/files/${file.id}`) }]}
          />
        </Panel>
      )}
    </Page>
  );
}

/** The rules that it met; those that could start nothing say why. */
function Started({ fileId }: { fileId: number }) {
  const live = useLive<Rows<TriggerEvent>>(`/trigger-events/?${asQuery({ file_id: fileId, order: "-occurred" })}`, 15);
  const rules = useRules();
  const events = live.data?.results ?? [];
  if (!live.error && events.length === 0) return null;
  return (
    <Panel title="What it triggered">
      {live.error && <Refusal error={live.error} />}
      <ul class="lines">
        {events.map((event) => (
          <li key={event.id}>
            <a href={to(`/triggers/${event.id}`)}>Event {event.id}</a>{" "}
            <RuleTarget rule={event.rule && rules.get(event.rule.id)} /> <Outcome event={event} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const SHOWN = 200;

interface RelativesProps {
  title: string;
  fileId: number;
  way: "ancestors" | "descendants";
  none: string;
}

/** Step by step away from the file, with the job that each step took. */
function Relatives({ title, fileId, way, none }: RelativesProps) {
  const live = useLive<Rows<Provenance>>(`/files/${fileId}/${way}/?page_size=${SHOWN}`, 15);
  const rows = live.data?.results;
  const steps = [...new Set(rows?.map((row) => row.depth))].sort((a, b) => a - b);
  return (
    <Panel title={title} aside={live.data && live.data.count > SHOWN && `${SHOWN} of ${many(live.data.count, "file")}`}>
      {live.error && <Refusal error={live.error} />}
      {!rows && !live.error && <Skeleton lines={2} />}
      {rows?.length === 0 && <Empty title={none} />}
      <ol class="provenance">
        {steps.map((depth) => (
          <li key={depth}>
            <span class="provenance-step">{many(depth, "step")}</span>
            <ul>
              {rows
                ?.filter((row) => row.depth === depth)
                .map(({ file, links }) => (
                  <li key={file.id}>
                    <a href={to(`/files/${file.id}`)}>{file.file_name}</a>{" "}
                    <span class="quiet">{file.file_type.toLowerCase()}</span>
                    {file.is_superseded && <span class="tag">superseded</span>}
                    {links[0]?.job && (
                      <span class="provenance-job">
                        by <a href={to(`/jobs/${links[0].job.id}`)}>job {links[0].job.id}</a>,{" "}
                        {links[0].job.job_type.title || links[0].job.job_type.name}
                      </span>
                    )}
                  </li>
                ))}
            </ul>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
