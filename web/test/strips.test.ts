// Strips of pictures: the grid they lie on, what a view takes of them, how they are asked for and kept.
import "./berlin.js";
import { page, pass, settled } from "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Chart } from "../src/archive.js";
import { HOUR, MINUTE } from "../src/calendar.js";
import { filmStrips, hasPicture, isRecorded, peekStrips } from "../src/needs.js";
import type { Range } from "../src/range.js";
import { momentOf, pictureAt, PICTURES, STEP_MIN, stepFor, stripAt, stripEnd, stripKey, stripPath, stripsOver, type Strip } from "../src/strip.js";
import { Strips } from "../src/strips.js";

function check<T>(got: T, expected: T): void {
  assert.deepEqual(got, expected);
}

const NOW = Date.parse("2026-11-21T16:00:00Z");
const at = (index: number, step = 60_000): Strip => ({ camera: "test", step, from: stripAt("test", step, NOW - HOUR).from + index * step * PICTURES });

test("a step is no shorter than wished, hardly longer, and never finer than keyframes are", () => {
  check([1, 2000, 2001, 2828, 4000].map(stepFor), [2000, 2000, 2828, 2828, 4000]);
  for (let wished = STEP_MIN; wished < 100 * HOUR; wished *= 1.13) {
    const step = stepFor(wished);
    assert.ok(step >= wished - 1 && step < wished * 1.4143, `${step} for ${wished}`);
    assert.equal(step, stepFor(step - 1));
  }
});

test("every moment lies in one picture of one strip of each step", () => {
  for (const step of [2000, 2828, 64_000, 90_510]) {
    for (let time = NOW; time < NOW + 5 * HOUR; time += 777_777) {
      const strip = stripAt("test", step, time);
      const picture = pictureAt(strip, time);
      assert.ok(strip.from <= time && time < stripEnd(strip));
      assert.ok(Math.abs(momentOf(strip, picture) - time) <= step / 2);
      check(stripAt("test", step, stripEnd(strip)).from, stripEnd(strip));
    }
  }
  const over = stripsOver("test", 60_000, { from: NOW - HOUR, to: NOW });
  check(over.length, 3 + (NOW % (20 * MINUTE) === 0 ? 0 : 1));
  assert.ok(over[0]!.from <= NOW - HOUR && stripEnd(over.at(-1)!) >= NOW);
  check(stripPath({ camera: "test", from: 0, step: 2000 }, 160), "/recordings/test/strip.jpg?from=1970-01-01T00%3A00%3A00.000Z&to=1970-01-01T00%3A00%3A40.000Z&count=20&width=160");
});

const chart = (...spans: Range[]): Chart => ({
  ...{ camera: "test", from: 0, to: NOW, resolution: 10_000, oldest: 0, newest: NOW },
  ...{ spans, gaps: [], losses: [], clips: [], imports: [], density: [] },
});

test("the film takes few strips at every scale, and none where nothing is recorded or from far away", () => {
  const all = chart({ from: NOW - 1000 * HOUR, to: NOW });
  for (const width of [300, 700, 1600]) {
    for (let span = 1000; span <= 3 * HOUR; span *= 1.3) {
      const { length } = filmStrips(all, { from: NOW - 50 * HOUR, to: NOW - 50 * HOUR + span }, width);
      assert.ok(length >= 1 && length <= 2, `${length} strips for ${span} ms on ${width} px`);
    }
  }
  const view = { from: NOW - 2 * HOUR, to: NOW };
  check(filmStrips(all, { from: NOW - 4 * HOUR, to: NOW }, 700), []);
  check(filmStrips(chart({ from: NOW - 9 * HOUR, to: NOW - 3 * HOUR }), view, 700), []);
  const half = chart({ from: at(0).from + 30_000, to: at(0).from + 31_000 });
  check([hasPicture(half, at(0), view), hasPicture(half, at(1), view)], [true, false]);
  check([isRecorded(half, at(0).from), isRecorded(half, at(0).from + 30_500)], [false, true]);
});

test("the pointer takes the strip that it is in and the neighbour that it is nearer to", () => {
  const view = { from: NOW - 24 * HOUR, to: NOW };
  const all = chart({ from: 0, to: NOW });
  const [strip] = peekStrips(all, NOW - 10 * HOUR, view, 900);
  check(strip!.step, 724_077);
  const length = stripEnd(strip!) - strip!.from;
  const starts = (at: number, one = all): number[] => peekStrips(one, at, view, 900).map(({ from }) => from - strip!.from);
  check(starts(strip!.from + 1), [0, -length]);
  check(starts(stripEnd(strip!) - 1), [0, length]);
  const alone = chart({ from: strip!.from, to: strip!.from + 2 * HOUR });
  check(starts(strip!.from + 1, alone), [0]);
  check(starts(strip!.from + 3 * HOUR, alone), []);
});

interface Asked {
  address: string;
  fresh: boolean;
  signal: AbortSignal;
  /** Null: there is no picture. An error: ask again. */
  answer: (pixels: number | null | Error) => Promise<void>;
}

function rig() {
  page.hidden = false;
  const asked: Asked[] = [];
  const closed: number[] = [];
  const clock = { now: NOW, until: Infinity };
  const image = (pixels: number): ImageBitmap => ({ width: pixels / 10, height: 10, close: () => closed.push(pixels) });
  const fetch = (address: string, fresh: boolean, signal: AbortSignal): Promise<ImageBitmap | null> =>
    new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")));
      const answer = (told: number | null | Error): Promise<void> => {
        if (told instanceof Error) reject(told);
        else resolve(told === null ? null : image(told));
        return settled();
      };
      asked.push({ address, fresh, signal, answer });
    });
  const strips = new Strips(fetch, () => clock.now, () => Math.min(clock.now - 5000, clock.until), () => 160);
  const later = async (ms: number): Promise<void> => {
    clock.now += ms;
    await pass(ms);
  };
  return { strips, asked, clock, closed, later };
}

const always = (): boolean => true;

test("strips come one at a time, the pointer's first, and what nobody wants any more is given up", async () => {
  const { strips, asked, later } = rig();
  strips.want("film", [at(0), at(1)]);
  await later(400);
  check(asked.length, 1);
  strips.want("peek", [at(5)]);
  await later(1000);
  check(asked.length, 1);
  await asked[0]!.answer(1000);
  check(asked[1]!.address, stripPath(at(5), 160));
  strips.want("peek", []);
  check(asked[1]!.signal.aborted, true);
  await later(400);
  check(asked.length, 3);
  check(asked[2]!.address, stripPath(at(1), 160));
  await asked[2]!.answer(1000);
  strips.want("film", [at(1), at(0)]);
  await later(1000);
  check(asked.length, 3);
});

test("a hand that sweeps asks for nothing, one that moves within a strip does not wait for ever", async () => {
  const { strips, asked, later } = rig();
  for (let index = 0; index < 20; index++) {
    strips.want("peek", [at(index)]);
    await later(50);
  }
  check(asked.length, 0);
  for (let moves = 0; moves < 5; moves++) {
    strips.want("peek", [at(19)]);
    await later(50);
  }
  check(asked.map(({ address }) => address), [stripPath(at(19), 160)]);
});

test("a picture is found in the finest strip, and only where it was recorded", async () => {
  const { strips, asked, later } = rig();
  const [coarse, fine] = [at(0, 600_000), at(0, 60_000)];
  strips.want("film", [coarse, fine]);
  await later(400);
  await asked[0]!.answer(20_000);
  check(strips.arrived.value, 1);
  const time = fine.from + 90_000;
  check(strips.find("test", time, always)?.width, 100);
  await asked[1]!.answer(40_000);
  const found = strips.find("test", time, always)!;
  check([found.x, found.width, found.height], [200, 200, 10]);
  check(strips.find("test", time, (moment) => moment !== momentOf(fine, 1))?.width, 100);
  check(strips.find("test", time, () => false), null);
  check(strips.find("other", time, always), null);
});

test("what ends in the present is not believed for long, what is past for good", async () => {
  const { strips, asked, clock, later } = rig();
  const now = stripAt("test", 60_000, NOW);
  strips.want("film", [now]);
  await later(400);
  check(asked[0]!.fresh, true);
  await asked[0]!.answer(1000);
  check(strips.find("test", clock.now + 60_000, always), null);
  await later(30_000);
  strips.want("film", [now]);
  await later(1000);
  check(asked.length, 1);
  await later(31_000);
  strips.want("film", [now]);
  await later(1000);
  check(asked.length, 2);
  await asked[1]!.answer(1000);
  strips.want("film", [at(-9)]);
  await later(400);
  check(asked[2]!.fresh, false);
  await asked[2]!.answer(null);
  await later(HOUR);
  strips.want("film", [at(-9)]);
  await later(1000);
  check(asked.length, 3);
});

test("a picture that was not recorded yet when its strip was made is none, and comes with the next", async () => {
  const { strips, asked, clock, later } = rig();
  const now = stripAt("test", 2000, NOW - 40_000);
  clock.until = now.from + 10_000;
  strips.want("film", [now]);
  await later(400);
  await asked[0]!.answer(1000);
  const has = (time: number): boolean => strips.find("test", time, always) !== null;
  check([has(now.from + 5000), has(now.from + 15_000)], [true, false]);
  await later(11_000);
  clock.until = clock.now;
  strips.want("film", [now]);
  await later(400);
  await asked[1]!.answer(1000);
  check(has(now.from + 15_000), true);
});

test("what fails is asked again after a pause, if it is still wanted", async () => {
  const { strips, asked, later } = rig();
  strips.want("film", [at(0)]);
  await later(400);
  await asked[0]!.answer(new Error("503"));
  await later(1000);
  check(asked.length, 1);
  await later(1000);
  check(asked.length, 2);
  await asked[1]!.answer(new Error("503"));
  strips.want("film", []);
  await later(5000);
  check(asked.length, 2);
});

test("what cannot be made is asked for less and less often, and keeps nothing else waiting", async () => {
  const { strips, asked, later } = rig();
  const broken = stripPath(at(0), 160);
  strips.want("film", [at(0), at(1), at(-1)]);
  await later(400);
  await asked[0]!.answer(new Error("500"));
  check(asked.map(({ address }) => address), [broken, stripPath(at(1), 160)]);
  await asked[1]!.answer(1000);
  await asked[2]!.answer(1000);
  const times: number[] = [];
  for (let second = 0; second < 300; second++) {
    const before = asked.length;
    strips.want("film", [at(0), at(1), at(-1)]);
    await later(1000);
    if (asked.length === before) continue;
    times.push(second);
    check([asked.length, asked.at(-1)!.address], [before + 1, broken]);
    await asked.at(-1)!.answer(new Error("500"));
  }
  const pauses = times.slice(1).map((second, index) => second - times[index]!);
  check(pauses.slice(0, 5), [3, 6, 12, 24, 48]);
  check(pauses.slice(5).every((pause) => pause >= 59 && pause <= 62), true);
  // Another one is asked for at once, though that one rests.
  strips.want("peek", [at(-5)]);
  await later(100);
  check(asked.at(-1)!.address, stripPath(at(-5), 160));
  await asked.at(-1)!.answer(1000);
  // What comes at last is as good as any.
  const { length } = asked;
  while (asked.length === length) await later(1000);
  await asked.at(-1)!.answer(1000);
  check(strips.find("test", at(0).from, always)?.width, 5);
});

test("a request that hangs is given up, and the next is served", async () => {
  const { strips, asked, later } = rig();
  strips.want("film", [at(0), at(1)]);
  await later(400);
  await later(14_000);
  check([asked.length, asked[0]!.signal.aborted], [1, false]);
  await later(2000);
  check([asked.length, asked[0]!.signal.aborted], [2, true]);
  await asked[1]!.answer(1000);
  await later(2000);
  check([asked.length, asked[2]!.address], [3, stripPath(at(0), 160)]);
});

test("a clock that is set changes no pause", async () => {
  const { strips, asked, clock, later } = rig();
  strips.want("film", [at(0)]);
  await later(400);
  await asked[0]!.answer(new Error("503"));
  clock.now -= 400 * 24 * HOUR;
  await later(2000);
  check(asked.length, 2);
});

test("what is kept has a bound, and what is on view stays", async () => {
  const { strips, asked, closed, later } = rig();
  for (let index = 0; index < 30; index++) {
    strips.want("film", [at(index - 40)]);
    await later(400);
    await asked.at(-1)!.answer(1_000_000 + index);
  }
  check(closed.length, 30 - 11);
  check(closed[0], 1_000_000);
  check(new Set(asked.map(({ address }) => address)).size, 30);
  strips.want("film", [at(-40)]);
  await later(400);
  check(asked.length, 31);
  check(stripKey(at(0)) === stripKey(at(1)), false);
});
