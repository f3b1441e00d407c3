// What an execution printed: live, coloured, searched, and each line with an address of its own.
import Anser from "anser";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { path, query, setQuery, to } from "../core/address";
import { count, many } from "../core/format";
import { useLive } from "../core/live";
import type { ExecutionLogs } from "../core/types";
import { Empty, Panel, Refusal, Skeleton } from "./page";

const LINE = 19; // pixels, as the style sheet has it: only the lines in sight are drawn
const MARGIN = 20;

interface Piece {
  text: string;
  look: string;
}
type Row = readonly Piece[];

export function Log({ executionId, isQueued }: { executionId: number; isQueued: boolean }) {
  const [isFinished, setFinished] = useState(false);
  const live = useLive<ExecutionLogs>(isQueued ? null : `/job-executions/${executionId}/logs/`, isFinished ? 0 : 2);
  const stream = query.value.get("stream") === "stderr" ? "stderr" : "stdout";
  const [wanted, setWanted] = useState("");
  useEffect(() => {
    if (live.data?.is_finished) setFinished(true);
  }, [live.data]);
  const text = live.data?.[stream];
  const rows = useMemo(() => (text === undefined ? undefined : parsed(text)), [text]);
  const other = live.data?.[stream === "stdout" ? "stderr" : "stdout"];
  return (
    <Panel
      title="Log"
      class="log-panel"
      aside={live.data && (live.data.is_finished ? rows && many(rows.length, "line") : <span class="live">live</span>)}
    >
      <div class="log-bar">
        <fieldset class="choices">
          <legend class="unseen">Stream</legend>
          {(["stdout", "stderr"] as const).map((name) => (
            <button
              type="button"
              key={name}
              aria-pressed={stream === name}
              onClick={() => setQuery({ stream: name === "stderr" ? name : null, line: null })}
            >
              {name}
            </button>
          ))}
        </fieldset>
        <Find rows={rows} wanted={wanted} onWanted={setWanted} />
        {text && (
          <a
            class="button"
            href={URL.createObjectURL(new Blob([text], { type: "text/plain" }))}
            download={`execution-${executionId}-${stream}.txt`}
          >
            Download
          </a>
        )}
      </div>
      {live.error && <Refusal error={live.error} />}
      {isQueued ? (
        <Empty title="It has not started yet.">What it prints appears here as soon as it runs.</Empty>
      ) : !rows ? (
        !live.error && <Skeleton lines={4} />
      ) : rows.length ? (
        <Lines rows={rows} wanted={wanted} isLive={!live.data?.is_finished} />
      ) : (
        <Empty title={`Nothing was printed to ${stream}${live.data?.is_finished ? "" : " yet"}.`}>
          {other ? `There is something in ${stream === "stdout" ? "stderr" : "stdout"}.` : undefined}
        </Empty>
      )}
    </Panel>
  );
}

/** The lines of a text, each in pieces of one colour. */
function parsed(text: string): Row[] {
  const rows: Piece[][] = [[]];
  for (const chunk of Anser.ansiToJson(text.replace(/\r\n/g, "\n"), { use_classes: true, remove_empty: true })) {
    const look = [chunk.fg, chunk.bg && `on-${chunk.bg}`, ...(chunk.decorations ?? []).map((each) => `ansi-${each}`)]
      .filter(Boolean)
      .join(" ");
    chunk.content.split("\n").forEach((part, place) => {
      if (place) rows.push([]);
      // a carriage return writes over the line, as progress bars do
      const kept = part.slice(part.replace(/\r+$/, "").lastIndexOf("\r") + 1).replace(/\r+$/, "");
      if (part !== kept && part.includes("\r")) rows[rows.length - 1] = [];
      if (kept) rows.at(-1)?.push({ text: kept, look });
    });
  }
  if (rows.at(-1)?.length === 0) rows.pop();
  return rows;
}

const plain = (row: Row): string => row.map((piece) => piece.text).join("");

interface FindProps {
  rows: Row[] | undefined;
  wanted: string;
  onWanted: (text: string) => void;
}

function Find({ rows, wanted, onWanted }: FindProps) {
  const found = useMemo(() => {
    const lower = wanted.toLowerCase();
    return lower
      ? (rows ?? []).flatMap((row, place) => (plain(row).toLowerCase().includes(lower) ? [place + 1] : []))
      : [];
  }, [rows, wanted]);
  const line = Number(query.value.get("line"));
  const at = found.indexOf(line);
  const step = (by: number): void => {
    if (!found.length) return;
    const after = found.findIndex((each) => each > line);
    const place = at >= 0 ? at + by : by > 0 ? Math.max(0, after) : after - 1;
    const next = found[(place + found.length) % found.length];
    setQuery({ line: next });
  };
  return (
    <div class="log-find">
      <input
        type="search"
        aria-label="Search in the log"
        placeholder="Search"
        data-main-filter=""
        value={wanted}
        onInput={(event) => onWanted(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
        }}
      />
      {wanted && (
        <>
          <span class="quiet figure" role="status">
            {at >= 0 ? `${count(at + 1)} of ${count(found.length)}` : many(found.length, "line")}
          </span>
          <button type="button" disabled={!found.length} aria-label="Previous line found" onClick={() => step(-1)}>
            ↑
          </button>
          <button type="button" disabled={!found.length} aria-label="Next line found" onClick={() => step(1)}>
            ↓
          </button>
        </>
      )}
    </div>
  );
}

function Lines({ rows, wanted, isLive }: { rows: Row[]; wanted: string; isLive: boolean }) {
  const view = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const line = Number(query.value.get("line")) || 0;
  const [follows, setFollows] = useState(isLive && !line);
  useEffect(() => {
    if (!view.current || !line) return;
    setFollows(false);
    view.current.scrollTop = Math.max(0, (line - 1) * LINE - view.current.clientHeight / 3);
  }, [line]);
  useEffect(() => {
    if (follows && view.current) view.current.scrollTop = view.current.scrollHeight;
  }, [follows, rows]);
  const scrolled = (): void => {
    const { current } = view;
    if (!current) return;
    setTop(current.scrollTop);
    setHeight(current.clientHeight);
    if (isLive) setFollows(current.scrollTop + current.clientHeight >= current.scrollHeight - LINE);
  };
  const first = Math.max(0, Math.floor(top / LINE) - MARGIN);
  const shown = rows.slice(first, first + Math.ceil(height / LINE) + 2 * MARGIN);
  return (
    <div class="log-frame">
      <div
        class="log"
        ref={view}
        onScroll={scrolled}
        tabIndex={0}
        role="log"
        aria-label="What it printed"
        aria-live="off"
      >
        <div class="log-all" style={{ height: `${rows.length * LINE}px` }}>
          <div class="log-shown" style={{ top: `${first * LINE}px` }}>
            {shown.map((row, place) => (
              <Line
                key={first + place}
                number={first + place + 1}
                row={row}
                isAt={first + place + 1 === line}
                wanted={wanted}
              />
            ))}
          </div>
        </div>
      </div>
      {isLive && !follows && (
        <button type="button" class="log-follow" onClick={() => setFollows(true)}>
          Follow the end
        </button>
      )}
    </div>
  );
}

function Line({ number, row, isAt, wanted }: { number: number; row: Row; isAt: boolean; wanted: string }) {
  const parameters = Object.fromEntries([...query.value.entries()]);
  return (
    <div class={`log-line ${isAt ? "is-at" : ""}`}>
      <a href={to(path.value, { ...parameters, line: number })} tabIndex={-1} aria-label={`Link to line ${number}`}>
        {number}
      </a>
      <span>
        {row.map((piece, place) => (
          <span key={place} class={piece.look}>
            {marked(piece.text, wanted)}
          </span>
        ))}
      </span>
    </div>
  );
}

function marked(text: string, wanted: string): ComponentChildren {
  if (!wanted) return text;
  const parts: ComponentChildren[] = [];
  const lower = text.toLowerCase();
  let start = 0;
  for (let at = lower.indexOf(wanted.toLowerCase()); at >= 0; at = lower.indexOf(wanted.toLowerCase(), start)) {
    parts.push(text.slice(start, at), <mark key={at}>{text.slice(at, at + wanted.length)}</mark>);
    start = at + wanted.length;
  }
  return [...parts, text.slice(start)];
}
