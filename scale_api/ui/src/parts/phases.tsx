// Where the time of an execution went, as one bar.
import { now } from "../core/clock";
import { duration } from "../core/format";
import type { Execution } from "../core/types";

interface Phase {
  name: string;
  tone: string;
  start: string | null;
  end: string | null;
}

export function Phases({ execution: exe }: { execution: Execution }) {
  const phases: Phase[] = [
    { name: "Queued", tone: "waiting", start: exe.queued, end: exe.started },
    { name: "On its way", tone: "idle", start: exe.started, end: exe.pre_started ?? exe.job_started },
    { name: "Inputs", tone: "pre", start: exe.pre_started, end: exe.pre_completed },
    { name: "Job", tone: "running", start: exe.job_started, end: exe.job_completed },
    { name: "Outputs", tone: "post", start: exe.post_started, end: exe.post_completed },
  ];
  // while it runs only its start is known: the node tells the rest with the outcome
  const isOpen = exe.status === "RUNNING" && !exe.ended;
  const running: Phase = { name: "Running", tone: "running", start: exe.started, end: null };
  const shown = (isOpen ? [...phases.slice(0, 1), running] : phases)
    .filter((phase) => phase.start)
    .map((phase) => ({ ...phase, seconds: length(phase, exe), isOpen: !phase.end && !exe.ended }));
  const total = shown.reduce((sum, phase) => sum + phase.seconds, 0) || 1;
  let before = 0;
  return (
    <div class="phases">
      <svg
        width="100%"
        height="18"
        role="img"
        aria-label={shown.map((each) => `${each.name} ${duration(each.seconds)}`).join(", ")}
      >
        {shown.map((phase) => {
          const x = (before / total) * 100;
          before += phase.seconds;
          return (
            <rect
              key={phase.name}
              class={`fill-${phase.tone} ${phase.isOpen ? "is-open" : ""}`}
              x={`${x}%`}
              width={`${(phase.seconds / total) * 100}%`}
              height="18"
            />
          );
        })}
      </svg>
      <ul class="phase-names">
        {shown.map((phase) => (
          <li key={phase.name}>
            <svg width="10" height="10" aria-hidden="true">
              <rect class={`fill-${phase.tone}`} width="10" height="10" rx="2" />
            </svg>
            {phase.name} <span class="figure quiet">{duration(phase.seconds)}</span>
            {phase.isOpen && <span class="quiet"> so far</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

function length({ start, end }: Phase, exe: Execution): number {
  if (!start) return 0;
  const until = end ?? exe.ended;
  return Math.max(0, ((until ? Date.parse(until) : now.value) - Date.parse(start)) / 1000);
}
