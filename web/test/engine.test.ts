// The engine against a browser and an hls.js that obey: what it sets on them, and what it leaves alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Library, library, settled, Video } from "./browser.js";
import { Engine, type Source } from "../src/engine.js";

const LIVE: Source = { address: "/live/test/master.m3u8", live: true };

/** An engine that plays `source`. */
async function playing(source: Source) {
  const video = new Video();
  const engine = new Engine(video.asElement(), library);
  engine.play(source);
  await loaded(video);
  return { engine, video };
}

/** What was asked for has come: the playlist, then pictures. */
async function loaded(video: Video, seconds = 100): Promise<void> {
  await settled();
  Library.last.say("parsed");
  video.fill(seconds, Math.max(0, Library.last.config.startPosition ?? 0));
}

test("choosing the quality that Auto plays fixes it, and Auto frees it again", async () => {
  const { engine } = await playing(LIVE);
  Library.last.auto = 2;
  engine.choose("high");
  assert.equal(Library.last.manualLevel, 2);
  assert.equal(engine.chosen.value, "high");
  engine.choose(null);
  assert.equal(Library.last.manualLevel, -1);
});
