// Where we are: the path below /ui and the query string. What a page shows is told by its address alone, so that every
// view can be linked to, reloaded and gone back to.
import { computed, signal } from "@preact/signals";

export const BASE = "/ui";

function read(): URL {
  return new URL(window.location.href);
}

const url = signal(read());

/** The path below /ui, such as "/jobs/7". */
export const path = computed(() => {
  const below = url.value.pathname.slice(BASE.length).replace(/\/+$/, "");
  return below || "/";
});
export const query = computed(() => url.value.searchParams);
export const hash = computed(() => url.value.hash.slice(1));

export type Changes = Record<string, string | number | boolean | readonly (string | number)[] | null | undefined>;

/** An address below /ui; what is empty in `changes` is left out, lists become repeated parameters. */
export function to(below: string, changes: Changes = {}): string {
  const text = asQuery(changes).toString();
  return BASE + below + (text ? `?${text}` : "");
}

export function asQuery(changes: Changes, start = new URLSearchParams()): URLSearchParams {
  const made = new URLSearchParams(start);
  for (const [name, value] of Object.entries(changes)) {
    made.delete(name);
    const values = Array.isArray(value) ? value : [value];
    for (const each of values) {
      if (each !== null && each !== undefined && each !== "" && each !== false) made.append(name, String(each));
    }
  }
  return made;
}

export function go(address: string, { replace = false } = {}): void {
  const before = url.value.pathname;
  if (replace) window.history.replaceState(null, "", address);
  else window.history.pushState(null, "", address);
  url.value = read();
  if (url.value.pathname !== before) window.scrollTo(0, 0);
}

/** Change some parameters of this page. A filter typed letter by letter replaces the entry of the history. */
export function setQuery(changes: Changes, { replace = true } = {}): void {
  const text = asQuery(changes, query.value).toString();
  go(url.value.pathname + (text ? `?${text}` : "") + url.value.hash, { replace });
}

window.addEventListener("popstate", () => {
  url.value = read();
});

// Plain links lead from page to page without loading all anew.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = (event.target as Element | null)?.closest("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== window.location.origin) return;
  if (link.pathname !== BASE && !link.pathname.startsWith(`${BASE}/`)) return;
  if (link.hash && link.pathname === window.location.pathname && link.search === window.location.search) return;
  event.preventDefault();
  go(link.href);
});
