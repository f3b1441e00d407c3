// What this browser remembers of its user: light or dark, and whose clock times are shown by.
import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

function stored(name: string): string | null {
  try {
    return window.localStorage.getItem(`scale.${name}`);
  } catch {
    return null; // the browser keeps nothing: then each visit starts anew
  }
}

function store(name: string, value: string): void {
  try {
    window.localStorage.setItem(`scale.${name}`, value);
  } catch {
    // see above
  }
}

const given = stored("theme");
export const theme = signal<Theme>(given === "light" || given === "dark" ? given : "system");
export const isUtc = signal(stored("clock") === "utc");

const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
/** Charts and maps, which know no style sheet, draw themselves anew when it changes. */
export const isDark = signal(systemIsDark.matches);

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
  isDark.value = theme.value === "system" ? systemIsDark.matches : theme.value === "dark";
  store("theme", theme.value);
});
effect(() => store("clock", isUtc.value ? "utc" : "local"));
systemIsDark.addEventListener("change", () => {
  if (theme.value === "system") isDark.value = systemIsDark.matches;
});
