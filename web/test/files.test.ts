// Files and their uploads: what is said of them, which go when, what a browser remembers of them.
import "./berlin.js";
import { pass, settled } from "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import type { PreviousUpload } from "tus-js-client";
import { Refusal } from "../src/archive.js";
import { damageWords, itemWords, otherWords, sendingWords } from "../src/filewords.js";
import { renewed, type Item, type ItemPage, type Upload } from "../src/items.js";
import { Listed } from "../src/listed.js";
import { markOf, Remembered } from "../src/remembered.js";
import { Speed } from "../src/speed.js";
import { isPassing, keepUpload, reasonOf } from "../src/tus.js";
import { Uploads, type Heard, type Sending } from "../src/uploads.js";

function check<T>(got: T, expected: T): void {
  assert.deepEqual(got, expected);
}

const NOW = Date.parse("2026-11-21T16:00:00Z");
const item = (id: string, changes: Partial<Item> = {}): Item => ({
  ...{ id, name: `${id}.mp4`, media: "video", source: "upload", camera: null, at: null },
  ...{ made: new Date(NOW - 3_600_000).toISOString(), bytes: 1.24e9, new_bytes: 1e9, damaged: false, damaged_bytes: 0, ...changes },
});
const upload = (changes: Partial<Upload> = {}): Upload => ({
  ...{ id: "1", state: "uploading", kind: "single", name: "a.mp4", bytes: 3e6, length: 10e6, ...changes },
});
const ids = ({ items, next }: ItemPage): unknown => [items.map(({ id }) => id).join(""), next];

test("a file is told by its kind, size, origin and camera", () => {
  const told = (changes: Partial<Item>, camera = ""): string => itemWords(item("a", changes), camera, NOW).replaceAll(/\d\d:\d\d( [AP]M)?/g, "T");
  check(told({}), "Video, 1.2 GB, uploaded T");
  check(told({ media: "still", source: "import", new_bytes: 0 }, "Garden"), "Picture, 1.2 GB, imported T, Garden, all of it was stored already");
  check(told({ media: "other", bytes: 0, new_bytes: 0 }), "File, 0 bytes, uploaded T");
});

test("a file that the disk has damaged says so, and what mends it", () => {
  check(damageWords(item("a")), "");
  check(
    damageWords(item("a", { damaged: true, damaged_bytes: 64_000 })),
    "Damaged on the disk: 64 kB of 1.2 GB cannot be read. Uploading the same file again mends it.",
  );
});

test("an upload says how far it is and what is in its way", () => {
  const told = (changes: Partial<Sending>): string =>
    sendingWords({ key: 1, name: "a", bytes: 10e6, sent: 2e6, phase: "sending", reason: "", left: null, upload: null, mark: "", ...changes });
  check(told({}), "2 MB of 10 MB");
  check(told({ left: 240_000 }), "2 MB of 10 MB, 4 min left");
  check(told({ phase: "queued", sent: 0 }), "10 MB; waits for its turn");
  check(told({ phase: "broken" }), "2 MB of 10 MB. The connection broke; it goes on by itself.");
  check(told({ phase: "storing", sent: 5e6 }), "Being stored, 50 %");
  check(told({ phase: "storing", sent: 0, reason: "the disk is full" }), "Not stored yet: the disk is full. It is tried again by itself.");
  check(told({ phase: "failed", reason: "the disk is full" }), "The disk is full.");
  check(told({ phase: "refused", reason: "it is no media" }), "Not stored: it is no media.");
  check(otherWords(upload(), true), "3 MB of 10 MB are there. Choose the same file again, and it goes on.");
  check(otherWords(upload({ length: null }), false), "3 MB are there, from another browser or program.");
  check(otherWords(upload({ state: "importing" }), true), "Being stored");
  check(otherWords(upload({ state: "importing", bytes: 10e6, imported_bytes: 4e6 }), true), "Being stored, 40 %");
  check(otherWords(upload({ state: "importing", reason: "the disk is full" }), true), "Not stored yet: the disk is full. It is tried again by itself.");
  check(otherWords(upload({ state: "refused", reason: "it is no media" }), true), "Not stored: it is no media.");
});

test("the newest files take the place of what they cover, and older ones stay", () => {
  const page = (text: string, next: string | null): ItemPage => ({ items: [...text].map((id) => item(id)), next });
  check(ids(renewed(page("cba", null), page("dcba", null))), ["dcba", null]);
  check(ids(renewed(page("edcba", null), page("fed", "d"))), ["fedcba", null]);
  check(ids(renewed(page("fedc", "c"), page("gfe", "e"))), ["gfedc", "c"]);
  check(ids(renewed(page("fed", "d"), page("fe", null))), ["fe", null]);
  // More came than a page holds: what lies between is not known.
  check(ids(renewed(page("cba", null), page("zyx", "x"))), ["zyx", "x"]);
  check(ids(renewed(page("cba", "a"), page("cba", "a"))), ["cba", "a"]);
});

test("what an upload still takes is told after some seconds, and anew after it went back", () => {
  const speed = new Speed();
  speed.sample(0, 0);
  check(speed.left(100), null);
  speed.sample(2000, 10);
  check(speed.left(100), null);
  speed.sample(4000, 20);
  check(speed.left(100), 16_000);
  for (let time = 5000; time <= 40_000; time += 1000) speed.sample(time, 20);
  check(speed.left(100), null);
  speed.sample(41_000, 5);
  check(speed.left(100), null);
});

/** Uploads whose sending and importing is done by hand. */
function rig() {
  const started: string[] = [];
  const paused: string[] = [];
  const begun: (string | null)[] = [];
  const heard = new Map<string, Heard>();
  const said: string[] = [];
  const stored: string[] = [];
  const deleted: string[] = [];
  const answers = new Map<string, Upload | Error>();
  const uploads = new Uploads({
    carry: (file, hear, upload) => {
      begun.push(upload);
      heard.set(file.name, hear);
      return { start: () => started.push(file.name), pause: () => paused.push(file.name) };
    },
    fetchUpload: async (id) => {
      const answer = answers.get(id) ?? new Error("no answer");
      if (answer instanceof Error) throw answer;
      return answer;
    },
    deleteUpload: async (id) => {
      if (id === "held") throw new Refusal("it is being imported", 409);
      if (id === "slow") await new Promise<void>((resolve) => void window.setTimeout(resolve, 2000));
      deleted.push(id);
    },
    say: (words) => said.push(words),
    stored: (id) => stored.push(id),
  });
  const phases = (): string => uploads.all.peek().map(({ name, phase }) => `${name} ${phase}`).join(", ");
  const key = (name: string): number => uploads.all.peek().find((one) => one.name === name)!.key;
  uploads.add(["a", "b", "c"].map((name) => new File(["0123456789"], name)));
  return { uploads, started, paused, begun, heard, said, stored, deleted, answers, phases, key };
}

test("two uploads go at a time, and what stops makes room for the next", () => {
  const { uploads, started, paused, heard, phases, key } = rig();
  check(phases(), "a sending, b sending, c queued");
  uploads.pause(key("a"));
  check(phases(), "a paused, b sending, c sending");
  uploads.resume(key("a"));
  check(phases(), "a queued, b sending, c sending");
  heard.get("b")!.broken();
  check(phases(), "a queued, b broken, c sending");
  heard.get("c")!.failed("the disk is full");
  check(phases(), "a sending, b broken, c failed");
  heard.get("b")!.progress(4);
  check(phases(), "a sending, b sending, c failed");
  check([started.join(""), paused.join("")], ["abca", "a"]);
  check(uploads.busy, true);
});

test("the same file chosen again goes on, and is not sent twice at a time", () => {
  const { uploads, started, heard, phases, key } = rig();
  const again = (name: string): File => new File(["0123456789"], name, { lastModified: 7 });
  uploads.add([again("d"), again("d")]);
  check(phases(), "a sending, b sending, c queued, d queued");
  for (const name of ["a", "b"]) heard.get(name)!.failed("the disk is full");
  uploads.pause(key("d"));
  check(uploads.add([again("d")]).length, 1);
  check(phases(), "a failed, b failed, c sending, d sending");
  check(uploads.add([again("d")]), []);
  check(started.join(""), "abcdd");
});

test("a file chosen again goes on with its upload, and with another one if that was refused", async () => {
  const { uploads, begun, heard, answers, key } = rig();
  const again = new File(["0123456789"], "d", { lastModified: 7 });
  uploads.add([again]);
  for (const name of ["a", "b", "c"]) uploads.pause(key(name));
  heard.get("d")!.begun("7");
  uploads.pause(key("d"));
  uploads.add([again]);
  heard.get("d")!.arrived("7");
  await settled();
  answers.set("7", upload({ state: "refused", reason: "it is no media" }));
  await pass(2000);
  uploads.add([again]);
  check(begun, [null, null, null, null, "7", null]);
});

test("what has arrived is watched until it is stored", async () => {
  const { uploads, heard, said, stored, answers, phases } = rig();
  heard.get("a")!.begun("1");
  heard.get("a")!.arrived("1");
  check(phases(), "a storing, b sending, c sending");
  await settled();
  answers.set("1", upload({ state: "importing", imported_bytes: 5 }));
  await pass(3000);
  check(uploads.all.peek()[0]!.sent, 5);
  answers.set("1", new Error("gone for a while"));
  await pass(3000);
  answers.set("1", upload({ state: "done", item: "i1" }));
  await pass(1500);
  check([phases(), stored, said], ["b sending, c sending", ["1"], ["a is stored."]]);
});

test("what is refused after it arrived says so, and so does what vanished", async () => {
  const { heard, said, answers, phases } = rig();
  answers.set("1", upload({ state: "refused", reason: "it is no media" }));
  answers.set("2", new Refusal("there is no such upload", 404));
  heard.get("a")!.arrived("1");
  heard.get("b")!.arrived("2");
  await settled();
  check(phases(), "a refused, b refused, c sending");
  check(said, ["a was not stored: it is no media.", "b was not stored: it was removed meanwhile."]);
});

test("what cannot be stored says why, once, and can be given up", async () => {
  const { uploads, heard, said, answers, deleted, phases, key } = rig();
  heard.get("a")!.begun("slow");
  heard.get("a")!.arrived("slow");
  await settled();
  for (const left of [12, 11]) {
    answers.set("slow", upload({ state: "importing", reason: `the disk is full: ${left} MB are left` }));
    await pass(3000);
  }
  const { reason, phase } = uploads.all.peek()[0]!;
  check([reason, phase], ["the disk is full: 11 MB are left", "storing"]);
  check(said, ["a is not stored yet: the disk is full: 12 MB are left."]);
  answers.set("slow", upload({ state: "importing", imported_bytes: 5 }));
  await pass(1500);
  check(uploads.all.peek()[0]!.reason, "");
  // That it is gone is no news to whoever gave it up.
  const given = uploads.discard(key("a"));
  answers.set("slow", new Refusal("there is no such upload", 404));
  await pass(1500);
  check(phases(), "a storing, b sending, c sending");
  await pass(1500);
  await given;
  check([deleted, phases(), said.length], [["slow"], "b sending, c sending", 1]);
});

test("what is given up is deleted on the appliance, unless that says no", async () => {
  const { uploads, deleted, heard, phases, key } = rig();
  heard.get("a")!.begun("1");
  await uploads.discard(key("a"));
  check([deleted, phases()], [["1"], "b sending, c sending"]);
  heard.get("b")!.begun("held");
  await assert.rejects(uploads.discard(key("b")), Refusal);
  check(phases(), "b paused, c sending");
  await uploads.discard(key("c"));
  check([deleted, uploads.busy], [["1"], false]);
});

test("an upload that was seen to its end does not come back with an older list", () => {
  const mine = signal<(string | null)[]>([null, "1"]);
  const listed = new Listed(() => mine.value);
  const others = (): string[] => listed.others.value.map(({ id }) => id);
  const all = ["1", "2", "3"].map((id) => upload({ id }));
  listed.take([...all, upload({ id: "4", kind: "partial" }), upload({ id: "5", state: "done" })]);
  check(others(), ["2", "3"]);
  listed.end("1");
  mine.value = [];
  check(others(), ["2", "3"]);
  listed.take(all);
  check(others(), ["2", "3"]);
  listed.end("3");
  listed.take(all);
  check(others(), ["2"]);
});

function memory(): Storage {
  const kept = new Map<string, string>();
  return {
    get length() {
      return kept.size;
    },
    key: (at: number) => [...kept.keys()][at] ?? null,
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
    clear: () => kept.clear(),
  };
}

const previous = (id: string): PreviousUpload => ({
  ...{ size: 10, metadata: {}, creationTime: "", urlStorageKey: "", parallelUploadUrls: null, uploadUrl: `http://box/api/v1/uploads/${id}` },
});

test("a browser remembers what it began by the file, and forgets what is over", async () => {
  const storage = memory();
  storage.setItem("perch.theme", '"dark"');
  const remembered = new Remembered(() => storage);
  const film = new File(["0123456789"], "film.mp4", { type: "video/mp4", lastModified: 7 });
  const mark = markOf(film);
  check(mark, "film.mp4-video/mp4-10-7");
  await remembered.addUpload(mark, previous("1"));
  await remembered.addUpload(mark, previous("2"));
  await remembered.addUpload(`${mark}0`, previous("3"));
  check((await remembered.findUploadsByFingerprint(mark)).map(({ uploadUrl }) => uploadUrl?.at(-1)), ["1", "2"]);
  check([...remembered.ids()], ["1", "2", "3"]);
  remembered.forget("1");
  await remembered.removeUpload((await remembered.findUploadsByFingerprint(mark))[0]!.urlStorageKey);
  check([...remembered.ids()], ["3"]);
  check(storage.length, 2);
});

test("a browser that may not store anything uploads all the same", async () => {
  const remembered = new Remembered(() => {
    throw new Error("forbidden");
  });
  await remembered.addUpload("a", previous("1"));
  await remembered.removeUpload("a");
  check([...remembered.ids()], []);
  const broken = memory();
  broken.setItem("perch.upload.a 1", "{");
  broken.setItem("perch.upload.b 2", JSON.stringify(previous("2")));
  check([...new Remembered(() => broken).ids()], ["2"]);
});

test("only what may pass is tried again, and a refusal is told in the server's words", () => {
  const error = (status: number | null, body = ""): Parameters<typeof reasonOf>[0] & Parameters<typeof isPassing>[0] =>
    Object.assign(new Error("tus"), {
      originalResponse: status === null ? null : { getStatus: () => status, getBody: () => body, getHeader: () => undefined, getUnderlyingObject: () => null },
    });
  check([null, 409, 423, 429, 500, 503].map((status) => isPassing(error(status))), Array(6).fill(true));
  check([400, 403, 404, 410, 413, 415, 507].map((status) => isPassing(error(status))), Array(7).fill(false));
  // What passes leaves the upload where it is; what is gone is begun anew, and a lock the client knows itself.
  const answered = (method: string, status: number): void => keepUpload({ getMethod: () => method }, { getStatus: () => status });
  for (const status of [409, 429, 500, 502, 503]) assert.throws(() => answered("HEAD", status));
  for (const status of [200, 204, 403, 404, 410, 423]) answered("HEAD", status);
  for (const method of ["POST", "PATCH"]) answered(method, 503);
  check(reasonOf(error(507, '{"title":"Full","detail":"the disk has no room"}')), "the disk has no room");
  check(reasonOf(error(400, "<html>")), "the answer was 400");
  check(reasonOf(error(null)), "the file was changed or is gone; choose it again");
});
