// A graph of jobs, laid out by dagre and drawn as SVG: what depends on what, from left to right, or downwards where there
// is little room.
import { Graph as Layout, layout } from "@dagrejs/dagre";
import { useId, useMemo, useRef } from "preact/hooks";
import type { JobStatus } from "../core/types";
import { useWidth } from "./charts";
import { StatusGlyph, tone, word } from "./status";

export interface GraphNode {
  id: string;
  title: string;
  /** In small letters below the title. */
  note: string;
  status?: JobStatus | undefined;
  /** Inputs of the whole are drawn lighter than jobs. */
  isInput?: boolean;
  isWrong?: boolean;
  href?: string | undefined;
}

export interface GraphEdge {
  from: string;
  to: string;
  /** What flows: shown on hover. */
  label: string;
}

interface GraphProps {
  caption: string;
  nodes: readonly GraphNode[];
  edges: readonly GraphEdge[];
  chosen?: string | undefined;
  onChoose?: ((id: string) => void) | undefined;
}

const WIDTH = 190;
const HEIGHT = 54;
const LETTERS = 22;
const EDGE = 1;
const LITTLE = 480; // pixels, in which hardly two boxes stand side by side

interface Placed {
  x: number;
  y: number;
}

export function Graph({ caption, nodes, edges, chosen, onChoose }: GraphProps) {
  const shape = `${nodes.map((node) => node.id).join()}|${edges.map((edge) => `${edge.from}>${edge.to}`).join()}`;
  const frame = useRef<HTMLDivElement>(null);
  const room = useWidth(frame);
  const isDown = room > 0 && room < LITTLE;
  const { width, height, places, lines } = useMemo(() => place(nodes, edges, isDown), [shape, isDown]);
  const arrow = `${useId()}-arrow`;
  const labels = new Map<string, string[]>(); // several connections of the same two are one line
  for (const { from, to, label } of edges) labels.set(`${from}>${to}`, [...(labels.get(`${from}>${to}`) ?? []), label]);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a figure cannot take the focus, and what scrolls must
    <div ref={frame} class="graph scrolls" tabIndex={0} role="group" aria-label={caption}>
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
        <title>{caption}</title>
        <defs>
          <marker id={arrow} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
            <path d="M0 0.5L7 4L0 7.5z" class="graph-arrow" />
          </marker>
        </defs>
        {[...labels].map(([key, words]) => {
          const points = lines.get(key);
          return (
            points && (
              <path key={key} class="graph-edge" d={curve(points, isDown)} marker-end={`url(#${arrow})`}>
                <title>{words.join(", ")}</title>
              </path>
            )
          );
        })}
        {nodes.map((node) => {
          const at = places.get(node.id);
          return at && <Box key={node.id} node={node} at={at} isChosen={chosen === node.id} onChoose={onChoose} />;
        })}
      </svg>
    </div>
  );
}

interface BoxProps {
  node: GraphNode;
  at: Placed;
  isChosen: boolean;
  onChoose: ((id: string) => void) | undefined;
}

function Box({ node, at, isChosen, onChoose }: BoxProps) {
  const left = at.x - WIDTH / 2;
  const top = at.y - HEIGHT / 2;
  const look = [
    "graph-node",
    node.status && `graph-${tone(node.status)}`,
    node.isInput && "is-input",
    node.isWrong && "is-wrong",
    isChosen && "is-chosen",
  ]
    .filter(Boolean)
    .join(" ");
  const title = cut(node.title, node.status ? LETTERS - 2 : LETTERS);
  const note = cut(node.status ? `${word(node.status)} · ${node.note}` : node.note, LETTERS + 6);
  const drawn = (
    <>
      <rect x={left} y={top} width={WIDTH} height={HEIGHT} rx="7" />
      {node.status && (
        <g transform={`translate(${left + 10} ${top + 9})`}>
          <StatusGlyph status={node.status} />
        </g>
      )}
      <text class="graph-title" x={left + (node.status ? 32 : 12)} y={top + 22}>
        {title}
      </text>
      <text class="graph-note" x={left + 12} y={top + 42}>
        {note}
      </text>
      <title>{[node.title, node.note, node.status && word(node.status)].filter(Boolean).join(", ")}</title>
    </>
  );
  if (node.href)
    return (
      <a class={look} href={node.href}>
        {drawn}
      </a>
    );
  if (!onChoose || node.isInput) return <g class={look}>{drawn}</g>;
  return (
    // biome-ignore lint/a11y/useSemanticElements: there are no buttons in SVG
    <g
      class={look}
      role="button"
      tabIndex={0}
      aria-pressed={isChosen}
      onClick={() => onChoose(node.id)}
      onKeyDown={(event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          onChoose(node.id);
        }
      }}
    >
      {drawn}
    </g>
  );
}

function cut(text: string, letters: number): string {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}

function place(nodes: readonly GraphNode[], edges: readonly GraphEdge[], isDown: boolean) {
  const graph = new Layout();
  graph.setGraph({ rankdir: isDown ? "TB" : "LR", nodesep: 22, ranksep: isDown ? 34 : 56, marginx: 6, marginy: 6 });
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(nodes.map((node) => node.id));
  for (const node of nodes) graph.setNode(node.id, { width: WIDTH, height: HEIGHT });
  for (const edge of edges) if (known.has(edge.from) && known.has(edge.to)) graph.setEdge(edge.from, edge.to);
  layout(graph);
  const places = new Map<string, Placed>();
  for (const node of nodes) places.set(node.id, graph.node(node.id) as unknown as Placed);
  const lines = new Map<string, Placed[]>();
  for (const edge of graph.edges())
    lines.set(`${edge.v}>${edge.w}`, (graph.edge(edge) as unknown as { points: Placed[] }).points);
  const size = graph.graph() as { width?: number; height?: number };
  return { width: (size.width ?? 0) + EDGE, height: (size.height ?? 0) + EDGE, places, lines };
}

function curve(points: readonly Placed[], isDown: boolean): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let path = `M${first.x} ${first.y}`;
  let before = first;
  for (const point of rest) {
    const [x, y] = [(before.x + point.x) / 2, (before.y + point.y) / 2];
    const bend = isDown ? `${before.x} ${y} ${point.x} ${y}` : `${x} ${before.y} ${x} ${point.y}`;
    path += ` C${bend} ${point.x} ${point.y}`;
    before = point;
  }
  return path;
}
