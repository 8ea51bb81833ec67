// From the moment that is burned into a picture to the moment that Chromium presents it.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { open, playing, sleep } from "./browser.mjs";
import { decodeCells, lookAtPictures } from "./scene-clock.mjs";
import { LOOP_S } from "./standin-media.mjs";

const SETTLE_MS = 8000;
const LOOK_MS = 12_000;

/** The stand-in's clock starts again with each loop; perch's own is the time of day. */
function delay(at, taken, standin) {
  if (!standin) return at - taken;
  const loop = LOOP_S * 1000;
  return (((at - standin.began - taken) % loop) + loop) % loop;
}

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

export const cases = {
  "the delay is read from the burned-in clock": async ({ browser, url, standin, out }) => {
    const page = await open(browser, url);
    await playing(page);
    await sleep(SETTLE_MS);
    const looks = await page.evaluate(lookAtPictures, LOOK_MS);
    const standing = standin?.url === url ? standin : null;
    const delays = looks
      .map(({ at, means }) => ({ at, taken: decodeCells(means) }))
      .filter(({ taken }) => taken !== null)
      .map(({ at, taken }) => delay(at, taken, standing))
      .sort((a, b) => a - b);
    assert.ok(delays.length > looks.length * 0.9, `${delays.length} of ${looks.length} pictures had a readable clock`);
    const shown = Number(/(\d+\.\d) s/.exec(await page.locator(".live").textContent())?.[1]) * 1000;
    const measured = {
      origin: standing ? "stand-in" : "perch",
      pictures: delays.length,
      p50_ms: percentile(delays, 0.5),
      p95_ms: percentile(delays, 0.95),
      min_ms: delays[0],
      max_ms: delays.at(-1),
      shown_ms: shown,
    };
    console.log(JSON.stringify(measured));
    await writeFile(path.join(out, "latency.json"), `${JSON.stringify(measured, null, 2)}\n`);
    // No bound on speed here: that is the bench's. But what the page shows has to be true.
    assert.ok(Math.abs(shown - measured.p50_ms) < 500, `the page shows ${shown} ms, the pictures say ${measured.p50_ms} ms`);
  },
};
