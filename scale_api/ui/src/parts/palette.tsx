// Go anywhere by typing: pages, numbers of jobs and recipes, names of types, nodes and Strikes.
import { useEffect, useMemo, useState } from "preact/hooks";
import { BASE, go, to } from "../core/address";
import { get, type Page } from "../core/api";
import type { JobTypeBase, Node, Recipe, Strike, Workspace } from "../core/types";
import { allowed, PAGES } from "../pages";
import { Dialog } from "./dialog";

interface Target {
  words: string;
  kind: string;
  address: string;
}

const SHOWN = 12;
const has = (path: string): boolean => PAGES.some((page) => page.path === path);

async function named<Row>(
  kind: string,
  list: string,
  page: string,
  words: (row: Row) => string,
  id: (row: Row) => number,
) {
  if (!has(`${page}/:id`)) return [];
  const found = await get<Page<Row>>(`/${list}/?page_size=1000`);
  return found.results.map((row) => ({ kind, words: words(row), address: to(`${page}/${id(row)}`) }));
}

/** All that has a name and a page; what cannot be read is left out, the pages are always there. */
async function targets(): Promise<Target[]> {
  const lists = await Promise.allSettled([
    named<JobTypeBase>(
      "Job type",
      "job-types",
      "/job-types",
      (row) => `${row.title ?? ""} ${row.name} ${row.version}`,
      (row) => row.id,
    ),
    named<Recipe["recipe_type"]>(
      "Recipe type",
      "recipe-types",
      "/recipe-types",
      (row) => `${row.title ?? ""} ${row.name} ${row.version}`,
      (row) => row.id,
    ),
    named<Node>(
      "Node",
      "nodes",
      "/nodes",
      (row) => row.hostname,
      (row) => row.id,
    ),
    named<Workspace>(
      "Workspace",
      "workspaces",
      "/workspaces",
      (row) => `${row.title ?? ""} ${row.name}`,
      (row) => row.id,
    ),
    named<Strike>(
      "Strike",
      "strikes",
      "/strikes",
      (row) => `${row.title ?? ""} ${row.name}`,
      (row) => row.id,
    ),
  ]);
  return lists.flatMap((list) => (list.status === "fulfilled" ? list.value : []));
}

function byNumber(text: string): Target[] {
  const number = /^(?:[a-z]* *)?#?(\d+)$/i.exec(text)?.[1];
  if (!number) return [];
  return [
    ["Job", "/jobs"],
    ["Recipe", "/recipes"],
  ].flatMap(([kind = "", page = ""]) =>
    has(`${page}/:id`) ? [{ kind, words: `${kind} ${number}`, address: to(`${page}/${number}`) }] : [],
  );
}

export function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [things, setThings] = useState<Target[]>([]);
  useEffect(() => {
    void targets().then(setThings);
  }, []);
  const found = useMemo(() => {
    const pages = allowed()
      .filter((page) => page.group)
      .map((page) => ({ kind: "Page", words: page.title, address: BASE + page.path }));
    const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (target: Target): boolean =>
      wanted.every((part) => `${target.kind} ${target.words}`.toLowerCase().includes(part));
    return [...byNumber(text.trim()), ...[...pages, ...things].filter(fits)].slice(0, SHOWN);
  }, [text, things]);
  const open = (target: Target | undefined): void => {
    if (!target) return;
    onClose();
    go(target.address);
  };
  const pressed = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((at + step + found.length) % Math.max(1, found.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      open(found[at]);
    }
  };
  return (
    <Dialog title="Go to" onClose={onClose} class="palette">
      <input
        type="text"
        role="combobox"
        aria-label="Page, number, name"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[at] ? `palette-${at}` : undefined}
        placeholder="A page, a job's number, a name…"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={pressed}
      />
      <div id="palette-list" role="listbox" aria-label="Found" class="palette-list">
        {found.map((target, place) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input takes the keys
          // biome-ignore lint/a11y/useFocusableInteractive: the input keeps the focus
          <div
            key={target.address}
            id={`palette-${place}`}
            role="option"
            aria-selected={place === at}
            onClick={() => open(target)}
            onMouseEnter={() => setAt(place)}
          >
            <span>{target.words.trim()}</span>
            <span class="quiet">{target.kind}</span>
          </div>
        ))}
      </div>
      {!found.length && <p class="palette-none">Nothing has that name. Numbers lead to jobs and recipes.</p>}
    </Dialog>
  );
}
