// How fast to play to stay at the wanted distance from the live edge. Pure; asked by the engine four times a second.
// hls.js has its own, but it waits for more than a second in the buffer, which a viewer one second behind never has.

/** Within this much of the target, in seconds, the speed is left alone; it is left again only past START. */
const SETTLED_S = 0.03;
const START_S = 0.1;
/** Less than this in the buffer, in seconds, is never played faster. */
const BUFFER_MIN_S = 0.35;

/** What each stop of the picture adds to the distance from the edge, and the most that stops add, in seconds. */
const MARGIN_STEP_S = 0.25;
const MARGIN_MAX_S = 2;
/** After so long without a stop, in milliseconds, half of that goes; after twice as long each time that was in vain. */
const CALM_MS = 10_000;
const CALM_MAX_MS = 160_000;

/** How much later than the server asks a viewer is kept whose picture stood still: so much more is loaded ahead. */
export class Margin {
  seconds = 0;
  private calmMs = CALM_MS;
  private changedAt = 0;
  private lowered = false;

  /** The picture stood still for want of bytes. `now` in milliseconds, as below. */
  raise(now: number): void {
    if (this.lowered) this.calmMs = Math.min(this.calmMs * 2, CALM_MAX_MS);
    this.lowered = false;
    this.seconds = Math.min(this.seconds + MARGIN_STEP_S, MARGIN_MAX_S);
    this.changedAt = now;
  }

  /** The picture moves. */
  lower(now: number): void {
    if (now - this.changedAt < this.calmMs) return;
    this.changedAt = now;
    this.lowered = this.seconds > 0;
    if (!this.lowered) this.calmMs = CALM_MS;
    this.seconds = this.seconds > MARGIN_STEP_S ? this.seconds / 2 : 0;
  }
}

/**
 * `behind`: seconds later than wanted, negative when too close to the edge. `buffer`: seconds loaded ahead.
 * `rate`: the present speed. Returns the speed to play at, 0.97 to 1.1; pitch is kept by the browser.
 */
export function pace(behind: number, buffer: number, rate: number): number {
  if (rate > 1 ? behind > SETTLED_S : behind > START_S) {
    if (buffer < BUFFER_MIN_S) return 1;
    return behind > 0.4 ? 1.1 : 1.04;
  }
  if (rate < 1 ? behind < -SETTLED_S : behind < -START_S * 2) return 0.97;
  return 1;
}
