// Footprints on the outlines of countries: no tiles, nothing from elsewhere.
import { geoEquirectangular, geoPath } from "d3-geo";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { feature } from "topojson-client";
import type { Topology } from "topojson-specification";
import outlines from "world-atlas/countries-110m.json?url";
import { type Position, positionsOf, shapesOf } from "../core/geometry";
import { useWidth } from "./charts";

export interface Footprint {
  id: number;
  name: string;
  wkt: string;
  href: string;
}

const LEAST_DEGREES = 24;
const MARGIN = 0.25;

let loading: Promise<Topology> | undefined;

function useOutlines(): Topology | undefined {
  const [topology, setTopology] = useState<Topology | undefined>(undefined);
  useEffect(() => {
    loading ??= fetch(outlines).then((answer) => answer.json());
    void loading.then(setTopology);
  }, []);
  return topology;
}

export function Footprints({
  caption,
  footprints,
  height = 320,
}: {
  caption: string;
  footprints: readonly Footprint[];
  height?: number;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const topology = useOutlines();
  const [isWorld, setWorld] = useState(false);
  const drawn = useMemo(() => footprints.map((each) => ({ ...each, shapes: shapesOf(each.wkt) })), [footprints]);
  const projection = useMemo(() => {
    const positions = drawn.flatMap((each) => positionsOf(each.shapes));
    const seen = extent(isWorld ? [] : positions);
    return geoEquirectangular().fitSize([Math.max(1, width), height], { type: "MultiPoint", coordinates: seen });
  }, [drawn, width, height, isWorld]);
  const land = useMemo(() => {
    const countries = topology?.objects.countries;
    return topology && countries ? geoPath(projection)(feature(topology, countries)) : null;
  }, [topology, projection]);
  const at = (position: Position): string =>
    (projection(position) ?? [0, 0]).map((value) => value.toFixed(1)).join(" ");
  return (
    <figure class="map" ref={frame}>
      <figcaption class="unseen">{caption}</figcaption>
      {width > 0 && (
        <svg width={width} height={height}>
          <title>{caption}</title>
          <rect class="map-sea" width={width} height={height} />
          {land && <path class="map-land" d={land} />}
          {drawn.map(({ id, name, href, shapes }) => (
            <a key={id} href={href} class="footprint">
              <title>{name}</title>
              {shapes.polygons.length > 0 && (
                <path
                  fill-rule="evenodd"
                  d={shapes.polygons.flatMap((rings) => rings.map((ring) => `M${ring.map(at).join("L")}Z`)).join("")}
                />
              )}
              {shapes.lines.length > 0 && (
                <path class="line" d={shapes.lines.map((line) => `M${line.map(at).join("L")}`).join("")} />
              )}
              {shapes.points.map((point) => {
                const [x, y] = projection(point) ?? [0, 0];
                return <circle key={at(point)} cx={x} cy={y} r="3.5" />;
              })}
            </a>
          ))}
        </svg>
      )}
      <button type="button" class="slim map-switch" aria-pressed={isWorld} onClick={() => setWorld(!isWorld)}>
        Whole world
      </button>
    </figure>
  );
}

/** Two corners around all positions, with room, and never smaller than a country. */
function extent(positions: readonly Position[]): Position[] {
  if (!positions.length)
    return [
      [-180, -85],
      [180, 85],
    ];
  const range = (values: number[], limit: number): [number, number] => {
    const low = Math.min(...values);
    const high = Math.max(...values);
    const half = Math.max((high - low) * (0.5 + MARGIN), LEAST_DEGREES / 2);
    const middle = (low + high) / 2;
    return [Math.max(-limit, middle - half), Math.min(limit, middle + half)];
  };
  const [west, east] = range(
    positions.map(([x]) => x),
    180,
  );
  const [south, north] = range(
    positions.map(([, y]) => y),
    90,
  );
  return [
    [west, south],
    [east, north],
  ];
}
