// The frame around every page: navigation, what is true everywhere, and the page that the address names.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { BASE, go, path } from "./core/address";
import { now } from "./core/clock";
import { relative } from "./core/format";
import { useKeys } from "./core/keys";
import { isHeld, silentSince, useLive } from "./core/live";
import { may, mustSignIn, session } from "./core/session";
import { isUtc, theme } from "./core/settings";
import type { SystemStatus } from "./core/types";
import { allowed, type Entry, find } from "./pages";
import { Help } from "./parts/help";
import { Empty, Page, Skeleton } from "./parts/page";
import { Palette } from "./parts/palette";
import { Account, Gate } from "./parts/sign-in";
import { Toasts } from "./parts/toasts";

const GROUPS = ["Now", "Data", "Definitions", "System"] as const;
const THEMES = { system: "light", light: "dark", dark: "system" } as const;

export function App() {
  const [isMenuOpen, setMenuOpen] = useState(false);
  const [overlay, setOverlay] = useState<"palette" | "help" | null>(null);
  const here = path.value;
  useEffect(() => setMenuOpen(false), [here]);
  useKeys(
    [
      { keys: "?", does: "Show the keys", run: () => setOverlay("help") },
      { keys: ":", does: "Go anywhere (also Ctrl K)", run: () => setOverlay("palette") },
      { keys: "/", does: "To the filter of this page", run: focusFilter },
      { keys: "p", does: "Hold or go on with live updates", run: () => (isHeld.value = !isHeld.value) },
      { keys: "t", does: "Light, dark, as the system", run: () => (theme.value = THEMES[theme.value]) },
      ...allowed()
        .filter((page) => page.key)
        .map((page) => ({
          keys: `g ${page.key}`,
          does: `To ${page.title}`,
          run: () => go(BASE + page.path),
        })),
    ],
    [session.value],
  );
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      setOverlay("palette");
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
  return (
    <>
      <a class="skip" href="#content">
        To the content
      </a>
      <div class={`frame ${isMenuOpen ? "is-menu-open" : ""}`}>
        <Navigation
          isOpen={isMenuOpen}
          onMenu={() => setMenuOpen(!isMenuOpen)}
          onSearch={() => setOverlay("palette")}
        />
        <div class="ground">
          {session.value && !mustSignIn() && <Notices />}
          <main id="content" tabIndex={-1}>
            <Gate>
              <Current />
            </Gate>
          </main>
        </div>
      </div>
      <Toasts />
      {overlay === "palette" && <Palette onClose={() => setOverlay(null)} />}
      {overlay === "help" && <Help onClose={() => setOverlay(null)} />}
    </>
  );
}

function focusFilter(): void {
  const filter =
    document.querySelector<HTMLElement>("[data-main-filter]") ??
    document.querySelector<HTMLElement>(".filters input, .filters select");
  filter?.focus();
}

interface NavigationProps {
  isOpen: boolean;
  onMenu: () => void;
  onSearch: () => void;
}

function Navigation({ isOpen, onMenu, onSearch }: NavigationProps) {
  const first = `/${path.value.split("/")[1] ?? ""}`;
  return (
    <nav class="navigation" aria-label="Pages of Scale">
      <div class="brand">
        <button type="button" class="menu" aria-expanded={isOpen} aria-controls="menu" onClick={onMenu}>
          <span class="unseen">Menu</span>
          <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">
            <path d="M3 5h14M3 10h14M3 15h14" />
          </svg>
        </button>
        <a href={`${BASE}/`} class="brand-name">
          <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
            <path d="M7 25h4v-7H7zM14 25h4V12h-4zM21 25h4V6h-4z" />
          </svg>
          Scale
        </a>
        <button type="button" class="finder" onClick={onSearch}>
          Go to… <kbd>Ctrl K</kbd>
        </button>
      </div>
      <div id="menu" class="menu-items">
        {GROUPS.map((group) => {
          const entries = allowed().filter((page) => page.group === group);
          return (
            entries.length > 0 && (
              <div key={group} class="menu-group">
                <h2>{group}</h2>
                <ul>
                  {entries.map((entry) => (
                    <li key={entry.path}>
                      <a href={BASE + entry.path} aria-current={entry.path === first ? "page" : undefined}>
                        {entry.title}
                      </a>
                    </li>
                  ))}
                </ul>
              </div>
            )
          );
        })}
        <div class="menu-group">
          <h2>Help</h2>
          <ul>
            <li>
              <a href="/docs/" target="_self">
                Documentation
              </a>
            </li>
          </ul>
        </div>
        <div class="menu-foot">
          <Account />
          <Switches />
        </div>
      </div>
    </nav>
  );
}

function Switches() {
  return (
    <>
      <button type="button" aria-pressed={isHeld.value} onClick={() => (isHeld.value = !isHeld.value)}>
        {isHeld.value ? "Updates held" : "Live"}
      </button>
      <button type="button" onClick={() => (isUtc.value = !isUtc.value)}>
        <span class="unseen">Clock: </span>
        {isUtc.value ? "UTC" : "Local time"}
      </button>
      <button type="button" onClick={() => (theme.value = THEMES[theme.value])}>
        <span class="unseen">Colours: </span>
        {{ system: "Auto", light: "Light", dark: "Dark" }[theme.value]}
      </button>
    </>
  );
}

/** What everybody has to know, whatever page they look at. */
function Notices() {
  const status = useLive<SystemStatus>("/status/", 5);
  if (silentSince.value)
    return (
      <p class="notice notice-bad" role="alert">
        Scale does not answer; the last answer came {relative(silentSince.value.toISOString(), now.value)}. What you see
        is as old. It is asked again every few seconds.
      </p>
    );
  if (status.data && !status.data.scheduler.is_online)
    return (
      <p class="notice notice-bad">
        No offer handler is running: nothing is started. Start the <code>scheduler</code> process.
      </p>
    );
  if (status.data && !status.data.master.is_online)
    return (
      <p class="notice notice-bad">
        The Mesos master does not answer: nothing is started. Its last known address is{" "}
        <code>
          {status.data.master.hostname}:{status.data.master.port}
        </code>
        .
      </p>
    );
  if (status.data?.scheduler.is_paused)
    return (
      <p class="notice">
        Scheduling is paused: what runs goes on, nothing else is started.{" "}
        <a href={`${BASE}/`}>Resume on the overview</a>
      </p>
    );
  return null;
}

// biome-ignore lint/suspicious/noExplicitAny: each page says itself what it takes out of its address
const loaded = new Map<Entry, ComponentType<any>>();

function Current() {
  const found = find(path.value);
  const [, redraw] = useState(0);
  const [isBroken, setBroken] = useState(false);
  useEffect(() => {
    if (!found || loaded.has(found.entry)) return;
    found.entry.load().then(
      (module) => {
        loaded.set(found.entry, module.default);
        redraw((times) => times + 1);
      },
      () => setBroken(true),
    );
  }, [found?.entry]);
  if (!found)
    return (
      <Page title="No such page">
        <Empty title="There is no page at this address.">
          Perhaps a link was cut off. Go to the <a href={`${BASE}/`}>overview</a>, or press <kbd>:</kbd> and type what
          you look for.
        </Empty>
      </Page>
    );
  const { role } = found.entry;
  if (role && !may(role))
    return (
      <Page title={found.entry.title}>
        <Empty title={`This page is for the role ${role} and above.`}>
          You are signed in as {session.value?.account?.name}, {session.value?.account?.role}. An administrator can give
          you another role.
        </Empty>
      </Page>
    );
  const Shown = loaded.get(found.entry);
  if (Shown) return <Shown key={path.value} {...found.values} />;
  if (isBroken)
    return (
      <Page title={found.entry.title}>
        <Empty title="This page could not be loaded.">
          Scale was perhaps updated meanwhile:{" "}
          <a href={window.location.href} target="_self">
            load it again
          </a>
          .
        </Empty>
      </Page>
    );
  return (
    <Page title={found.entry.title}>
      <Skeleton lines={6} />
    </Page>
  );
}
