// What differs between two documents, line by line.
import { type ChangeObject, diffLines } from "diff";
import { count } from "../core/format";

const AROUND = 3; // unchanged lines that are shown beside a change

export function asText(document: unknown): string {
  return document === null || document === undefined ? "" : `${JSON.stringify(document, null, 2)}\n`;
}

interface Line {
  text: string;
  kind: "added" | "removed" | "same" | "skipped";
}

export function Difference({ caption, before, after }: { caption: string; before: unknown; after: unknown }) {
  const chunks = diffLines(asText(before), asText(after));
  if (!chunks.some((chunk) => chunk.added || chunk.removed)) return <p class="quiet">They are the same.</p>;
  return (
    // biome-ignore lint/a11y/useSemanticElements: what scrolls must take the focus
    <div class="difference scrolls" tabIndex={0} role="group" aria-label={caption}>
      <ol>{chunks.flatMap((chunk, place) => linesOf(chunk, place === 0, place === chunks.length - 1)).map(shown)}</ol>
    </div>
  );
}

function linesOf(chunk: ChangeObject<string>, isFirst: boolean, isLast: boolean): Line[] {
  const texts = chunk.value.replace(/\n$/, "").split("\n");
  if (chunk.added || chunk.removed) return texts.map((text) => ({ text, kind: chunk.added ? "added" : "removed" }));
  const head = isFirst ? 0 : AROUND;
  const tail = isLast ? 0 : AROUND;
  const same = (text: string): Line => ({ text, kind: "same" });
  if (texts.length <= head + tail + 1) return texts.map(same);
  const skipped: Line = { text: `${count(texts.length - head - tail)} lines are the same`, kind: "skipped" };
  return [...texts.slice(0, head).map(same), skipped, ...texts.slice(texts.length - tail).map(same)];
}

function shown({ text, kind }: Line, place: number) {
  if (kind === "skipped")
    return (
      <li key={place} class="quiet">
        … {text}
      </li>
    );
  if (kind === "same") return <li key={place}>{text}</li>;
  return (
    <li key={place} class={`is-${kind}`}>
      <span class="unseen">{kind}: </span>
      {kind === "added" ? <ins>{text}</ins> : <del>{text}</del>}
    </li>
  );
}
