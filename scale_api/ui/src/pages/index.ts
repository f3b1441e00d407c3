// Every page: a new one is a file of this folder, named as its address begins, and a line here.
import type { ComponentType } from "preact";
import { may, type Role } from "../core/session";

// biome-ignore lint/suspicious/noExplicitAny: each page says itself what it takes out of its address
type PageModule = Promise<{ default: ComponentType<any> }>;

export interface Entry {
  /** Below /ui; ":name" becomes a property of the page. */
  path: string;
  title: string;
  /** Where it stands in the navigation; pages without are reached from others. */
  group?: "Now" | "Data" | "Definitions" | "System";
  /** The second key after "g". */
  key?: string;
  /** Who may do anything there; nobody else is led there. Pages without are for everybody. */
  role?: Role;
  load: () => PageModule;
}

export const PAGES: readonly Entry[] = [
  { path: "/", title: "Overview", group: "Now", key: "o", load: () => import("./overview") },
  { path: "/jobs", title: "Jobs", group: "Now", key: "j", load: () => import("./jobs") },
  { path: "/jobs/:id", title: "Job", load: () => import("./job") },
  { path: "/recipes", title: "Recipes", group: "Now", key: "r", load: () => import("./recipes") },
  { path: "/recipes/:id", title: "Recipe", load: () => import("./recipe") },
  { path: "/queue", title: "Queue", group: "Now", key: "q", load: () => import("./queue") },
  { path: "/load", title: "Load", load: () => import("./load") },
  { path: "/nodes", title: "Nodes", group: "Now", key: "n", load: () => import("./nodes") },
  { path: "/nodes/:id", title: "Node", load: () => import("./node") },
  { path: "/ingests", title: "Ingest", group: "Data", key: "i", load: () => import("./ingests") },
  { path: "/strikes", title: "Strikes", group: "Data", key: "s", load: () => import("./strikes") },
  { path: "/strikes/new", title: "New Strike", role: "operator", load: () => import("./strike") },
  { path: "/strikes/:id", title: "Strike", load: () => import("./strike") },
  { path: "/job-types", title: "Job types", group: "Definitions", key: "t", load: () => import("./job-types") },
  { path: "/job-types/new", title: "New job type", role: "admin", load: () => import("./job-type-edit") },
  { path: "/job-types/:id", title: "Job type", load: () => import("./job-type") },
  { path: "/job-types/:id/edit", title: "Edit job type", role: "admin", load: () => import("./job-type-edit") },
  { path: "/job-types/:id/run", title: "Run a job", role: "operator", load: () => import("./job-type-run") },
  { path: "/recipe-types", title: "Recipe types", group: "Definitions", load: () => import("./recipe-types") },
  { path: "/recipe-types/new", title: "New recipe type", role: "admin", load: () => import("./recipe-type") },
  { path: "/recipe-types/:id", title: "Recipe type", load: () => import("./recipe-type") },
  { path: "/triggers", title: "Triggers", group: "Data", key: "v", load: () => import("./triggers") },
  { path: "/triggers/:id", title: "Trigger event", load: () => import("./trigger") },
  { path: "/recipe-types/:id/run", title: "Run a recipe", role: "operator", load: () => import("./recipe-type-run") },
  { path: "/files", title: "Files", group: "Data", key: "f", load: () => import("./files") },
  { path: "/files/:id", title: "File", load: () => import("./file") },
  { path: "/errors", title: "Errors", group: "Definitions", key: "e", load: () => import("./errors") },
  { path: "/workspaces", title: "Workspaces", group: "Definitions", key: "w", load: () => import("./workspaces") },
  { path: "/workspaces/new", title: "New workspace", role: "admin", load: () => import("./workspace") },
  { path: "/workspaces/:id", title: "Workspace", load: () => import("./workspace") },
  { path: "/import-export", title: "Import and export", group: "Definitions", load: () => import("./import-export") },
  { path: "/metrics", title: "Metrics", group: "System", key: "m", load: () => import("./metrics") },
  { path: "/scheduler", title: "Scheduler", group: "System", load: () => import("./scheduler") },
  { path: "/accounts", title: "Accounts", group: "System", role: "admin", load: () => import("./accounts") },
  { path: "/password", title: "My password", load: () => import("./password") },
  { path: "/tokens", title: "Tokens", group: "System", role: "admin", load: () => import("./tokens") },
  { path: "/audit", title: "Audit", group: "System", key: "a", role: "admin", load: () => import("./audit") },
];

/** Pages that who is signed in is led to. */
export function allowed(): readonly Entry[] {
  return PAGES.filter((page) => !page.role || may(page.role));
}

export interface Found {
  entry: Entry;
  values: Record<string, string>;
}

export function find(path: string): Found | undefined {
  const parts = path.split("/").filter(Boolean);
  for (const entry of PAGES) {
    const names = entry.path.split("/").filter(Boolean);
    if (names.length !== parts.length) continue;
    const values: Record<string, string> = {};
    const fits = names.every((name, place) => {
      const part = parts[place] ?? "";
      if (!name.startsWith(":")) return name === part;
      values[name.slice(1)] = decodeURIComponent(part);
      return name !== ":id" || /^\d+$/.test(part);
    });
    if (fits) return { entry, values };
  }
  return undefined;
}
