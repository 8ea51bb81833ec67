// What the page knows when it first shows a camera, of a server whose clock is not the browser's.
import assert from "node:assert/strict";
import { test } from "node:test";
import "./browser.js";
import { cameras, serverNow, watchServer } from "../src/server.js";

const turns = async (): Promise<void> => {
  // Reading an answer's body takes turns of the event loop, not time.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
};

test("no camera is told of before the server's clock is known, which may be years behind", async () => {
  const now = "2001-01-01T00:00:00Z";
  let answerClock = (): void => assert.fail("the clock was not asked");
  globalThis.fetch = ((path: string) => {
    if (path === "/api/v1/time") return new Promise((resolve) => (answerClock = () => resolve(Response.json({ now }))));
    return Promise.resolve(Response.json(path === "/api/v1/cameras" ? { cameras: [] } : { live: true, ready: true, problems: [] }));
  }) as typeof fetch;
  watchServer();
  await turns();
  assert.equal(cameras.value, null);
  answerClock();
  await turns();
  assert.deepEqual(cameras.value, []);
  assert.ok(Math.abs(serverNow() - Date.parse(now)) < 60_000);
});
