// The list of clips, against a server that takes its time, and a timeline that knows more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pass, settled } from "./browser.js";
import { Refusal, type Chart, type Clip } from "../src/archive.js";
import { ClipList } from "../src/clip-list.js";

function check<T>(got: T, expected: T): void {
  assert.deepEqual(got, expected);
}

const time = (second: number): string => new Date(second * 1000).toISOString();
/** A clip of ten seconds that begins at its number. */
const clip = (id: number): Clip => ({ ...{ id, camera: "test", name: `clip ${id}`, bytes: 1, made: time(0) }, from: time(id), to: time(id + 10) });
const chart = (ids: number[], changes: Partial<Chart> = {}): Chart => ({
  ...{ camera: "test", from: 0, to: 100_000, resolution: 10_000, oldest: 0, newest: 100_000, spans: [], gaps: [], losses: [], imports: [], density: [] },
  clips: ids.map((id) => ({ id, name: "", from: id * 1000, to: id * 1000 + 10_000 })),
  ...changes,
});

interface Asked {
  camera: string;
  limit: number;
  before: string | null;
  answer: (told: number[] | Error, next?: string) => Promise<void>;
}

/** A list whose requests are answered by hand. */
function rig() {
  const asked: Asked[] = [];
  const list = new ClipList(
    (camera, limit, before) =>
      new Promise((resolve, reject) => {
        const answer = (told: number[] | Error, next: string | null = null): Promise<void> => {
          if (told instanceof Error) reject(told);
          else resolve({ clips: told.sort((a, b) => b - a).map(clip), next });
          return settled();
        };
        asked.push({ camera, limit, before, answer });
      }),
  );
  const shown = (): string => list.clips.value?.map(({ id }) => id).join() ?? "unknown";
  return { list, asked, shown };
}

test("clips are asked for again when the timeline shows others, and only then", async () => {
  const { list, asked, shown } = rig();
  list.watch("test");
  list.compare(chart([1]));
  check([asked.length, shown()], [1, "unknown"]);
  await asked[0]!.answer([1, 30, 200]);
  check(shown(), "200,30,1");
  list.compare(chart([30, 1]));
  list.compare(chart([1], { to: 20_000 }));
  list.compare(chart([], { camera: "other" }));
  list.compare(null);
  check(asked.length, 1);
  // One more, made elsewhere; then one less.
  list.compare(chart([1, 30, 50]));
  check(asked.length, 2);
  await asked[1]!.answer([1, 30, 50, 200]);
  check(shown(), "200,50,30,1");
  list.compare(chart([1, 50]));
  await asked[2]!.answer([1, 50, 200]);
  check(shown(), "200,50,1");
});

test("of more clips than a chart has, those that it has are compared", async () => {
  const { list, asked } = rig();
  const upTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1);
  list.watch("test");
  await asked[0]!.answer(upTo(1200));
  const all = { to: 10_000_000 };
  list.compare(chart(upTo(1000), all));
  list.compare(chart(upTo(1000).reverse(), all));
  check(asked.length, 1);
  // One of them was deleted elsewhere: another moved up.
  list.compare(chart(upTo(1001).slice(1), all));
  check(asked.length, 2);
});

test("of a list that goes on, what is known of it is compared, and more of it comes when it is asked for", async () => {
  const { list, asked, shown } = rig();
  const more = (): unknown => list.more().catch((error: unknown) => error);
  list.watch("test");
  await asked[0]!.answer([40, 30, 20], "behind 20");
  check([shown(), list.hasMore.value], ["40,30,20", true]);
  // What starts with the last that is known, or before, may be there or not.
  list.compare(chart([40, 30, 20, 10, 5]));
  list.compare(chart([40, 30]));
  check(asked.length, 1);
  const refused = more();
  await asked[1]!.answer(new Refusal("the index is being made again", 503));
  check([String(await refused), shown(), list.hasMore.value], ["Error: the index is being made again", "40,30,20", true]);
  void more();
  check([asked[2]!.limit, asked[2]!.before], [50, "behind 20"]);
  // One that it holds was made here meanwhile: the answer may not know it.
  list.add(clip(10));
  await asked[2]!.answer([5], "behind 5");
  check([shown(), asked[3]!.before], ["40,30,20,10", "behind 20"]);
  await asked[3]!.answer([10, 5], "behind 5");
  check([shown(), list.hasMore.value], ["40,30,20,10,5", true]);
  list.compare(chart([40, 30, 20, 5, 10]));
  check(asked.length, 4);
  list.compare(chart([40, 30, 20, 5]));
  check([asked.length, asked[4]!.limit, asked[4]!.before], [5, 50, null]);
  await asked[4]!.answer([40, 30, 20, 5, 1]);
  check([shown(), list.hasMore.value], ["40,30,20,5,1", false]);
  await list.more();
  check(asked.length, 5);
});

test("earlier clips and all of them may be asked for at once, and either answered first", async () => {
  const { list, asked, shown } = rig();
  list.watch("test");
  await asked[0]!.answer([40, 30], "behind 30");
  void list.more();
  list.compare(chart([50, 40, 30], { from: 35_000 }));
  check(asked.slice(1).map(({ before }) => before), ["behind 30", null]);
  await asked[2]!.answer([50, 40], "behind 40");
  check([shown(), list.hasMore.value], ["50,40,30", true]);
  await asked[1]!.answer([20], "behind 20");
  check(shown(), "50,40,30,20");
  // The other way round: what came meanwhile stays.
  void list.more();
  list.compare(chart([60, 50, 40, 30]));
  await asked[3]!.answer([10], "behind 10");
  await asked[4]!.answer([60, 50, 40, 30], "behind 30");
  check([shown(), list.hasMore.value], ["60,50,40,30,20,10", true]);
  // Some of it were deleted elsewhere, and the list goes on behind others: it is asked for there.
  void list.more();
  list.compare(chart([60, 50, 40, 30]));
  check(asked[5]!.before, "behind 10");
  await asked[6]!.answer([60, 50, 40, 30, 9], "behind 9");
  await asked[5]!.answer([9, 8], "behind 8");
  check(asked[7]!.before, "behind 9");
  await asked[7]!.answer([8]);
  check([shown(), list.hasMore.value], ["60,50,40,30,9,8", false]);
});

test("what another camera's clips were asked for leaves no trace", async () => {
  const { list, asked, shown } = rig();
  list.watch("test");
  await asked[0]!.answer([40], "behind 40");
  const late = list.more();
  list.watch("other");
  await asked[1]!.answer(new Error("no network"));
  await late;
  check([list.trouble.value, shown()], ["", "unknown"]);
  await asked[2]!.answer([]);
  check([shown(), list.hasMore.value], ["", false]);
});

test("a list asks again for as many as it shows, and forgets of one camera how far that of another goes", async () => {
  const { list, asked, shown } = rig();
  list.watch("test");
  await asked[0]!.answer(Array.from({ length: 70 }, (_, at) => at + 1), "further");
  list.compare(chart([]));
  check(asked[1]!.limit, 70);
  list.watch("other");
  check([shown(), list.hasMore.value, asked[2]!.limit], ["unknown", false, 50]);
  await asked[2]!.answer([]);
  list.compare(chart([1], { camera: "other" }));
  check(asked.length, 4);
});

test("clips that were not answered for are asked for again, and the list stays meanwhile", async () => {
  const { list, asked, shown } = rig();
  list.watch("test");
  await asked[0]!.answer(new Refusal("the index is being made again", 503));
  check([list.trouble.value, asked.length], ["the index is being made again", 1]);
  await pass(4500);
  await asked[1]!.answer([1]);
  check([list.trouble.value, shown()], ["", "1"]);
  list.compare(chart([1, 2]));
  await asked[2]!.answer(new Error("no network"));
  check([list.trouble.value, shown()], ["no answer; it is asked again by itself", "1"]);
  list.watch("other");
  check([list.trouble.value, shown(), asked.at(-1)!.camera], ["", "unknown", "other"]);
  await asked.at(-1)!.answer([]);
  await pass(10_000);
  check([asked.length, shown()], [4, ""]);
});

test("what was made or deleted here is not undone by an answer from before", async () => {
  const { list, asked, shown } = rig();
  list.watch("test");
  await asked[0]!.answer([1, 2]);
  list.compare(chart([1, 2, 3]));
  list.remove(clip(2));
  await asked[1]!.answer([1, 2, 3]);
  check([shown(), asked.length], ["1", 3]);
  await asked[2]!.answer([1, 3]);
  check(shown(), "3,1");
  list.remove(clip(3));
  list.add(clip(50));
  list.add(clip(7));
  check(shown(), "50,7,1");
  // Another camera came on view before it was kept.
  list.add({ ...clip(60), camera: "other" });
  check([shown(), asked.length], ["50,7,1", 3]);
});
