// The requests of the timeline, against a server that takes its time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pass, settled } from "./browser.js";
import { Refusal, type Chart } from "../src/archive.js";
import { DAY, HOUR } from "../src/calendar.js";
import { askFor, Loader } from "../src/loader.js";
import type { Range } from "../src/range.js";

function check<T>(got: T, expected: T): void {
  assert.deepEqual(got, expected);
}

const NOW = Date.parse("2026-11-21T16:00:00Z");
const day = (ago: number): Range => ({ from: NOW - (ago + 1) * DAY, to: NOW - ago * DAY });

/** A loader whose requests are answered by hand. */
function rig() {
  const asked: { range: Range; resolution: number; signal: AbortSignal; answer: (error?: Error) => Promise<void> }[] = [];
  const clock = { now: NOW };
  const loader = new Loader(
    (camera, range, resolution, signal) =>
      new Promise((resolve, reject) => {
        const answer = async (error?: Error): Promise<void> => {
          if (error) reject(error);
          else resolve({ camera, ...range, resolution: resolution * 1000 } as Chart);
          await settled();
        };
        asked.push({ range, resolution, signal, answer });
        signal.addEventListener("abort", () => reject(new DOMException("given up", "AbortError")));
      }),
    () => clock.now,
  );
  return { loader, asked, clock };
}

test("a request has a margin, is bounded, and ends with the present", () => {
  const week = askFor("test", { from: NOW - 20 * DAY, to: NOW - 13 * DAY }, NOW);
  assert.ok(week.from <= NOW - 23.5 * DAY && week.to >= NOW - 9.5 * DAY);
  check(askFor("test", { from: NOW - DAY, to: NOW + HOUR }, NOW).to, NOW);
  for (let span = 1000; span <= 366 * DAY; span *= 1.7) {
    const ask = askFor("test", { from: NOW - 2 * span, to: NOW - span }, NOW);
    assert.ok(ask.from < NOW - 2 * span && ask.to > NOW - span);
    const buckets = (ask.to - ask.from) / 1000 / ask.resolution;
    assert.ok(buckets <= 1300, `${buckets} buckets for ${span} ms`);
    assert.ok(Number.isInteger(ask.resolution) && ask.resolution >= 1);
  }
});

test("one request at a time; what is outdated is given up; what is known is not asked for", async () => {
  const { loader, asked } = rig();
  loader.want("test", day(10));
  check(asked.length, 0);
  await pass(200);
  check(asked.length, 1);
  loader.want("test", { from: NOW - 11 * DAY + HOUR, to: NOW - 10 * DAY + HOUR });
  await pass(200);
  check([asked.length, asked[0]!.signal.aborted], [1, false]);
  loader.want("test", day(50));
  check(asked[0]!.signal.aborted, true);
  await pass(200);
  check(asked.length, 2);
  await asked[1]!.answer();
  check(loader.chart.value!.from, asked[1]!.range.from);
  check(loader.trouble.value, "");
  loader.want("test", day(50));
  loader.want("test", { from: NOW - 51 * DAY + HOUR, to: NOW - 50 * DAY + HOUR });
  await pass(5000);
  check(asked.length, 2);
  loader.want("other", day(50));
  check(loader.chart.value, null);
  await pass(200);
  check(asked.length, 3);
});

test("what reaches up to now grows old; what lies in the past does not", async () => {
  const { loader, asked, clock } = rig();
  loader.want("test", day(0));
  await pass(200);
  await asked[0]!.answer();
  clock.now += 30_000;
  loader.want("test", { from: NOW - DAY + 30_000, to: NOW + 30_000 });
  await pass(200);
  check(asked.length, 1);
  clock.now += 60_000;
  loader.want("test", { from: NOW - DAY + 90_000, to: NOW + 90_000 });
  await pass(200);
  check(asked.length, 2);
  await asked[1]!.answer();
  loader.want("test", day(30));
  await pass(200);
  await asked[2]!.answer();
  clock.now += HOUR;
  loader.want("test", day(30));
  await pass(200);
  check(asked.length, 3);
  loader.forget();
  await pass(200);
  check(asked.length, 4);
});

test("a refusal is said in the server's words, and asked again after a pause", async () => {
  const { loader, asked, clock } = rig();
  loader.want("test", day(3));
  await pass(200);
  await asked[0]!.answer(new Refusal("the index is being made again", 503));
  check(loader.trouble.value, "the index is being made again");
  for (let second = 0; second < 2; second++) {
    clock.now += 1000;
    loader.want("test", day(3));
    await pass(1000);
  }
  check(asked.length, 1);
  // The pause is as long though the clock is set meanwhile.
  clock.now -= 400 * DAY;
  loader.want("test", day(3));
  await pass(1500);
  check(asked.length, 1);
  await pass(1000);
  check(asked.length, 2);
  await asked[1]!.answer();
  check(loader.trouble.value, "");
});

test("what was wrong is over where what is shown is known", async () => {
  const { loader, asked } = rig();
  loader.want("test", day(3));
  await pass(200);
  await asked[0]!.answer();
  loader.want("test", day(30));
  await pass(200);
  await asked[1]!.answer(new Error("no network"));
  check(loader.trouble.value, "no answer; it is asked again by itself");
  loader.want("test", day(3));
  check([loader.trouble.value, asked.length], ["", 2]);
});

test("what was asked for up to now is asked for again when the clock was set back", async () => {
  const { loader, asked, clock } = rig();
  const view = { from: NOW - DAY, to: NOW + HOUR };
  loader.want("test", view);
  await pass(200);
  await asked[0]!.answer();
  clock.now -= 3 * HOUR;
  loader.want("test", view);
  await pass(200);
  check(asked.length, 2);
  check(asked[1]!.range.to, NOW - 3 * HOUR);
});
