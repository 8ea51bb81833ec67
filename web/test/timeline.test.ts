// The arithmetic of the timeline: the calendar over changes of the clock, zoom, ticks, bars, hands, forecasts.
import "./berlin.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { chartOf, clipFilePath, timelapsePath, type Chart, type Store } from "../src/archive.js";
import { DAY, HOUR, MINUTE, period, shifted, startOf, unitOf } from "../src/calendar.js";
import { barsOf, columnsOf, isBeyond, nextRecorded } from "../src/density.js";
import { importWords, nameWords } from "../src/filewords.js";
import { bytesWords, daysWords, forecastWords, plotOf, roomOf, storedWords } from "../src/forecast.js";
import { Gesture, type Ground } from "../src/gesture.js";
import { keyStep, timelineCommand } from "../src/keys.js";
import type { Item } from "../src/items.js";
import { importsIn, importsNear, lengthWords, marksIn, momentWords, stateAt, viewWords } from "../src/moments.js";
import { inputValue, withEdge, type Range } from "../src/range.js";
import { fit, lag, limitsAt, lookAt, pan, pinch, placeOf, reveal, snap, spanOf, timeAt, turn, VIEW_MAX, VIEW_MIN, zoom } from "../src/scale.js";
import { axisOf } from "../src/ticks.js";

function check<T>(got: T, expected: T): void {
  assert.deepEqual(got, expected);
}

const at = (text: string): number => new Date(text).getTime();
const NOW = at("2026-11-21T16:00:00");
const LIMITS = limitsAt(null, NOW);
const near = (got: number, expected: number, by = 1): void => assert.ok(Math.abs(got - expected) <= by, `${got} is not ${expected}`);

/** 29 March: 02:00 became 03:00. 25 October: 03:00 became 02:00. */
const SPRING = at("2026-03-29T12:00:00");
const AUTUMN = at("2026-10-25T12:00:00");

test("a day has 23, 24 or 25 hours, and a week, a month and a year what they have", () => {
  const hours = (time: number): number => spanOf(period("day", time)) / HOUR;
  check([SPRING, SPRING + DAY, AUTUMN, AUTUMN - DAY].map(hours), [23, 24, 25, 24]);
  check(spanOf(period("week", AUTUMN)) / HOUR, 7 * 24 + 1);
  check(new Date(period("week", AUTUMN).from).getDay(), 1);
  check(spanOf(period("month", AUTUMN)) / HOUR, 31 * 24 + 1);
  check(spanOf(period("month", at("2028-02-10T00:00:00"))) / DAY, 29);
  check(spanOf(period("year", AUTUMN)) / DAY, 365);
  for (const unit of ["hour", "day", "week", "month", "year"] as const) check(unitOf(period(unit, AUTUMN)), unit);
  check(unitOf({ from: AUTUMN, to: AUTUMN + DAY }), null);
});

test("the hour that comes twice is two hours", () => {
  const first = at("2026-10-25T00:30:00Z");
  const second = first + HOUR;
  check([first, second].map((time) => new Date(time).getHours()), [2, 2]);
  check(startOf("hour", first), first - 30 * MINUTE);
  check(startOf("hour", second), second - 30 * MINUTE);
  check(shifted("hour", startOf("hour", first), 1), startOf("hour", second));
});

test("zoom leaves what is below the hand where it is, and ends at a second and at a year", () => {
  const view = { from: NOW - 10 * DAY, to: NOW - 9 * DAY };
  const anchor = timeAt(view, 300, 1000);
  for (const factor of [0.5, 0.9, 1.1, 3]) near(placeOf(zoom(view, factor, anchor, LIMITS), anchor, 1000), 300, 0.001);
  let closer: Range = view;
  let further: Range = view;
  for (let turns = 0; turns < 60; turns++) {
    closer = zoom(closer, 0.5, anchor, LIMITS);
    further = zoom(further, 2, anchor, LIMITS);
  }
  near(spanOf(closer), VIEW_MIN, 0.01);
  check(closer.from <= anchor && anchor <= closer.to, true);
  near(spanOf(further), VIEW_MAX, 0.01);
});

test("the view ends at now, with a little room, and no further back than there is", () => {
  const span = 10 * HOUR;
  near(fit({ from: NOW, to: NOW + span }, LIMITS).to, NOW + 0.03 * span);
  near(fit({ from: 0, to: span }, LIMITS).from, NOW - VIEW_MAX - 0.03 * span);
  near(fit({ from: 0, to: span }, limitsAt(NOW - 3 * VIEW_MAX, NOW)).from, NOW - 3 * VIEW_MAX - 0.03 * span);
  const inside = { from: NOW - 5 * DAY, to: NOW - 4 * DAY };
  check(fit(inside, LIMITS), inside);
  check(pan(inside, -DAY, LIMITS), { from: NOW - 6 * DAY, to: NOW - 5 * DAY });
  check(reveal(inside, NOW - 4.5 * DAY, LIMITS), inside);
  check(reveal(inside, NOW - 6 * DAY, LIMITS).from < NOW - 6 * DAY, true);
  check(reveal(inside, NOW - 2 * DAY, LIMITS).to > NOW - 2 * DAY, true);
});

test("a view that follows the time is moved by what is seen, and goes back with a clock that is set back", () => {
  const first = lookAt("day", { from: NOW - DAY, to: NOW }, NOW, LIMITS);
  const view = pan(first, lag(first, NOW), LIMITS);
  check([lag(view, NOW), lag(view, NOW + 10_000)], [0, 0]);
  near(lag(view, NOW + 5 * MINUTE), 5 * MINUTE);
  // The rest of a day that has begun may be on view.
  check(lag(period("day", NOW), NOW), 0);
  for (const jump of [-400 * DAY, 400 * DAY]) {
    const moved = pan(view, lag(view, NOW + jump), limitsAt(null, NOW + jump));
    near(moved.to, NOW + jump + 0.03 * spanOf(view), 2);
    near(spanOf(moved), spanOf(view));
  }
  check(lag(view, NOW - HOUR), 0);
});

test("two fingers hold the times below them", () => {
  const view = { from: NOW - 10 * DAY, to: NOW - 9 * DAY };
  const [a, b] = [timeAt(view, 400, 1000), timeAt(view, 600, 1000)];
  const spread = pinch(a, 200, b, 900, 1000, LIMITS);
  near(placeOf(spread, a, 1000), 200, 0.01);
  near(placeOf(spread, b, 1000), 900, 0.01);
  check(spanOf(pinch(a, 500, b, 500, 1000, LIMITS)) > spanOf(view), true);
  check(spanOf(pinch(b, 500, a, 490, 1000, LIMITS)) > 0, true);
});

test("days are turned over one by one, over changes of the clock too", () => {
  const autumn = period("day", AUTUMN);
  check(turn(autumn, 1, LIMITS), period("day", AUTUMN + DAY));
  check(turn(turn(autumn, 1, LIMITS), -1, LIMITS), autumn);
  check(turn(period("day", SPRING + DAY), -1, LIMITS), period("day", SPRING));
  check(lookAt("day", { from: AUTUMN - 3 * HOUR, to: AUTUMN }, AUTUMN - HOUR, LIMITS), autumn);
  near(lookAt("week", { from: NOW - DAY, to: NOW }, NOW, LIMITS).to, NOW + 0.03 * 7 * DAY);
  const odd = { from: AUTUMN, to: AUTUMN + 10 * HOUR };
  near(turn(odd, 1, LIMITS).from, AUTUMN + 8 * HOUR);
});

const clockOf = (time: number): string => new Date(time).toTimeString().slice(0, 5);

test("hours are ticked as the clock on the wall shows them", () => {
  const hours = (day: number, from: number, to: number): string[] => {
    const start = startOf("day", day);
    return axisOf({ from: start + from * HOUR, to: start + to * HOUR }, 500).ticks.map(({ time }) => clockOf(time));
  };
  check(hours(SPRING, 0, 5), ["00:00", "01:00", "03:00", "04:00", "05:00", "06:00"]);
  check(hours(AUTUMN, 0, 5), ["00:00", "01:00", "02:00", "02:00", "03:00", "04:00"]);
  const whole = axisOf(period("day", AUTUMN), 700).ticks.map(({ time }) => clockOf(time));
  check(whole, ["00:00", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "00:00"]);
  check(axisOf(period("week", SPRING), 700).ticks.map(({ time }) => clockOf(time)), Array(7).fill("00:00"));
});

test("every scale has ticks that can be read, within the view and in order", () => {
  for (const width of [300, 700, 1600]) {
    for (let span = VIEW_MIN; span <= VIEW_MAX; span *= 1.37) {
      for (const end of [NOW, AUTUMN, SPRING]) {
        const view = { from: end - span, to: end };
        const { ticks, minor, bands } = axisOf(view, width);
        const places = ticks.map(({ middle }) => placeOf(view, middle, width));
        assert.ok(ticks.length >= (width < 500 ? 0 : 1) && ticks.length <= width / 24, `${ticks.length} ticks of ${span} ms on ${width} px`);
        assert.ok(places.every((place) => place >= 0 && place <= width));
        assert.ok(places.every((place, index) => index === 0 || place > places[index - 1]!), String(places));
        assert.ok(minor.length <= width / 5);
        assert.ok(bands.length >= 1 && bands[0]!.from <= view.from && bands.at(-1)!.to >= view.to);
        assert.ok(bands.every((band, index) => index === 0 || band.from === bands[index - 1]!.to));
      }
    }
  }
});

const chart = (changes: Partial<Chart> = {}): Chart => ({
  ...{ camera: "test", from: 0, to: 100_000, resolution: 10_000, oldest: 0, newest: 100_000 },
  ...{ spans: [], gaps: [], losses: [], clips: [], imports: [], density: [], ...changes },
});

test("a bar's area is what was recorded, at every scale", () => {
  const spans = [{ from: 0, to: 24_000 }, { from: 51_000, to: 100_000 }];
  const density = [0, 10, 20, 50, 60, 70, 80, 90].map((s) => ({ from: s * 1000, bytes: s === 20 ? 400 : 1000 }));
  const one = chart({ spans, density });
  const area = (view: Range, count: number): number => columnsOf(one, view, count).reduce((sum, rate) => sum + (rate * spanOf(view)) / count, 0);
  for (const count of [1, 7, 100, 3001]) near(area({ from: 0, to: 100_000 }, count), 7400, 0.01);
  near(area({ from: 5000, to: 10_000 }, 13), 500, 0.01);
  // Nothing is drawn where nothing is recorded, though the bucket goes on.
  const columns = columnsOf(one, { from: 0, to: 100_000 }, 100);
  check([...columns.slice(24, 51)].every((rate) => rate === 0), true);
  check(columns[23]! > 0 && columns[51]! > 0, true);
  // A bucket that no span meets is drawn whole.
  check(columnsOf(chart({ density: [{ from: 40_000, bytes: 10 }] }), { from: 0, to: 100_000 }, 10)[4]! > 0, true);
});

test("neighbours of one height are one bar, the tallest fills, the smallest is seen", () => {
  check(barsOf(Float64Array.from([0, 4, 4, 0, 2, 0.0001])), [
    { at: 1, width: 2, height: 1 },
    { at: 4, width: 1, height: 0.5 },
    { at: 5, width: 1, height: 0.08 },
  ]);
  check(barsOf(new Float64Array(5)), []);
});

test("playing begins with what is recorded next", () => {
  const one = chart({ from: 10_000, spans: [{ from: 20_000, to: 30_000 }, { from: 50_000, to: 60_000 }] });
  check([15_000, 25_000, 40_000, 60_000, 5000].map((time) => nextRecorded(one, time)), [20_000, 25_000, 50_000, null, null]);
  check(nextRecorded(null, 0), null);
  // What begins where the chart does not reach has to be asked for; what is not recorded yet has not.
  const beyond = (newest: number | null, at: number): boolean => isBeyond({ ...one, newest }, at);
  check([beyond(90_000, 60_000), beyond(90_000, 5000), beyond(90_000, 40_000)], [true, true, false]);
  check([beyond(60_000, 60_000), beyond(null, 60_000), isBeyond(null, 60_000)], [false, false, false]);
});

const file = (id: string, at: string | null): Item => ({
  ...{ id, name: id, media: "sound", source: "import", camera: "test", at, made: "1970-01-01T00:00:00Z" },
  ...{ bytes: 2000, new_bytes: 0, damaged: false, damaged_bytes: 0 },
});

test("an answer becomes milliseconds", () => {
  const z = "1970-01-01T00:00:01Z";
  const got = chartOf({
    ...{ camera: "test", from: z, to: z, resolution_s: 2, oldest: z, newest: null },
    ...{ spans: [{ from: z, to: z }], gaps: [{ from: z, to: z, reason: "stopped" }], losses: [], clips: [{ id: 1, name: "a", from: z, to: z }] },
    imports: [file("a", z), file("b", null)],
    density: [{ from: z, bytes: 5, media_s: 1 }],
  });
  check([got.from, got.resolution, got.oldest, got.newest, got.spans[0]!.to, got.density[0]!.from], [1000, 2000, 1000, null, 1000, 1000]);
  check(got.gaps[0], { from: 1000, to: 1000, reason: "stopped" });
  check(got.imports.map(({ at, item }) => [at, item.id]), [[1000, "a"]]);
});

test("files are found within a view and near to a moment", () => {
  const one = chart({ imports: [10_000, 20_000, 21_000, 90_000].map((at) => ({ at, item: file(String(at), null) })) });
  check(importsIn(one, { from: 10_000, to: 30_000 }).map(({ at }) => at), [21_000, 20_000, 10_000]);
  check(importsNear(one, 20_600, 1000).map(({ at }) => at), [21_000, 20_000]);
  check(importsNear(one, 50_000, 1000), []);
  check([["a"], ["a", "b", "c"], []].map(nameWords), ["a", "a and 2 more", ""]);
  assert.match(importWords(file("a", null), NOW, NOW), /\d.*, Sound, 2 kB$/);
});

const VIEW = { from: NOW - 1000_000, to: NOW };
const ground = (changes: Partial<Ground> = {}): Ground => ({ view: VIEW, limits: LIMITS, width: 1000, selection: null, ...changes });

test("a mouse plays where it presses, chooses where it drags, pans on the axis", () => {
  const hand = new Gesture();
  hand.down(1, 500, "track", false, ground());
  check(hand.move(1, 502, ground()), null);
  check(hand.up(1, 502, ground()), { play: NOW - 498_000 });
  hand.down(1, 500, "track", false, ground());
  check(hand.move(1, 400, ground()), { selection: { from: NOW - 600_000, to: NOW - 500_000 } });
  check(hand.scrubs, true);
  check(hand.move(1, 700, ground()), { selection: { from: NOW - 500_000, to: NOW - 300_000 } });
  check(hand.up(1, 700, ground()), null);
  check(hand.active, false);
  hand.down(1, 500, "axis", false, ground());
  check(hand.move(1, 600, ground()), { view: { from: VIEW.from - 100_000, to: VIEW.to - 100_000 } });
});

test("a finger plays where it taps, and pans; two pinch, and neither plays", () => {
  const hand = new Gesture();
  hand.down(1, 500, "track", true, ground());
  check(hand.move(1, 506, ground()), null);
  check(hand.up(1, 506, ground()), { play: NOW - 494_000 });
  hand.down(1, 500, "track", true, ground());
  check(hand.move(1, 600, ground()), { view: { from: VIEW.from - 100_000, to: VIEW.to - 100_000 } });
  hand.down(2, 800, "track", true, ground());
  const wish = hand.move(2, 1000, ground());
  check(!!wish && "view" in wish && spanOf(wish.view) < spanOf(VIEW), true);
  check(hand.up(1, 600, ground()), null);
  const rest = hand.move(2, 990, ground());
  check(!!rest && "view" in rest, true);
  check(hand.up(2, 990, ground()), null);
  hand.down(3, 500, "track", true, ground());
  hand.cancel(3);
  check([hand.move(3, 700, ground()), hand.up(3, 700, ground()), hand.active], [null, null, false]);
});

test("an edge of the range is moved, past the other too; the playhead scrubs and plays when let go", () => {
  const hand = new Gesture();
  const selection = { from: NOW - 600_000, to: NOW - 400_000 };
  hand.down(1, 400, "from", true, ground({ selection }));
  check(hand.move(1, 300, ground({ selection })), { selection: { from: NOW - 700_000, to: NOW - 400_000 } });
  check(hand.move(1, 700, ground({ selection })), { selection: { from: NOW - 400_000, to: NOW - 300_000 } });
  check(hand.up(1, 700, ground({ selection })), null);
  hand.down(1, 900, "playhead", true, ground());
  check(hand.move(1, 800, ground()), { scrub: NOW - 200_000 });
  check(hand.up(1, 800, ground()), { play: NOW - 200_000 });
  // Nothing is chosen of the future.
  hand.down(1, 900, "playhead", false, ground({ view: { from: NOW - 500_000, to: NOW + 500_000 } }));
  check(hand.move(1, 900, ground({ view: { from: NOW - 500_000, to: NOW + 500_000 } })), { scrub: NOW });
});

test("an edge moved by keys stays within what there is, and does not pass the other", () => {
  const range = { from: NOW - 2 * HOUR, to: NOW - HOUR };
  check(withEdge(range, "from", NOW - 3 * HOUR, LIMITS), { from: NOW - 3 * HOUR, to: NOW - HOUR });
  check(withEdge(range, "from", NOW, LIMITS), { from: NOW - HOUR - 100, to: NOW - HOUR });
  check(withEdge(range, "from", 0, LIMITS), { from: LIMITS.from, to: NOW - HOUR });
  check(withEdge(range, "to", NOW + HOUR, LIMITS), { from: NOW - 2 * HOUR, to: NOW });
  check(withEdge(range, "to", NOW - 3 * HOUR, LIMITS), { from: NOW - 2 * HOUR, to: NOW - 2 * HOUR + 100 });
});

test("times chosen by hand are whole seconds, tenths where those can be seen", () => {
  check(snap(1234, 1000), 1000);
  check(snap(1234, 1), 1200);
  check([100_000, HOUR, DAY, 366 * DAY].map(keyStep), [1000, 60_000, 900_000, DAY]);
});

test("keys of the timeline leave those of the browser alone", () => {
  const key = (name: string, changes = {}) => timelineCommand({ ...{ key: name, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false }, ...changes });
  check(key("+"), { do: "zoom", factor: 0.5 });
  check(key("-"), { do: "zoom", factor: 2 });
  check(key("+", { ctrlKey: true }), null);
  check(key("ArrowLeft", { shiftKey: true }), { do: "step", by: -10 });
  check(key("Home"), { do: "oldest" });
  check(key("I", { shiftKey: true }), { do: "begin" });
  check(key("Tab"), null);
});

test("a moment is said with what is there, and its zone where the clock shows it twice", () => {
  const gap = { from: 10_000, to: 20_000, reason: "camera_gone" };
  const one = chart({ spans: [{ from: 0, to: 10_000 }, { from: 20_000, to: 100_000 }], gaps: [gap], losses: [{ from: 30_000, to: 40_000 }] });
  const said = (time: number): string => stateAt(one, time, 200_000);
  check([5000, 15_000, 35_000, 50_000, 150_000, 199_000].map(said), [
    "recorded",
    "no recording: the camera was away",
    "damaged on the disk",
    "recorded",
    "",
    "now",
  ]);
  check(stateAt(null, 0, 200_000), "");
  check(marksIn(one, { from: 0, to: 35_000 }).map(({ kind, words }) => `${kind}: ${words}`), ["loss: damaged on the disk", "gap: the camera was away"]);
  check(marksIn(one, { from: 0, to: 9000 }), []);
  const [first, second] = [at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z")].map(momentWords);
  assert.notEqual(first, second);
  assert.doesNotMatch(momentWords(NOW), /GMT|CET/);
});

test("what is on view is named as the calendar does", () => {
  assert.match(viewWords(period("day", AUTUMN), NOW), /25.*\(25 hours: the clocks change\)$/);
  assert.match(viewWords(period("day", SPRING), NOW), /29.*\(23 hours: the clocks change\)$/);
  assert.doesNotMatch(viewWords(period("day", AUTUMN + DAY), NOW), /hours/);
  assert.match(viewWords(period("month", AUTUMN), NOW), /October 2026|2026/);
  assert.match(viewWords({ from: at("2025-12-01T00:00:00"), to: NOW }, NOW), /2025.*2026/);
  assert.doesNotMatch(viewWords({ from: NOW - 5 * HOUR, to: NOW }, NOW), /2026/);
  check([400, 12_000, 200_000, 125 * MINUTE, 2 * HOUR, 3 * DAY].map(lengthWords), ["0.4 s", "12 s", "3 min", "2 h 5 min", "2 h", "3 days"]);
});

test("a typed time is as exact as it has to be", () => {
  check(inputValue(at("2026-05-01T12:00:00")), "2026-05-01T12:00");
  check(inputValue(at("2026-05-01T12:00:07")), "2026-05-01T12:00:07");
  check(inputValue(at("2026-05-01T12:00:07.5")), "2026-05-01T12:00:07.500");
});

const store = (changes: Partial<Store["forecast"]> = {}, rest: Partial<Store> = {}): Store => ({
  ...{ state: "recording", reason: null, cameras: [], sources: [] },
  disk: { total_bytes: 1e12, free_bytes: 110e9, keep_free_bytes: 50e9 },
  recordings: { bytes: 600e9, quota_bytes: null, oldest: new Date(NOW - 40 * DAY).toISOString(), newest: null },
  forecast: { state: "filling", bytes_per_day: 20e9, full_at: new Date(NOW + 3 * DAY).toISOString(), days_left: 3, reach_days: 43, ...changes },
  ...rest,
});

test("the forecast says what comes when", () => {
  const said = (one: Store): string => forecastWords(one, NOW).join(" ");
  assert.match(said(store()), /^At this rate the disk is full on .*24.*; from then on the oldest recordings go\. Recordings reach back 40 days, and will reach back 43 days\.$/);
  assert.match(said(store({ full_at: new Date(NOW + HOUR).toISOString() })), /full today at/);
  assert.match(said(store({ full_at: "2028-01-01T12:00:00Z" })), /2028/);
  assert.doesNotMatch(said(store()), /2026/);
  check(said(store({ full_at: null, days_left: null, reach_days: null })), "At this rate the disk does not fill. Recordings reach back 40 days.");
  check(said(store({ state: "full", reach_days: 12.3 })), "The disk is full: the oldest recordings go to make room. Recordings reach back 12 days.");
  const limited = store({ state: "steady", full_at: null, days_left: null, reach_days: 2 });
  check(said(limited), "The oldest recordings go as their cameras' limits say; the disk does not fill. Recordings reach back 2 days.");
  check(plotOf(limited)!.full, null);
  check(said(store({ state: "unknown" })), "There is no forecast: it takes ten minutes of recording within the last day.");
  assert.match(said(store({}, { state: "paused", reason: "the disk is full" })), /^Recording is paused: The disk is full\. At this rate/);
  const quota = store({ state: "full", reach_days: null });
  quota.recordings.quota_bytes = 610e9;
  check(roomOf(quota), 610e9);
  check(said(quota), "The space for recordings is full: the oldest recordings go to make room.");
});

test("what storing everything once saves is said where there is something", () => {
  const said = (...sources: Store["sources"]): string | null => storedWords(store({}, { sources }));
  const recordings = { source: "recordings" as const, logical_bytes: 400e9, unique_bytes: 400e9 };
  const clips = { source: "clips" as const, logical_bytes: 2e9, unique_bytes: 0 };
  const uploads = { source: "uploads" as const, logical_bytes: 6e9, unique_bytes: 2e9 };
  check(said(recordings), null);
  check(said(recordings, clips), "2 GB of clips take no room of their own.");
  check(said(recordings, clips, uploads), "8 GB of clips and files take 2 GB: 75 % saved by storing everything once.");
  check(said({ ...uploads, unique_bytes: 5.99e9 }), "6 GB of clips and files take 6 GB.");
  check(said({ ...uploads, unique_bytes: 1 }), "6 GB of clips and files take 1 bytes: 99 % saved by storing everything once.");
});

test("the disk's line rises to its room and stays there", () => {
  check(roomOf(store()), 660e9);
  const plot = plotOf(store())!;
  check(plot.line.map(({ y }) => Math.round(y * 100)), [91, 100, 100]);
  near(plot.days * plot.full!, 3, 0.001);
  check(plotOf(store({ state: "full", days_left: 0 }))!.full, 0);
  check(plotOf(store({ full_at: null, days_left: null }))!.full, null);
  check(plotOf(store({ state: "unknown" })), null);
  check([0, 640_000, 1.34e9, 20.7e9, 999.7e9].map(bytesWords), ["0 bytes", "640 kB", "1.3 GB", "21 GB", "1 TB"]);
  check([0.2, 1, 12.3, 100, 800].map(daysWords), ["5 hours", "24 hours", "12 days", "3 months", "2 years"]);
});

test("a chosen range is saved as a file, or as a time-lapse that fits it", () => {
  const from = Date.UTC(2026, 10, 21, 10);
  const file = new URL(clipFilePath("front", { from, to: from + 90_500 }), "http://perch");
  assert.equal(file.pathname, "/recordings/front/clip.mp4");
  assert.equal(file.searchParams.get("to"), "2026-11-21T10:01:30.500Z");
  const length = (span: number): string | null =>
    new URL(timelapsePath("front", { from, to: from + span }), "http://perch").searchParams.get("length");
  assert.deepEqual([MINUTE, 10 * MINUTE, HOUR, DAY].map(length), ["5", "10", "60", "60"]);
});
