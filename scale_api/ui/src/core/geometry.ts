// Footprints as the API writes them: well-known text to rings, lines and points.

export type Position = [number, number];

export interface Shapes {
  points: Position[];
  lines: Position[][];
  /** Each a polygon: its outline, then its holes. */
  polygons: Position[][][];
}

/** What a geometry consists of; nothing for what is not understood. */
export function shapesOf(wkt: string): Shapes {
  const shapes: Shapes = { points: [], lines: [], polygons: [] };
  const pattern = /(MULTI)?(POINT|LINESTRING|POLYGON)(?: Z| M| ZM)?\s*(\((?:[^A-Z]*)\))/g;
  for (const [, multi, kind, body = ""] of wkt.matchAll(pattern)) {
    const nested = nest(body);
    const parts = multi ? (nested as Nested[]) : [nested];
    for (const part of parts) {
      if (kind === "POINT") shapes.points.push(...flat(part));
      else if (kind === "LINESTRING") shapes.lines.push(flat(part));
      else shapes.polygons.push((part as Nested[]).map(flat));
    }
  }
  return shapes;
}

type Nested = Nested[] | Position;

/** "((1 2, 3 4))" as lists of positions. */
function nest(text: string): Nested {
  const json = text
    .replace(/(-?[\d.]+(?:e[+-]?\d+)?) (-?[\d.]+(?:e[+-]?\d+)?)(?: -?[\d.e+-]+)*/gi, "[$1,$2]")
    .replaceAll("(", "[")
    .replaceAll(")", "]");
  return JSON.parse(json) as Nested;
}

function flat(part: Nested): Position[] {
  if (typeof part[0] === "number") return [part as Position];
  return (part as Nested[]).flatMap(flat);
}

export function positionsOf(shapes: Shapes): Position[] {
  return [...shapes.points, ...shapes.lines.flat(), ...shapes.polygons.flat(2)];
}
