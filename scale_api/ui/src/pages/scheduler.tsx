// The scheduler and what it talks to; which Scale this is, and where its API is documented.
import { useState } from "preact/hooks";
import { to } from "../core/address";
import { change } from "../core/api";
import { count } from "../core/format";
import { useLive } from "../core/live";
import { session } from "../core/session";
import { attempt } from "../core/toasts";
import type { SystemStatus } from "../core/types";
import { Question } from "../parts/dialog";
import { Fact, Facts, Page, Panel, Refusal, Skeleton } from "../parts/page";
import { Health } from "../parts/status";

export default function Scheduler() {
  const live = useLive<SystemStatus>("/status/", 3);
  const version = useLive<{ version: string }>("/version/", 0).data?.version;
  const [isAsking, setAsking] = useState(false);
  const status = live.data;
  const access = session.value?.access_control;
  const pause = (isPaused: boolean) =>
    attempt(isPaused ? "Scheduling is paused" : "Scheduling goes on", async () => {
      await change("PATCH", "/scheduler/", { is_paused: isPaused });
      await live.reload();
    });
  return (
    <Page
      title="Scheduler"
      actions={
        status &&
        (status.scheduler.is_paused ? (
          <button type="button" class="primary" onClick={() => pause(false)}>
            Resume scheduling
          </button>
        ) : (
          <button type="button" onClick={() => setAsking(true)}>
            Pause scheduling
          </button>
        ))
      }
    >
      {live.error && <Refusal error={live.error} />}
      {!status && !live.error && <Skeleton lines={6} />}
      {status && (
        <div class="halves">
          <Panel title="Scheduler">
            <Facts>
              <Fact name="State">
                <Health tone={!status.scheduler.is_online ? "bad" : status.scheduler.is_paused ? "waiting" : "good"}>
                  {!status.scheduler.is_online ? "Not running" : status.scheduler.is_paused ? "Paused" : "Online"}
                </Health>
              </Fact>
              <Fact name="Runs on">{status.scheduler.hostname || "nowhere"}</Fact>
              <Fact name="Waiting">
                <a href={to("/queue")}>{count(status.queue_depth)} in the queue</a>
              </Fact>
            </Facts>
          </Panel>
          <Panel title="Mesos master">
            <Facts>
              <Fact name="State">
                <Health tone={status.master.is_online ? "good" : "bad"}>
                  {status.master.is_online ? "Online" : "Silent"}
                </Health>
              </Fact>
              <Fact name="Address">
                <code>
                  {status.master.hostname}:{status.master.port}
                </code>
              </Fact>
              <Fact name="Its agents">
                <a href={to("/nodes")}>Nodes</a>
              </Fact>
            </Facts>
          </Panel>
        </div>
      )}
      <Panel title="About">
        <Facts>
          <Fact name="Version">{version ?? "…"}</Fact>
          <Fact name="REST API">
            <a href="/docs/api/">Read and try it</a>
          </Fact>
          <Fact name="For programs">
            <a href="/openapi.json">OpenAPI document</a>
          </Fact>
          <Fact name="For Prometheus">
            <a href="/metrics-prometheus/">Figures</a>
          </Fact>
          {access && <Fact name="Access control">{access.is_on ? "On" : "Off"}</Fact>}
        </Facts>
        {access && <p class="panel-foot">{access.reason}</p>}
      </Panel>
      {isAsking && (
        <Question
          title="Pause scheduling?"
          verb="Pause scheduling"
          onYes={() => pause(true)}
          onClose={() => setAsking(false)}
        >
          <p>Jobs that run go on. No other job is started, on any node, until somebody resumes it.</p>
        </Question>
      )}
    </Page>
  );
}
