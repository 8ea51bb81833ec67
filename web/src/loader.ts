// Fetches what the timeline shows: one request at a time, for what is on view with a margin, kept by range and
// resolution, given up when the view has moved on. Driven by timeline.ts; the request itself is handed in.
import { signal } from "@preact/signals";
import { ASKED_AGAIN, reasonOf, type Chart } from "./archive.js";
import { DAY, HOUR, MINUTE } from "./calendar.js";
import type { Range } from "./range.js";
import { spanOf } from "./scale.js";

export interface Ask extends Range {
  camera: string;
  /** Seconds. */
  resolution: number;
}

type Fetch = (camera: string, range: Range, resolution: number, signal: AbortSignal) => Promise<Chart>;

const RESOLUTIONS_S = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400];
/** About so many buckets on view. */
const BUCKETS = 500;
/** Ranges begin and end on multiples of so many buckets, so that a small move asks for nothing. */
const GRID = 128;
const GRID_MAX_MS = 32 * DAY;
const MARGIN_MAX_MS = 60 * DAY;
const KEPT_MAX = 32;
/** A view that is still moving is not asked for. */
const SETTLE_MS = 120;
const RETRY_MS = 4000;

/** What is asked for `view`: as much again as is seen, half on each side, but nothing of the future. */
export function askFor(camera: string, view: Range, now: number): Ask {
  const wished = spanOf(view) / 1000 / BUCKETS;
  const resolution = RESOLUTIONS_S.find((one) => one >= wished) ?? RESOLUTIONS_S.at(-1)!;
  const grid = Math.min(resolution * 1000 * GRID, GRID_MAX_MS);
  const margin = Math.min(spanOf(view) / 2, MARGIN_MAX_MS);
  const from = Math.floor((view.from - margin) / grid) * grid;
  const end = Math.ceil(now / 1000) * 1000;
  const to = Math.min(Math.ceil((view.to + margin) / grid) * grid, end);
  return { camera, resolution, from: Math.min(from, to - 1000), to };
}

/** A request, and when it was made. */
interface Asked {
  ask: Ask;
  at: number;
}

type Kept = Asked & { chart: Chart };

/** For how long an answer that reaches up to now is believed. */
const freshFor = (resolution: number): number => Math.min(MINUTE, Math.max(5000, resolution * 1000));

/** Whether what is kept shows `view`, as finely as it would be asked for now. */
export function covers({ ask, at }: Asked, wished: Ask, view: Range, now: number): boolean {
  if (ask.camera !== wished.camera || ask.resolution !== wished.resolution) return false;
  if (ask.from > view.from) return false;
  const reachedNow = ask.to >= at - 2000;
  // What was asked for under a clock that was set back since is no younger for that.
  const age = Math.abs(now - at);
  if (!reachedNow) return ask.to >= view.to && age < (view.to > now - DAY ? HOUR : DAY);
  // It ends where the present was: enough for a view of the past, and for a short time for any other.
  return ask.to >= view.to || age < freshFor(ask.resolution);
}

export class Loader {
  /** The best there is for the view asked for last; of another range while that is on its way. */
  readonly chart = signal<Chart | null>(null);
  /** Why there is none, in the server's words; "" while all is well. */
  readonly trouble = signal("");

  private kept: Kept[] = [];
  private wanted: { camera: string; view: Range } | null = null;
  private underWay: (Asked & { control: AbortController }) | null = null;
  private timer = 0;
  /** By a clock that nobody sets. */
  private failedAt = -Infinity;

  /** `clock` says the server's time, in milliseconds since 1970. */
  constructor(
    private readonly fetch: Fetch,
    private readonly clock: () => number,
  ) {}

  /** Called whenever the view moves, and now and then. */
  want(camera: string, view: Range): void {
    if (this.wanted?.camera !== camera) this.chart.value = null;
    this.wanted = { camera, view };
    const now = this.clock();
    const ask = askFor(camera, view, now);
    const found = this.kept.findLast((one) => covers(one, ask, view, now));
    if (found) {
      this.chart.value = found.chart;
      this.trouble.value = "";
      this.giveUp();
      window.clearTimeout(this.timer);
      return;
    }
    const { underWay } = this;
    if (underWay && covers(underWay, ask, view, now)) return;
    this.giveUp();
    window.clearTimeout(this.timer);
    const pause = Math.max(SETTLE_MS, this.failedAt + RETRY_MS - performance.now());
    this.timer = window.setTimeout(() => void this.load(), pause);
  }

  /** What is kept may be wrong, as after a clip was made or deleted: asks again. */
  forget(): void {
    this.kept = [];
    this.giveUp();
    if (this.wanted) this.want(this.wanted.camera, this.wanted.view);
  }

  private giveUp(): void {
    this.underWay?.control.abort();
    this.underWay = null;
  }

  private async load(): Promise<void> {
    if (!this.wanted) return;
    const { camera, view } = this.wanted;
    const at = this.clock();
    const ask = askFor(camera, view, at);
    const mine = { ask, at, control: new AbortController() };
    this.underWay = mine;
    try {
      const chart = await this.fetch(camera, ask, ask.resolution, mine.control.signal);
      if (this.underWay !== mine) return;
      this.keep({ ask, at, chart });
      this.chart.value = chart;
      this.trouble.value = "";
    } catch (error) {
      if (this.underWay !== mine) return;
      this.failedAt = performance.now();
      this.trouble.value = reasonOf(error, ASKED_AGAIN);
    } finally {
      if (this.underWay === mine) this.underWay = null;
    }
  }

  private keep(one: Kept): void {
    this.kept = this.kept.filter(({ ask }) => !(ask.camera === one.ask.camera && ask.resolution === one.ask.resolution && ask.from === one.ask.from));
    this.kept.push(one);
    if (this.kept.length > KEPT_MAX) this.kept.shift();
  }
}
