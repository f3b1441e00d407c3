// Times relative to now, the absolute one on hover; and durations that go on growing.
import { now } from "../core/clock";
import { absolute, between, duration, relative } from "../core/format";
import { isUtc } from "../core/settings";
import { None } from "./page";

export function Time({ at, none }: { at: string | null | undefined; none?: string }) {
  if (!at) return <None>{none}</None>;
  return (
    <time dateTime={at} title={absolute(at, isUtc.value)}>
      {relative(at, now.value)}
    </time>
  );
}

export function Moment({ at, none }: { at: string | null | undefined; none?: string }) {
  if (!at) return <None>{none}</None>;
  return (
    <time dateTime={at} title={relative(at, now.value)}>
      {absolute(at, isUtc.value)}
    </time>
  );
}

/** From start to end, or to now while there is no end. */
export function Took({ start, end }: { start: string | null | undefined; end: string | null | undefined }) {
  if (!start) return <None />;
  return (
    <span class="figure">
      {duration(end ? between(start, end) : Math.max(0, (now.value - Date.parse(start)) / 1000))}
    </span>
  );
}
