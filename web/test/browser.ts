// A browser as far as the engine and the polling see one: a <video>, a page that can be hidden, timers and a clock
// that the test moves, and an hls.js that obeys. Import it before what it stands in for.
import type Hls from "hls.js";

interface Timer {
  due: number;
  every: number | null;
  run: () => unknown;
}

let now = 0;
let lastTimer = 0;
export const timers = new Map<number, Timer>();

function arm(run: () => unknown, delay = 0, every: number | null = null): number {
  timers.set(++lastTimer, { due: now + delay, every, run });
  return lastTimer;
}

class Page extends EventTarget {
  hidden = false;
  pictureInPictureElement: unknown = null;
}
export const page = new Page();

performance.now = () => now;
Object.assign(globalThis, {
  document: page,
  window: {
    setTimeout: arm,
    setInterval: (run: () => unknown, delay: number) => arm(run, delay, delay),
    clearTimeout: (timer: number) => timers.delete(timer),
    MediaSource: { isTypeSupported: () => true },
  },
});

/** Lets promises that are due come true. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

/** Moves the clock on, running every timer on its way. */
export async function pass(ms: number): Promise<void> {
  const end = now + ms;
  for (;;) {
    const [next] = [...timers].filter(([, timer]) => timer.due <= end).sort(([, a], [, b]) => a.due - b.due);
    if (!next) break;
    const [id, timer] = next;
    now = timer.due;
    if (timer.every === null) timers.delete(id);
    else timer.due += timer.every;
    timer.run();
    await settled();
  }
  now = end;
  await settled();
}

/** A <video> that has whatever is asked of it. Its events come at once. */
export class Video extends EventTarget {
  autoplay = true;
  paused = true;
  muted = false;
  ended = false;
  seeking = false;
  readyState = 0;
  currentTime = 0;
  duration = Number.NaN;
  playbackRate = 1;
  src = "";
  plays = 0;
  buffered = { length: 0, end: (_: number): number => 0 };
  seekable = { length: 0, start: (_: number): number => 0, end: (_: number): number => 0 };

  play(): Promise<void> {
    this.plays++;
    this.paused = false;
    this.dispatchEvent(new Event("playing"));
    return Promise.resolve();
  }

  pause(): void {
    this.paused = true;
    this.dispatchEvent(new Event("pause"));
  }

  canPlayType(): string {
    return "maybe";
  }

  /** The source is exchanged: as in a browser, it stands at the start, paused, and says nothing of it. */
  empty(): void {
    Object.assign(this, { paused: true, ended: false, readyState: 0, currentTime: 0, duration: Number.NaN });
  }

  /** Pictures are there, up to `seconds`. */
  fill(seconds: number, at = this.currentTime): void {
    Object.assign(this, { readyState: 4, duration: seconds, currentTime: at });
    this.seekable = { length: 1, start: () => 0, end: () => seconds };
    this.dispatchEvent(new Event("loadedmetadata"));
    this.dispatchEvent(new Event("timeupdate"));
  }

  asElement(): HTMLVideoElement {
    return this as unknown as HTMLVideoElement;
  }
}

/** hls.js: what it was made with, what was set on it; `auto` is the level that it plays in automatic mode. */
export class Library {
  static Events = { MANIFEST_PARSED: "parsed", LEVEL_SWITCHED: "switched", FRAG_BUFFERED: "buffered", ERROR: "error" };
  static ErrorDetails = { MANIFEST_LOAD_ERROR: "manifestLoadError", BUFFER_STALLED_ERROR: "bufferStalledError" };
  static ErrorTypes = { MEDIA_ERROR: "mediaError", NETWORK_ERROR: "networkError" };
  private static made: Library[] = [];
  static isSupported = (): boolean => true;

  /** Every one that played in `video`, the present one last. Engines of other cases live on beside it. */
  static all = (video: Video): Library[] => Library.made.filter((one) => one.video === video);
  static of = (video: Video): Library => Library.all(video).at(-1)!;

  levels = ["low", "medium", "high"].map((name, at) => ({
    ...{ url: [`/live/test/${name}/index.m3u8`], height: [480, 720, 1080][at]!, bitrate: 1, audioGroups: ["sound"] },
  }));
  auto = 2;
  manualLevel = -1;
  recoveries = 0;
  stops = 0;
  liveSyncPosition: number | null = null;
  targetLatency: number | null = null;
  latency = 0;
  private heard = new Map<string, (event: string, data: unknown) => void>();
  private video: Video | null = null;

  constructor(readonly config: { startPosition?: number }) {
    Library.made.push(this);
  }

  get loadLevel(): number {
    return this.manualLevel === -1 ? this.auto : this.manualLevel;
  }
  set loadLevel(level: number) {
    this.manualLevel = level;
  }
  get autoLevelEnabled(): boolean {
    return this.manualLevel === -1;
  }
  on(event: string, hear: (event: string, data: unknown) => void): void {
    this.heard.set(event, hear);
  }
  say(event: string, data: unknown = {}): void {
    this.heard.get(event)?.(event, data);
  }
  /** The server is gone for good, as far as hls.js is concerned. */
  fail(): void {
    this.say("error", { fatal: true, type: "networkError", details: "levelLoadTimeOut" });
  }
  attachMedia(video: Video): void {
    this.video = video;
  }
  loadSource(): void {}
  stopLoad(): void {
    this.stops++;
  }
  recoverMediaError(): void {
    this.recoveries++;
  }
  destroy(): void {
    this.video?.empty();
  }
}

export const library = async (): Promise<typeof Hls> => Library as unknown as typeof Hls;
