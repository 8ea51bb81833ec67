// How fast to play to stay at the wanted distance from the live edge. Pure; asked by the engine four times a second.
// hls.js has its own, but it waits for more than a second in the buffer, which a viewer one second behind never has.

/** Within this much of the target, in seconds, the speed is left alone; it is left again only past START. */
const SETTLED_S = 0.03;
const START_S = 0.1;
/** Less than this in the buffer, in seconds, is never played faster. */
const BUFFER_MIN_S = 0.35;

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
