// The polling against a page that is hidden and shown, and a server that takes its time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { page, pass, settled, timers } from "./browser.js";
import { announced, say } from "../src/announce.js";
import { watchServer } from "../src/server.js";

test("a page shown again while an answer is due keeps to one chain of questions", async () => {
  const waiting: (() => void)[] = [];
  globalThis.fetch = ((path: string) =>
    path === "/api/v1/cameras"
      ? new Promise((resolve) => waiting.push(() => resolve(Response.json({ cameras: [] }))))
      : Promise.resolve(Response.json({ now: "2026-01-01T00:00:00Z", live: true, ready: true, problems: [] }))) as typeof fetch;
  watchServer();
  await settled();
  for (let shown = 0; shown < 3; shown++) page.dispatchEvent(new Event("visibilitychange"));
  await settled();
  assert.equal(waiting.length, 4);
  for (const answer of waiting.splice(0)) answer();
  // Reading an answer's body takes turns of the event loop, not time.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(timers.size, 1);
  await pass(2100);
  assert.equal(waiting.length, 1);
});

test("what is said within a moment is one, and the same words again are news", async () => {
  const { turn } = announced.value;
  say("Sound off.");
  say("Back to live.");
  await pass(200);
  assert.deepEqual(announced.value, { words: "Sound off. Back to live.", turn: turn + 1 });
  for (const more of [2, 3]) {
    say("Sound off.");
    await pass(200);
    assert.deepEqual(announced.value, { words: "Sound off.", turn: turn + more });
  }
});
