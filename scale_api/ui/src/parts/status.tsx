// A status by shape, word and colour, so that no one of them is needed to know it.
import type { ErrorCategory, IngestStatus, JobStatus } from "../core/types";

export type Tone = "idle" | "waiting" | "running" | "good" | "bad" | "off";
type Shape = "dots" | "ring" | "bars" | "play" | "check" | "cross" | "slash" | "pause" | "square" | "copy";

const SHAPES: Record<Shape, string> = {
  dots: "M3.2 8h.1M8 8h.1M12.8 8h.1",
  ring: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M8 5v3.2l2 1.3",
  bars: "M3 4.5h10v7H3zM3 8h10",
  play: "M5 3.2v9.6L13 8z",
  check: "M3 8.5l3.2 3.3L13 4.6",
  cross: "M4 4l8 8M12 4l-8 8",
  slash: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M4.2 11.8l7.6-7.6",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  square: "M4 4h8v8H4z",
  copy: "M3 3h7v7H3zM6 10v3h7V6h-3",
};
const FILLED: ReadonlySet<Shape> = new Set(["play"]);

interface Look {
  tone: Tone;
  shape: Shape;
  word: string;
}

const LOOKS: Record<JobStatus | IngestStatus, Look> = {
  PENDING: { tone: "idle", shape: "dots", word: "Pending" },
  BLOCKED: { tone: "off", shape: "bars", word: "Blocked" },
  QUEUED: { tone: "waiting", shape: "ring", word: "Queued" },
  RUNNING: { tone: "running", shape: "play", word: "Running" },
  FAILED: { tone: "bad", shape: "cross", word: "Failed" },
  COMPLETED: { tone: "good", shape: "check", word: "Completed" },
  CANCELED: { tone: "off", shape: "slash", word: "Canceled" },
  TRANSFERRING: { tone: "waiting", shape: "dots", word: "Transferring" },
  TRANSFERRED: { tone: "waiting", shape: "ring", word: "Transferred" },
  DEFERRED: { tone: "off", shape: "slash", word: "Deferred" },
  INGESTING: { tone: "running", shape: "play", word: "Ingesting" },
  INGESTED: { tone: "good", shape: "check", word: "Ingested" },
  ERRORED: { tone: "bad", shape: "cross", word: "Errored" },
  DUPLICATE: { tone: "off", shape: "copy", word: "Duplicate" },
};

export const word = (status: JobStatus | IngestStatus): string => LOOKS[status].word;
export const tone = (status: JobStatus | IngestStatus): Tone => LOOKS[status].tone;

export function Glyph({ shape, tone: of }: { shape: Shape; tone: Tone }) {
  return (
    <svg class={`glyph tone-${of}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={SHAPES[shape]} class={FILLED.has(shape) ? "filled" : ""} />
    </svg>
  );
}

export function StatusGlyph({ status }: { status: JobStatus | IngestStatus }) {
  return <Glyph shape={LOOKS[status].shape} tone={LOOKS[status].tone} />;
}

export function Status({ status }: { status: JobStatus | IngestStatus }) {
  const { tone: of, shape, word: text } = LOOKS[status];
  return (
    <span class={`status tone-${of}`}>
      <Glyph shape={shape} tone={of} />
      {text}
    </span>
  );
}

/** Anything else that is well, or is not: processes, nodes, Strikes. */
export function Health({ tone: of, children }: { tone: "good" | "bad" | "waiting" | "off"; children: string }) {
  const shape: Shape = of === "good" ? "check" : of === "bad" ? "cross" : of === "waiting" ? "pause" : "slash";
  return (
    <span class={`status tone-${of}`}>
      <Glyph shape={shape} tone={of} />
      {children}
    </span>
  );
}

const CATEGORY: Record<ErrorCategory, string> = { SYSTEM: "System", ALGORITHM: "Algorithm", DATA: "Data" };
export const categoryWord = (category: ErrorCategory): string => CATEGORY[category];

export function Category({ category }: { category: ErrorCategory }) {
  return <span class={`category category-${category.toLowerCase()}`}>{CATEGORY[category]}</span>;
}
