// Fetches and keeps strips of recorded pictures: one request at a time, the most urgent first, given up when nobody
// wants it any more; what is kept has a bound. Driven by pictures.ts; the request itself is handed in.
import { signal } from "@preact/signals";
import { HOUR } from "./calendar.js";
import { momentOf, PICTURES, pictureAt, stripEnd, stripKey, stripPath, type Strip } from "./strip.js";

/** One picture, as a place on the image that it came with, in pixels. */
export interface Picture {
  image: ImageBitmap;
  x: number;
  width: number;
  height: number;
}

/** Null where the server has no picture at all; fails where it should be asked again. */
type Fetch = (address: string, fresh: boolean, signal: AbortSignal) => Promise<ImageBitmap | null>;

/** Who wants strips; the first is served first. */
const OWNERS = ["peek", "film"] as const;
export type Owner = (typeof OWNERS)[number];

interface Kept {
  strip: Strip;
  image: ImageBitmap | null;
  /** When it was asked for, and up to when there could be pictures then. */
  at: number;
  until: number;
}

/** A hand that sweeps and a view that moves ask for nothing: what is given up was begun all the same. */
const SETTLE_MS: Record<Owner, number> = { peek: 90, film: 300 };
/** What failed is left alone for so long, each time twice as long, up to the second; the rest goes on meanwhile. */
const RETRY_MS = 1500;
const RETRY_MAX_MS = 60_000;
/** A request that hangs would keep all the others waiting. */
const TIMEOUT_MS = 15_000;
/** The server lets browsers keep an answer for so long, also one that ended in what was then the present. */
const CACHED_MS = HOUR;
/** What ends in the present is asked for again no more often than this. */
const RENEW_MIN_MS = 10_000;
/** Of all that is kept: 48 MB. */
const PIXELS_MAX = 12e6;
/** Strips without any picture take no room, but are not kept for ever. */
const KEPT_MAX = 64;

export class Strips {
  /** Another number whenever a picture has come. */
  readonly arrived = signal(0);

  /** The one used last is the last. */
  private kept = new Map<string, Kept>();
  private wanted: Record<Owner, Strip[]> = { peek: [], film: [] };
  private underWay: { key: string; control: AbortController } | null = null;
  private timer = 0;
  /** What the timer is for; null while none runs. */
  private armedFor: string | null = null;
  /** What failed: how often in a row, and until when it is left alone, by a clock that nobody sets. Oldest first. */
  private failures = new Map<string, { count: number; until: number }>();

  /**
   * `clock` says the server's time, and `until` up to when there is a recording, in milliseconds since 1970; `width` is
   * that of a picture, in pixels.
   */
  constructor(
    private readonly fetch: Fetch,
    private readonly clock: () => number,
    private readonly until: () => number,
    private readonly width: () => number,
  ) {}

  /** What an owner wants now, the most urgent first, in place of what it wanted before. */
  want(owner: Owner, strips: Strip[]): void {
    this.wanted[owner] = strips;
    for (const strip of strips) this.touch(stripKey(strip));
    if (this.underWay) {
      if (this.all().some((strip) => stripKey(strip) === this.underWay!.key)) return;
      this.underWay.control.abort();
      this.underWay = null;
    }
    this.arm();
  }

  /** The finest picture there is of a moment; one that is taken where `has` says no is grey, and none. */
  find(camera: string, time: number, has: (time: number) => boolean): Picture | null {
    let best: Kept | null = null;
    for (const one of this.kept.values()) {
      const { strip, image, until } = one;
      if (!image || strip.camera !== camera || time < strip.from || time >= stripEnd(strip)) continue;
      if (best && best.strip.step <= strip.step) continue;
      const moment = momentOf(strip, pictureAt(strip, time));
      if (moment <= until && has(moment)) best = one;
    }
    if (!best?.image) return null;
    const width = best.image.width / PICTURES;
    return { image: best.image, x: width * pictureAt(best.strip, time), width, height: best.image.height };
  }

  private all(): Strip[] {
    return OWNERS.flatMap((owner) => this.wanted[owner]);
  }

  /** What is wanted and not there, or not there any more to the present; the most urgent first. */
  private missing(): Strip[] {
    const now = this.clock();
    return this.all().filter((strip) => {
      const kept = this.kept.get(stripKey(strip));
      if (!kept) return true;
      // A clock that was set back makes nothing younger.
      return stripEnd(strip) > kept.until && Math.abs(now - kept.at) >= Math.max(strip.step, RENEW_MIN_MS);
    });
  }

  /** For how long a strip is still left alone, in ms. */
  private restOf(strip: Strip): number {
    return Math.max(0, (this.failures.get(stripKey(strip))?.until ?? 0) - performance.now());
  }

  private next(): Strip | null {
    return this.missing().find((strip) => this.restOf(strip) === 0) ?? null;
  }

  /** A hand that moves on within a strip does not put it off. */
  private arm(): void {
    const soonest = this.next() ?? this.missing().sort((a, b) => this.restOf(a) - this.restOf(b))[0];
    const key = soonest ? stripKey(soonest) : null;
    if (key === this.armedFor) return;
    window.clearTimeout(this.timer);
    this.armedFor = key;
    if (!soonest) return;
    const owner = OWNERS.find((one) => this.wanted[one].some((strip) => stripKey(strip) === key))!;
    const pause = Math.max(SETTLE_MS[owner], this.restOf(soonest));
    this.timer = window.setTimeout(() => void this.load(), pause);
  }

  private async load(): Promise<void> {
    this.armedFor = null;
    for (let strip = this.next(); strip; strip = this.next()) {
      const mine = { key: stripKey(strip), control: new AbortController() };
      this.underWay = mine;
      const [at, until] = [this.clock(), this.until()];
      const timer = window.setTimeout(() => mine.control.abort(), TIMEOUT_MS);
      try {
        const image = await this.fetch(stripPath(strip, this.width()), stripEnd(strip) > at - CACHED_MS, mine.control.signal);
        if (this.underWay !== mine) {
          image?.close();
          return;
        }
        this.failures.delete(mine.key);
        this.keep({ strip, image, at, until });
      } catch {
        if (this.underWay !== mine) return;
        this.leave(mine.key);
      } finally {
        window.clearTimeout(timer);
      }
    }
    this.underWay = null;
    this.arm();
  }

  /** It failed: it is left alone for a time that grows. */
  private leave(key: string): void {
    const count = (this.failures.get(key)?.count ?? 0) + 1;
    this.failures.delete(key);
    this.failures.set(key, { count, until: performance.now() + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (count - 1)) });
    if (this.failures.size > KEPT_MAX) this.failures.delete(this.failures.keys().next().value!);
  }

  private keep(one: Kept): void {
    const key = stripKey(one.strip);
    this.drop(key);
    this.kept.set(key, one);
    const wanted = new Set(this.all().map(stripKey));
    const pixels = (): number => [...this.kept.values()].reduce((sum, { image }) => sum + (image ? image.width * image.height : 0), 0);
    for (const old of [...this.kept.keys()]) {
      if (this.kept.size <= KEPT_MAX && pixels() <= PIXELS_MAX) break;
      if (!wanted.has(old)) this.drop(old);
    }
    this.arrived.value++;
  }

  private touch(key: string): void {
    const kept = this.kept.get(key);
    if (!kept) return;
    this.kept.delete(key);
    this.kept.set(key, kept);
  }

  private drop(key: string): void {
    this.kept.get(key)?.image?.close();
    this.kept.delete(key);
  }
}

export async function loadStrip(address: string, fresh: boolean, signal: AbortSignal): Promise<ImageBitmap | null> {
  const response = await fetch(address, { cache: fresh ? "reload" : "default", signal });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return createImageBitmap(await response.blob());
}
