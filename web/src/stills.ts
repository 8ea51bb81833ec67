// One camera's still pictures, one after the other: each is asked for when the one before has come or failed. Driven by
// tiles.tsx, which also hands in what fetches a picture.
import { signal } from "@preact/signals";

const RENEW_MS = 4000;
/** One that takes longer is given up. */
const TIMEOUT_MS = 10_000;
/** A picture from longer ago says nothing of now. */
const OLD_MS = 15_000;

/** Fetches a picture and says whether it came, unless what this returns gives it up first. */
export type Fetch = (address: string, done: (isThere: boolean) => void) => () => void;

export class Stills {
  /** The address of the last picture that came; "" before the first. */
  readonly shown = signal("");
  /** Whether that was too long ago, or none came in as long a time; while none is wanted it stays as it was. */
  readonly isOld = signal(false);

  private wanted = false;
  private timer = 0;
  private ageTimer = 0;
  private askedAt = -Infinity;
  /** When the last one came, or was wanted first. */
  private freshAt: number | null = null;
  private giveUp: (() => void) | null = null;

  /** `address` makes another one each time, so that the browser does not show the last one again. */
  constructor(
    private readonly address: () => string,
    private readonly fetch: Fetch,
  ) {}

  /** Whether pictures are of use now: while somebody sees them, and the box can be asked. */
  want(wanted: boolean): void {
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.end();
    window.clearTimeout(this.ageTimer);
    if (!wanted) return;
    this.freshAt ??= performance.now();
    this.countAge();
    this.arm(Math.max(0, this.askedAt + RENEW_MS - performance.now()));
  }

  private arm(pause: number): void {
    this.timer = window.setTimeout(() => this.ask(), pause);
  }

  private ask(): void {
    this.askedAt = performance.now();
    const address = this.address();
    this.giveUp = this.fetch(address, (isThere) => {
      this.giveUp = null;
      this.end();
      if (isThere) this.take(address);
      this.arm(RENEW_MS);
    });
    this.timer = window.setTimeout(() => {
      this.end();
      this.arm(RENEW_MS);
    }, TIMEOUT_MS);
  }

  /** Stops waiting, for a picture or for the time of the next. */
  private end(): void {
    window.clearTimeout(this.timer);
    this.giveUp?.();
    this.giveUp = null;
  }

  private take(address: string): void {
    this.shown.value = address;
    this.freshAt = performance.now();
    this.countAge();
  }

  private countAge(): void {
    window.clearTimeout(this.ageTimer);
    const left = this.freshAt! + OLD_MS - performance.now();
    this.isOld.value = left <= 0;
    if (left > 0) this.ageTimer = window.setTimeout(() => (this.isOld.value = true), left);
  }
}
