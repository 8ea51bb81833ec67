// The logic of the page that needs no browser: words, ranges, keys, qualities, the clock, the pace.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Camera, Problem, Rung } from "../src/api.js";
import { recordingPath } from "../src/api.js";
import { cameraOfHash, choose } from "../src/choice.js";
import { ServerClock } from "../src/clock.js";
import { commandFor, repeats, seekStep, type KeyPress } from "../src/keys.js";
import { Margin, pace } from "../src/pace.js";
import { Press } from "../src/press.js";
import { listedChoice, qualityChoices, rungOfAddress, unknownParts, type Level } from "../src/quality.js";
import { inputValue, presetRange, SPAN_MAX, typedRange } from "../src/range.js";
import {
  asTold,
  bitrateWords,
  cameraNotice,
  changeWords,
  delayWords,
  modeWords,
  positionWords,
  problemWords,
  proofWords,
  reasonWords,
  recordingWords,
  sentence,
  spokenDelay,
} from "../src/words.js";

function check<T>(got: T, expected: T): void {
  assert.deepEqual(got, expected);
}

function camera(changes: Partial<Camera> = {}): Camera {
  return {
    id: "test",
    name: "Test scene",
    state: "live",
    mode: null,
    encoder: null,
    rungs: [],
    recording: { rungs: [], state: "recording" },
    sound: true,
    ...changes,
  };
}

const rung = (name: string, height: number, running = true): Rung => ({
  ...{ name, height, running, width: height * 2 },
  ...{ bitrate_bps: height * 1000, encoder: "x264enc" },
});

test("figures are short and never negative", () => {
  check(delayWords(1234), "1.2 s");
  check(delayWords(-80), "0.0 s");
  check(delayWords(14_400), "14 s");
  check(delayWords(200_000), "3 min");
  check(spokenDelay(1234), "1 s");
  check(spokenDelay(200_000), "3 min");
  check(bitrateWords(500_000), "500 kb/s");
  check(bitrateWords(4_000_000), "4 Mb/s");
  check(bitrateWords(2_550_000), "2.5 Mb/s");
  check(positionWords(7), "0:07");
  check(positionWords(3723.9), "1:02:03");
  check(positionWords(Number.NaN), "0:00");
  check(modeWords({ width: 1280, height: 720, format: "NV12", fps: 29.97 }), "1280×720, 29.97 fps, NV12");
});

test("reasons become sentences", () => {
  check(sentence("/dev/video0 is busy"), "/dev/video0 is busy.");
  check(sentence("unplugged from usb 1-2"), "Unplugged from usb 1-2.");
  check(sentence("  What now?  "), "What now?");
  check(sentence(""), "");
});

test("a camera that is away says what to do, a live one says nothing", () => {
  check(cameraNotice(camera()), null);
  const gone = cameraNotice(camera({ state: "vanished", reason: "unplugged" }))!;
  check(gone.title, "Waiting for the camera to come back");
  check(gone.detail, "Unplugged. The view returns by itself.");
  assert.match(cameraNotice(camera({ state: "failed" }))!.detail, /perch doctor/);
});

test("only what changed is said", () => {
  const [door, garden] = [camera({ id: "door", name: "Door" }), camera({ id: "garden", name: "Garden" })];
  check(changeWords([door, garden], [door, garden]), []);
  check(changeWords([door], [{ ...door, state: "vanished" }]), ["Door: Waiting for the camera to come back."]);
  check(changeWords([{ ...door, state: "vanished" }], [door]), ["Door is live."]);
  check(changeWords([door], [garden]), ["New camera: Garden, live.", "Door is no longer listed."]);
  check(changeWords([door], [door, { ...garden, state: "starting" }]), ["New camera: Garden."]);
});

test("a camera that fails is told of once, however often it starts again, and once more when it is live", () => {
  const door = camera({ id: "door", name: "Door" });
  const said: string[][] = [];
  let told: Camera[] = [door];
  for (const state of ["starting", "failed", "starting", "failed", "starting", "starting", "live", "starting", "live"] as const) {
    const now = asTold(told, [{ ...door, state }]);
    said.push(changeWords(told, now));
    told = now;
  }
  check(said.flat(), ["Door: This camera cannot be used.", "Door is live."]);
  check([said[1]!.length, said[6]!.length], [1, 1]);
});

test("many changes at once are said as one", () => {
  const all = (state: Camera["state"], count: number): Camera[] => Array.from({ length: count }, (_, at) => camera({ id: `c${at}`, name: `Camera ${at}`, state }));
  check(changeWords(all("live", 3), all("vanished", 3)).length, 3);
  const away = [...all("vanished", 4), camera({ id: "door" })];
  check(changeWords([...all("live", 4), camera({ id: "door" })], away), ["4 cameras changed. 1 of 5 is live."]);
});

test("the view stays with a camera though others come and go", () => {
  const [door, garden] = [camera({ id: "door" }), camera({ id: "garden" })];
  const away = (one: Camera): Camera => ({ ...one, state: "vanished" });
  check(choose([], "", ""), "");
  check(choose([away(door)], "", ""), "");
  check(choose([away(door), garden], "", ""), "garden");
  check(choose([door, garden], "", "garden"), "garden");
  check(choose([door, away(garden)], "", "garden"), "garden");
  check(choose([door, away(garden)], "garden", ""), "garden");
  // Gone from the list: the next one, and no way back by itself unless the viewer asked for it.
  check(choose([door], "", "garden"), "door");
  check(choose([door, garden], "", "door"), "door");
  check(choose([door, garden], "garden", "door"), "garden");
  check(choose([door], "no-such", ""), "door");
});

test("an address names a camera, whatever stands in it", () => {
  check(cameraOfHash("#garden"), "garden");
  check(cameraOfHash("#/garden"), "garden");
  check(cameraOfHash("#%"), "%");
  check(cameraOfHash(""), "");
});

test("a problem of the box is said once, though its figures change", () => {
  const full = { code: "disk_full", detail: "the disk is full: 12 MB left" };
  check(problemWords([], [full, { code: "camera_vanished", detail: "door: unplugged" }]), ["The disk is full: 12 MB left."]);
  check(problemWords([full], [{ ...full, detail: "the disk is full: 3 MB left" }]), []);
  check(problemWords([full], [full, { ...full, detail: "the mirror is full" }]), ["The mirror is full."]);
  check(problemWords([full], []), []);
  const shed = (quality: string): Problem => ({ code: "rungs_shed", detail: `door: ${quality} paused` });
  check(problemWords([shed("720p")], [shed("720p")]), []);
  check(problemWords([shed("720p")], [shed("1080p")]), ["Door: 1080p paused."]);
});

test("what is recorded, or why not", () => {
  const rungs = [rung("low", 480), rung("high", 1080)];
  const words = (recording: Camera["recording"]): string => recordingWords(camera({ rungs, recording }));
  check(words({ state: "recording", rungs: ["high"] }), "1080p");
  check(words({ state: "recording", rungs: [] }), "On");
  check(words({ state: "off", rungs: [] }), "Off");
  check(words({ state: "waiting", rungs: ["high"] }), "Waiting for the camera.");
  check(words({ state: "waiting", reason: "no picture yet", rungs: ["high"] }), "Waiting for the camera. No picture yet.");
  const away: Partial<Camera> = { state: "vanished", reason: "unplugged", recording: { state: "waiting", reason: "unplugged", rungs: [] } };
  check(recordingWords(camera(away)), "Waiting for the camera.");
  check(words({ state: "paused", reason: "the disk is full", rungs: ["high"] }), "Paused. The disk is full.");
  check(words({ state: "failed", rungs: [] }), "Failed.");
});

test("why nothing was recorded is said in words, also for a reason that is new", () => {
  check(reasonWords("disk_full"), "the disk was full");
  check(reasonWords("sun_spots"), "sun spots");
});

test("a file that proves nothing is said to, and why", () => {
  check([proofWords({}), proofWords({ proven: true, unproven: null })], ["", ""]);
  check(proofWords({ proven: false, unproven: null }), "The file carries no proof that this box recorded it.");
  check(
    proofWords({ proven: false, unproven: "the last minute is not signed yet" }),
    "The file carries no proof that this box recorded it: the last minute is not signed yet.",
  );
});

test("rungs are named by their address", () => {
  check(rungOfAddress("http://box:8080/live/test/very_low/index.m3u8"), "very_low");
  check(rungOfAddress("/recordings/test/high/index.m3u8?from=2026-01-01T00%3A00%3A00Z&to=a/b"), "high");
  check(rungOfAddress("index.m3u8"), "");
});

test("the quality menu lists what can be chosen and what is paused, highest first", () => {
  const levels: Level[] = [
    { name: "low", height: 480, bitrate: 1_300_000, sound: true },
    { name: "medium", height: 720, bitrate: 2_600_000, sound: true },
  ];
  const rungs = [rung("low", 480), rung("medium", 720, false), rung("high", 1080, false)];
  check(
    qualityChoices(levels, rungs, levels[0]!).map((c) => [c.value, c.label, c.detail, c.disabled]),
    [
      ["auto", "Auto", "480p", false],
      ["high", "1080p", "paused", true],
      ["medium", "720p", "paused", true],
      ["low", "480p", "480 kb/s", false],
    ],
  );
  check(qualityChoices(levels, [], null)[1]!.detail, "2.6 Mb/s");
});

test("what runs that the playlist did not list calls for another reading", () => {
  const levels: Level[] = [{ name: "low", height: 480, bitrate: 1_300_000, sound: false }];
  const unknown = (sound: boolean, ...rungs: Rung[]): string[] => unknownParts(levels, camera({ sound, rungs }));
  check(unknown(false, rung("low", 480), rung("high", 1080, false)), []);
  check(unknown(false, rung("low", 480), rung("high", 1080)), ["high"]);
  check(unknown(true, rung("low", 480)), ["sound"]);
  levels[0]!.sound = true;
  check(unknown(true, rung("low", 480)), []);
});

test("a chosen quality that is not listed counts as Auto", () => {
  const levels: Level[] = [{ name: "high", height: 1080, bitrate: 1, sound: true }];
  check(listedChoice(levels, "high"), "high");
  check(listedChoice(levels, "low"), null);
  check(listedChoice(levels, null), null);
});

test("a typed range is read, or refused with the reason", () => {
  const now = new Date("2026-05-01T12:00").getTime();
  const at = (text: string): number => new Date(text).getTime();
  check(typedRange("2026-05-01T10:00", "2026-05-01T10:30", now), { from: at("2026-05-01T10:00"), to: at("2026-05-01T10:30") });
  check(typedRange("2026-05-01T11:59", "2026-05-01T13:00", now), { from: at("2026-05-01T11:59"), to: now });
  for (const [from, to] of [
    ["", "2026-05-01T10:00"],
    ["2026-05-01T10:00", ""],
    ["2026-05-01T10:00", "2026-05-01T10:00"],
    ["2026-05-01T13:00", "2026-05-01T14:00"],
    ["2026-04-01T10:00", "2026-05-01T10:00"],
  ] as const) {
    check(typeof typedRange(from, to, now), "string");
  }
  check(presetRange(SPAN_MAX, now), { from: now - SPAN_MAX, to: now });
  check(new Date(inputValue(now)).getTime(), now);
  check(recordingPath("test", 0, 1000), "/recordings/test/master.m3u8?from=1970-01-01T00%3A00%3A00.000Z&to=1970-01-01T00%3A00%3A01.000Z");
});

const NO_KEY: KeyPress = {
  ...{ key: "", ctrlKey: false, metaKey: false, altKey: false },
  ...{ focus: "body", inPlayer: false },
};

test("a key held down moves on, and toggles nothing to and fro", () => {
  const goesOn = (key: string) => repeats(commandFor({ ...NO_KEY, key, inPlayer: true })!);
  check([" ", "f", "m", "t", "s", "1"].filter(goesOn), []);
  check(["ArrowLeft", "ArrowUp"].filter(goesOn), ["ArrowLeft", "ArrowUp"]);
});

test("the seek bar moves by what a recording's length wants, and knows its ends itself", () => {
  const step = (key: string, changes: Partial<KeyPress> = {}) => seekStep({ ...NO_KEY, key, ...changes });
  check(["ArrowLeft", "ArrowRight", "PageUp", "Home", "End", "Tab"].map((key) => step(key)), [-10, 10, 60, null, null, null]);
  check(step("ArrowLeft", { altKey: true }), null);
});

test("a key does its work only where nobody else needs it", () => {
  const press = (key: string, changes: Partial<KeyPress> = {}) =>
    commandFor({ ...NO_KEY, key, ...changes });
  check(press(" "), { do: "play-pause" });
  check(press(" ", { focus: "button" }), null);
  check(press("m"), { do: "mute" });
  check(press("M"), { do: "mute" });
  check(press("m", { ctrlKey: true }), null);
  check(press("f", { focus: "input" }), null);
  check(press("ArrowUp"), null);
  check(press("ArrowUp", { inPlayer: true }), { do: "volume", by: 0.1 });
  check(press("ArrowLeft"), { do: "seek", by: -10 });
  check(press("3"), { do: "camera", index: 2 });
  check(press("0"), null);
  check(press("?"), { do: "help" });
});

test("the server's clock is believed where the answer came fastest", () => {
  const clock = new ServerClock();
  check(clock.offset, null);
  clock.sample(1000, 1400, 6200);
  check(clock.offset, 5000);
  clock.sample(2000, 2010, 7105);
  check(clock.offset, 5100);
  clock.sample(3000, 4000, 99_000);
  check(clock.offset, 5100);
  clock.sample(5000, 5002, Number.NaN);
  clock.sample(5000, 4000, 9000);
  check(clock.offset, 5100);
  for (let at = 0; at < 8; at++) clock.sample(6000, 6020, 6010);
  check(clock.offset, 0);
});

test("the pace closes the distance, spares a thin buffer, and settles", () => {
  check(pace(0.8, 1.2, 1), 1.1);
  check(pace(0.2, 0.9, 1), 1.04);
  check(pace(0.08, 0.9, 1), 1);
  check(pace(0.08, 0.9, 1.04), 1.04);
  check(pace(0.02, 0.9, 1.04), 1);
  check(pace(0.8, 0.2, 1.1), 1);
  check(pace(-0.5, 0.2, 1), 0.97);
  check(pace(-0.1, 0.5, 1), 1);
});

test("stops of the picture add to the distance, and calm takes that back, later where it was in vain", () => {
  const margin = new Margin();
  const lower = (now: number): number => {
    margin.lower(now);
    return margin.seconds;
  };
  for (let stop = 0; stop < 20; stop++) margin.raise(1000);
  check(margin.seconds, 2);
  check([10_999, 11_000, 20_999, 21_000, 31_000, 41_000, 51_000].map(lower), [2, 1, 1, 0.5, 0.25, 0, 0]);
  margin.raise(60_000);
  check([69_000, 70_000].map(lower), [0.25, 0]);
  margin.raise(75_000);
  check([85_000, 94_999, 95_000].map(lower), [0.25, 0.25, 0]);
  margin.raise(96_000);
  check([135_999, 136_000].map(lower), [0.25, 0]);
  // A whole calm without any: the next one is as short as the first.
  check([176_000].map(lower), [0]);
  margin.raise(180_000);
  check([190_000].map(lower), [0]);
});

test("a finger that finds no controls brings them and presses none; every other press counts", () => {
  const press = new Press();
  const wakes = (pointerType: string, hidden: boolean, detail: number): boolean => {
    press.begin(pointerType, hidden);
    return press.onlyWakes(detail);
  };
  check(wakes("touch", true, 1), true);
  check(wakes("touch", false, 1), false);
  check(wakes("touch", true, 0), false);
  check(wakes("mouse", true, 1), false);
  check(press.touch, false);
});
