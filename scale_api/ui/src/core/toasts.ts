// Short messages about what was just done, or why it was not.
import { signal } from "@preact/signals";
import { ApiError } from "./api";

export interface Toast {
  id: number;
  kind: "done" | "failed";
  text: string;
  details: readonly string[];
  undo: (() => void) | undefined;
}

const SHOWN_MS = 7000;
let last = 0;
export const toasts = signal<readonly Toast[]>([]);

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

function show(kind: Toast["kind"], text: string, details: readonly string[] = [], undo?: () => void): void {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-3), { id, kind, text, details, undo }];
  if (kind === "done") window.setTimeout(() => dismiss(id), SHOWN_MS); // what failed stays until it was read
}

export function done(text: string, undo?: () => void): void {
  show("done", text, [], undo);
}

export function failed(what: string, error: unknown): void {
  const problems = error instanceof ApiError ? error.problems.map((each) => `${each.path}: ${each.message}`) : [];
  const detail = error instanceof Error ? error.message : String(error);
  show("failed", what, problems.length ? problems : [detail]);
}

/** Do it and say so; true when it went well. What the API refuses is shown in its words. */
export async function attempt(what: string, act: () => Promise<unknown>, undo?: () => void): Promise<boolean> {
  try {
    await act();
    done(what, undo);
    return true;
  } catch (error) {
    failed(`Not done: ${what.charAt(0).toLowerCase()}${what.slice(1)}`, error);
    return false;
  }
}
