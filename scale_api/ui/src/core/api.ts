// Requests to the REST API. Its errors are shown in its own words.
import { changeHeaders, hasEnded } from "./session";

export interface Problem {
  path: string;
  message: string;
}

export class ApiError extends Error {
  constructor(
    /** The HTTP status; 0 when nothing answered. */
    readonly status: number,
    message: string,
    readonly problems: readonly Problem[] = [],
  ) {
    super(message);
  }
}

export interface Page<Row> {
  count: number;
  next: string | null;
  previous: string | null;
  results: Row[];
}

export interface Answer<T> {
  data: T;
  etag: string | null;
}

interface Options {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

async function send(method: string, path: string, { body, headers, signal }: Options): Promise<Response> {
  const sent: RequestInit = { method, headers: { Accept: "application/json", ...headers }, cache: "no-store" };
  if (signal) sent.signal = signal;
  if (body !== undefined) {
    sent.body = JSON.stringify(body);
    sent.headers = { ...sent.headers, "Content-Type": "application/json" };
  }
  try {
    return await fetch(path, sent);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "Scale does not answer. Is its api process running, and this machine connected?");
  }
}

async function refusal(response: Response): Promise<ApiError> {
  if (response.status === 401) hasEnded();
  const text = await response.text();
  try {
    const { detail, problems } = JSON.parse(text);
    return new ApiError(response.status, detail, problems);
  } catch {
    return new ApiError(response.status, text.slice(0, 2000) || `The answer was ${response.status}.`);
  }
}

/** The answer with its ETag; null when it is still the one with the tag `known`. Raises ApiError. */
export async function read<T>(path: string, known: string | null, signal?: AbortSignal): Promise<Answer<T> | null> {
  const options: Options = known ? { headers: { "If-None-Match": known } } : {};
  if (signal) options.signal = signal;
  const response = await send("GET", path, options);
  if (response.status === 304) return null;
  if (!response.ok) throw await refusal(response);
  return { data: await response.json(), etag: response.headers.get("ETag") };
}

export async function get<T>(path: string): Promise<T> {
  const answer = await read<T>(path, null);
  return (answer as Answer<T>).data;
}

/** Ask for a change. `etag` is that of what was edited: somebody else's later edit is then not overwritten. */
export async function change<T>(
  method: "POST" | "PATCH" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
  etag?: string | null,
): Promise<T> {
  return changed<T>(method, path, body, etag ? { "If-Match": etag } : {});
}

/** Ask for something to be queued. Asked again under the same key it is not done again. */
export async function queue<T>(path: string, body: unknown, key: string): Promise<T> {
  return changed<T>("POST", path, body, { "Idempotency-Key": key });
}

async function changed<T>(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<T> {
  const response = await send(method, path, { body, headers: { ...changeHeaders(), ...headers } });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** All rows of a list, page by page of a thousand, at most `limit`. */
export async function all<Row>(path: string, limit = 10_000): Promise<Row[]> {
  const rows: Row[] = [];
  let next: string | null = `${path}${path.includes("?") ? "&" : "?"}page_size=1000`;
  while (next && rows.length < limit) {
    const page: Page<Row> = await get<Page<Row>>(next);
    rows.push(...page.results);
    next = page.next && new URL(page.next).pathname + new URL(page.next).search;
  }
  return rows;
}
