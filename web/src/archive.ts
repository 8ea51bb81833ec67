// What the appliance says about its recordings: the types of /api/v1/timeline, /store and /clips, and the requests
// for them. Knows no page.
import type { Item } from "./items.js";
import type { Range } from "./range.js";

/** `GET /api/v1/timeline`; every time as RFC 3339. */
export interface TimelineAnswer {
  camera: string;
  from: string;
  to: string;
  /** Width of a density bucket that was really used. */
  resolution_s: number;
  /** The first and the last moment that is recorded at all. */
  oldest: string | null;
  newest: string | null;
  spans: TimeRange[];
  gaps: (TimeRange & { reason: string })[];
  losses: TimeRange[];
  clips: (TimeRange & { id: number; name: string })[];
  /** Files that were brought for this camera and a moment, oldest first, at most a thousand. */
  imports: Item[];
  /** Oldest first; buckets without recording are left out. */
  density: { from: string; bytes: number; media_s: number }[];
}

interface TimeRange {
  from: string;
  to: string;
}

/** A file that lies on a camera's timeline: when it begins is known, how long it is not. */
export interface Import {
  at: number;
  item: Item;
}

/** A timeline as the page works with it: every time in milliseconds since 1970. */
export interface Chart extends Range {
  camera: string;
  resolution: number;
  oldest: number | null;
  newest: number | null;
  spans: Range[];
  gaps: (Range & { reason: string })[];
  losses: Range[];
  clips: (Range & { id: number; name: string })[];
  imports: Import[];
  density: { from: number; bytes: number }[];
}

/** `GET /api/v1/store`. */
export interface Store {
  state: "recording" | "paused" | "failed";
  reason: string | null;
  disk: { total_bytes: number; free_bytes: number; keep_free_bytes: number };
  recordings: { bytes: number; quota_bytes: number | null; oldest: string | null; newest: string | null };
  cameras: { id: string; bytes: number; bytes_per_day: number }[];
  forecast: Forecast;
  /** What there is, as it would be if everything were stored for itself, and what of it is stored. */
  sources: { source: "recordings" | "clips" | "imports" | "uploads"; logical_bytes: number; unique_bytes: number }[];
}

export interface Forecast {
  state: "filling" | "full" | "steady" | "unknown";
  bytes_per_day: number;
  full_at: string | null;
  days_left: number | null;
  /** How many days recordings reach back once there is no more room. */
  reach_days: number | null;
}

export interface Clip {
  id: number;
  camera: string;
  name: string;
  from: string;
  to: string;
  bytes: number;
  made: string;
  /** The address of its file, where there is one. */
  download?: string;
}

/** One answer of `GET /api/v1/clips`, those of the newest recordings first. */
export interface ClipPage {
  clips: Clip[];
  /** What to ask for as `before` to get those of earlier recordings; null at the end. */
  next: string | null;
}

/** The file of a range, of `GET /recordings/{camera}/clip.json`, as far as the page uses it. */
export interface ClipFile {
  /** Whether it carries the proof that the box recorded it; absent where the server does not say. */
  proven?: boolean;
  /** Why it does not. */
  unproven?: string | null;
}

/** The server understood and said no; `message` is its own sentence. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** What a list says that asks again by itself. */
export const ASKED_AGAIN = "no answer; it is asked again by itself";

/** Why something failed, in the server's own sentence; `otherwise` where it gave none: a browser's words help nobody. */
export const reasonOf = (error: unknown, otherwise = "no answer; try it again"): string =>
  error instanceof Refusal ? error.message : otherwise;

const TIMEOUT_MS = 15_000;

/**
 * Asks, and has `read` take what is needed of the answer, until `signal` calls it off or all of it takes too long; a
 * refusal carries the `detail` of the problem body (RFC 9457).
 */
async function within<T>(path: string, read: (response: Response) => T | Promise<T>, init: RequestInit = {}, signal?: AbortSignal): Promise<T> {
  const control = new AbortController();
  const stop = (): void => control.abort();
  const timer = setTimeout(stop, TIMEOUT_MS);
  signal?.addEventListener("abort", stop);
  try {
    const headers = { accept: "application/json", ...init.headers };
    const response = await fetch(path, { cache: "no-store", ...init, headers, signal: control.signal });
    if (response.ok) return await read(response);
    const problem = (await response.json().catch(() => null)) as { detail?: string; title?: string } | null;
    throw new Refusal(problem?.detail ?? problem?.title ?? `the answer was ${response.status}`, response.status);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Asks for something to be done: what the answer holds is not waited for. */
export const ask = (path: string, init?: RequestInit): Promise<Response> => within(path, (response) => response, init);

export const askJson = <T>(path: string, init?: RequestInit, signal?: AbortSignal): Promise<T> =>
  within(path, (response) => response.json() as Promise<T>, init, signal);

/** A picture. */
export const askBlob = (path: string): Promise<Blob> => within(path, (response) => response.blob(), { headers: { accept: "image/*" } });

/** `resolution` in seconds, wished; what the answer used may be coarser. */
export async function fetchTimeline(camera: string, range: Range, resolution: number, signal: AbortSignal): Promise<Chart> {
  const query = new URLSearchParams({ camera, ...rangeText(range), resolution: String(resolution) });
  return chartOf(await askJson<TimelineAnswer>(`/api/v1/timeline?${query}`, {}, signal));
}

export const fetchStore = (): Promise<Store> => askJson("/api/v1/store");

export function fetchClips(camera: string, limit: number, before: string | null): Promise<ClipPage> {
  const query = new URLSearchParams({ camera, limit: String(limit), ...(before === null ? {} : { before }) });
  return askJson(`/api/v1/clips?${query}`);
}

export function keepClip(camera: string, range: Range, name: string): Promise<Clip> {
  const body = JSON.stringify({ camera, ...rangeText(range), name });
  return askJson("/api/v1/clips", { method: "POST", body, headers: { "content-type": "application/json" } });
}

export async function deleteClip(id: number): Promise<void> {
  await ask(`/api/v1/clips/${id}`, { method: "DELETE" });
}

/** The recording of a range as one MP4 file. */
export const clipFilePath = (camera: string, range: Range): string =>
  `/recordings/${camera}/clip.mp4?${new URLSearchParams({ ...rangeText(range) })}`;

/** What that file will be; fails with the reason why there is none. */
export const fetchClipFile = (camera: string, range: Range): Promise<ClipFile> =>
  askJson(`/recordings/${camera}/clip.json?${new URLSearchParams({ ...rangeText(range) })}`);

/** Asks for no more than the first byte; fails with the reason why there is none. */
export async function probe(path: string): Promise<void> {
  const response = await ask(path, { headers: { range: "bytes=0-0" } });
  await response.body?.cancel();
}

const TIMELAPSE_MIN_S = 5;
const TIMELAPSE_MAX_S = 60;

/** The same as a time-lapse: thirty keyframes a second as far as there are so many, and no longer than a minute. */
export function timelapsePath(camera: string, range: Range): string {
  // There is one each two seconds: thirty of them a second are sixty times as fast.
  const length = Math.round((range.to - range.from) / 60_000);
  const within = Math.min(TIMELAPSE_MAX_S, Math.max(TIMELAPSE_MIN_S, length));
  return `/recordings/${camera}/timelapse.mp4?${new URLSearchParams({ ...rangeText(range), length: String(within) })}`;
}

const rangeText = ({ from, to }: Range): { from: string; to: string } => ({
  from: new Date(from).toISOString(),
  to: new Date(to).toISOString(),
});

const times = <T extends TimeRange>(one: T): T & Range => ({ ...one, from: Date.parse(one.from), to: Date.parse(one.to) });
const time = (text: string | null): number | null => (text === null ? null : Date.parse(text));

export function chartOf(answer: TimelineAnswer): Chart {
  return {
    ...times(answer),
    resolution: answer.resolution_s * 1000,
    oldest: time(answer.oldest),
    newest: time(answer.newest),
    spans: answer.spans.map(times),
    gaps: answer.gaps.map(times),
    losses: answer.losses.map(times),
    clips: answer.clips.map(times),
    imports: answer.imports.flatMap((item) => (item.at === null ? [] : { at: Date.parse(item.at), item })),
    density: answer.density.map(({ from, bytes }) => ({ from: Date.parse(from), bytes })),
  };
}
