// Charts: stacked bars and meters as SVG of our own, lines by uPlot.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { go } from "../core/address";
import { absolute, short } from "../core/format";
import { isDark, isUtc } from "../core/settings";
import { colourOf } from "./save";

export interface Part {
  name: string;
  /** A colour of the style sheet: "good", "bad", "category-data". */
  tone: string;
  value: number;
  /** How the value is written, where a bare number says too little. */
  text?: string;
}

export interface Bar {
  /** What the bar stands for, in full. */
  label: string;
  /** What stands below it; most bars have nothing. */
  tick?: string | undefined;
  parts: readonly Part[];
  /** Where a click leads. */
  href?: string | undefined;
}

const TALL = 132;
const SMALL = 64;
const FOOT = 20;
const DAY_STEPS = [1, 2, 7, 14, 28, 91, 182, 364].map((days) => days * 86_400);
const HOUR_S = 3600; // shown before and after the only time that there is

function total(bar: Bar): number {
  return bar.parts.reduce((sum, part) => sum + part.value, 0);
}

/** The next "round" number: 1, 2, 5 times a power of ten. */
export function roundUp(value: number): number {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

/** Stacked bars. The table that a screen reader gets is drawn from the same numbers. */
export function Bars({ caption, bars, isSmall = false }: { caption: string; bars: readonly Bar[]; isSmall?: boolean }) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const height = isSmall ? SMALL : TALL;
  const [at, setAt] = useState<number | null>(null);
  const top = roundUp(Math.max(...bars.map(total), 1));
  const left = 8 + 7 * short(top).length;
  const step = Math.max(1, (width - left - 4) / bars.length);
  const y = (value: number): number => height - (value / top) * (height - 8);
  const shown = at === null ? undefined : bars[at];
  return (
    <figure class="chart" ref={frame}>
      <figcaption class="unseen">{caption}</figcaption>
      {width > 0 && (
        <svg width={width} height={height + FOOT} role="img" aria-label={caption}>
          {[0, 0.5, 1].map((share) => (
            <g key={share}>
              <line class="grid" x1={left} x2={width} y1={y(top * share)} y2={y(top * share)} />
              <text class="tick" x={left - 6} y={y(top * share) + 4} text-anchor="end">
                {top * share === Math.round(top * share) ? short(top * share) : ""}
              </text>
            </g>
          ))}
          {bars.map((bar, place) => {
            let below = 0;
            const x = left + place * step;
            return (
              // biome-ignore lint/a11y/noStaticElementInteractions: hovering shows what the table tells anyway
              <g
                key={bar.label}
                class={bar.href && "leads"}
                onMouseEnter={() => setAt(place)}
                onMouseLeave={() => setAt(null)}
                onClick={() => bar.href && go(bar.href)}
              >
                <rect class={`hover ${at === place ? "is-at" : ""}`} x={x} y={0} width={step} height={height} />
                {bar.parts.map((part) => {
                  if (!part.value) return null;
                  const high = Math.max(y(below) - y(below + part.value), 1.5);
                  const rect = (
                    <rect
                      key={part.name}
                      class={`fill-${part.tone}`}
                      x={x + Math.min(1.5, step * 0.1)}
                      y={y(below) - high}
                      width={Math.max(1, step - Math.min(3, step * 0.2))}
                      height={high}
                    />
                  );
                  below += part.value;
                  return rect;
                })}
                {bar.tick && (
                  <text class="tick" x={x + step / 2} y={height + 15} text-anchor="middle">
                    {bar.tick}
                  </text>
                )}
              </g>
            );
          })}
        </svg>
      )}
      <p class="chart-note">
        {shown ? (
          <>
            <strong>{shown.label}</strong>
            {shown.parts
              .filter((part) => part.value)
              .map((part) => ` · ${part.name} ${part.text ?? short(part.value)}`)
              .join("") || " · none"}
          </>
        ) : (
          <Legend parts={bars[0]?.parts ?? []} />
        )}
      </p>
      <div class="unseen">
        <table>
          <caption>{caption}</caption>
          <tbody>
            {bars.map((bar) => (
              <tr key={bar.label}>
                <th scope="row">{bar.label}</th>
                {bar.parts.map((part) => (
                  <td key={part.name}>
                    {part.name} {part.text ?? part.value}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

function Legend({ parts }: { parts: readonly Part[] }) {
  return (
    <>
      {parts.map((part) => (
        <span key={part.name} class="legend">
          <svg width="10" height="10" aria-hidden="true">
            <rect class={`fill-${part.tone}`} width="10" height="10" rx="2" />
          </svg>
          {part.name}
        </span>
      ))}
    </>
  );
}

export function useWidth(frame: { current: Element | null }): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!frame.current) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, [frame]);
  return width;
}

interface MeterProps {
  label: string;
  /** Shares of `total`, the later ones in front. */
  shares: readonly Part[];
  total: number;
  text: string;
}

/** How much of something is taken. */
export function Meter({ label, shares, total: all, text }: MeterProps) {
  return (
    <div class="meter">
      <span class="meter-label">{label}</span>
      <svg class="meter-bar" width="100%" height="10" aria-hidden="true">
        <rect class="meter-ground" width="100%" height="10" rx="3" />
        {shares.map((share) => (
          <rect
            key={share.name}
            class={`fill-${share.tone}`}
            width={`${all > 0 ? Math.min(100, (share.value / all) * 100) : 0}%`}
            height="10"
            rx="3"
          />
        ))}
      </svg>
      <span class="meter-text figure">{text}</span>
    </div>
  );
}

export interface Line {
  name: string;
  tone: string;
  values: readonly (number | null)[];
}

interface LinesProps {
  caption: string;
  /** Seconds since 1970. */
  times: readonly number[];
  lines: readonly Line[];
  height?: number;
  /** The times are days, which are those of UTC whatever the clock of the browser shows. */
  isDaily?: boolean;
}

/** Lines over time. */
export function Lines({ caption, times, lines, height = 220, isDaily = false }: LinesProps) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const dark = isDark.value;
  const utc = isUtc.value || isDaily;
  useEffect(() => {
    const ground = frame.current;
    if (!ground || !width || !times.length) return undefined;
    const colour = (name: string): string => colourOf(ground, name);
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const options: uPlot.Options = {
      width,
      height,
      cursor: { points: { size: 7 }, drag: { x: false, y: false } },
      legend: { live: true },
      ...(utc ? { tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") } : {}),
      scales: {
        x: { range: () => span(times) },
        y: { range: (_plot, _low, high) => [0, roundUp(high || 1)] },
      },
      axes: [
        {
          ...axis,
          ...(isDaily ? { incrs: DAY_STEPS } : {}),
          values: (_plot, marks, _axis, _space, step) => marks.map((mark) => clock(mark, step, utc)),
        },
        { ...axis, size: 52, values: (_plot, marks) => marks.map((mark) => short(mark)) },
      ],
      series: [
        { label: isDaily ? "Day" : "Time", value: isDaily ? "{YYYY}-{MM}-{DD}" : "{YYYY}-{MM}-{DD} {HH}:{mm}" },
        ...lines.map((line) => ({
          label: line.name,
          stroke: colour(line.tone),
          width: 2,
          points: { show: times.length < 40 },
        })),
      ],
    };
    const data = [times, ...lines.map((line) => line.values)] as unknown as uPlot.AlignedData;
    const plot = new uPlot(options, data, ground);
    return () => plot.destroy();
  }, [width, times, lines, dark, utc, height, isDaily]);
  return (
    <figure class="chart">
      <figcaption class="unseen">{caption}</figcaption>
      <div ref={frame} class="lines" />
    </figure>
  );
}

/** From the first time to the last; around the only one, of which uPlot would make a day that begins with it. */
function span(times: readonly number[]): [number, number] {
  const [first, last] = [times[0] ?? 0, times[times.length - 1] ?? 0];
  return first === last ? [first - HOUR_S, last + HOUR_S] : [first, last];
}

/** What stands at a mark of a time axis whose marks are `step` seconds apart: "14:30", or "11-26" of days. */
function clock(seconds: number, step: number, utc: boolean): string {
  const text = absolute(seconds * 1000, utc);
  const time = text.slice(11, 16);
  return step >= 86_400 || time === "00:00" ? text.slice(5, 10) : time;
}
