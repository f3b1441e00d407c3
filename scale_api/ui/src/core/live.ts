// Answers that stay up to date: asked for again every few seconds, by their ETag, so that what has not changed costs no
// body and no drawing. Nothing is asked while the page is hidden.
import { signal } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Answer, ApiError, read } from "./api";

export interface Live<T> {
  /** undefined until the first answer. */
  data: T | undefined;
  etag: string | null;
  error: ApiError | undefined;
  /** `data` is that of an earlier address, until the one for this has come. */
  isStale: boolean;
  /** Ask now, for instance after a change. */
  reload: () => Promise<void>;
}

interface Kept {
  answer: Answer<unknown> | undefined;
}

const KEPT = 60;
const kept = new Map<string, Kept>();

/** When Scale stopped answering; null while it answers. */
export const silentSince = signal<Date | null>(null);
/** The user may stop all updates, to read in peace. */
export const isHeld = signal(false);

function remember(path: string, answer: Answer<unknown>): void {
  kept.delete(path);
  kept.set(path, { answer });
  const oldest = kept.keys().next().value;
  if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
}

/** What the API answers to GET `path`; null asks for nothing. `every` is in seconds; 0 asks once. */
export function useLive<T>(path: string | null, every = 5): Live<T> {
  const [, redraw] = useState(0);
  const shown = useRef<{ path: string | null; answer: Answer<T> | undefined; error: ApiError | undefined }>({
    path: null,
    answer: undefined,
    error: undefined,
  });

  const ask = useCallback(
    async (signal?: AbortSignal): Promise<void> => {
      if (path === null) return;
      const known = kept.get(path)?.answer as Answer<T> | undefined;
      try {
        const answer = (await read<T>(path, known?.etag ?? null, signal)) ?? known;
        if (signal?.aborted) return;
        if (silentSince.value) silentSince.value = null;
        const { current } = shown;
        if (current.path === path && current.answer === answer && !current.error) return;
        if (answer) remember(path, answer);
        shown.current = { path, answer, error: undefined };
      } catch (error) {
        if (signal?.aborted) return;
        const told = error instanceof ApiError ? error : new ApiError(0, String(error));
        if (told.status === 0) silentSince.value ??= new Date();
        const answer = shown.current.path === path ? shown.current.answer : known;
        shown.current = { path, answer, error: told };
      }
      redraw((count) => count + 1);
    },
    [path],
  );

  useEffect(() => {
    const leaving = new AbortController();
    let timer: number | undefined;
    let isAsking = false;
    const round = async (): Promise<void> => {
      window.clearTimeout(timer);
      if (isAsking) return;
      isAsking = true;
      await ask(leaving.signal);
      isAsking = false;
      if (every && !leaving.signal.aborted) timer = window.setTimeout(next, every * 1000);
    };
    const next = (): void => {
      if (!document.hidden && !isHeld.value) void round();
      else if (isHeld.value) timer = window.setTimeout(next, 1000);
    };
    const seen = (): void => {
      if (!document.hidden && every) next();
    };
    void round();
    document.addEventListener("visibilitychange", seen);
    return () => {
      leaving.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [ask, every]);

  const { current } = shown;
  const isOther = current.path !== path;
  const early = isOther && path !== null ? (kept.get(path)?.answer as Answer<T> | undefined) : undefined;
  const answer = early ?? current.answer;
  return {
    data: path === null ? undefined : answer?.data,
    etag: isOther && !early ? null : (answer?.etag ?? null),
    error: isOther ? undefined : current.error,
    isStale: isOther && !early && answer !== undefined,
    reload: ask,
  };
}
