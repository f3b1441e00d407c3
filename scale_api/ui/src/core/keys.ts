// Keys that work on every page. A page adds its own with useKeys; all of them are listed under "?".
import { useEffect } from "preact/hooks";

export interface Key {
  /** As the event names it ("/", "j", "Escape"); two letters with a space between are typed one after the other. */
  keys: string;
  does: string;
  run: () => void;
}

const WAIT_MS = 1200;
const layers: Key[][] = [];
let first = "";
let firstAt = 0;

export function known(): Key[] {
  return layers.flat();
}

export function useKeys(keys: Key[], depend: readonly unknown[] = []): void {
  useEffect(() => {
    layers.push(keys);
    return () => {
      layers.splice(layers.indexOf(keys), 1);
    };
  }, depend);
}

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest?.("input, textarea, select, [contenteditable]");
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const pair = Date.now() - firstAt < WAIT_MS ? `${first} ${event.key}` : "";
  const all = known().reverse();
  const found = all.find((key) => key.keys === pair) ?? all.find((key) => key.keys === event.key);
  const isFirst = !found && all.some((key) => key.keys.startsWith(`${event.key} `));
  first = isFirst ? event.key : "";
  firstAt = Date.now();
  if (!found) return;
  event.preventDefault();
  found.run();
});
