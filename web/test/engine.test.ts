// The engine against a browser and an hls.js that obey: what it sets on them, and what it leaves alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Library, library, page, pass, settled, Video } from "./browser.js";
import { Engine, type Source } from "../src/engine.js";

const RECORDING: Source = { address: "/recordings/test/master.m3u8", live: false };
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
  Library.of(video).say("parsed");
  video.fill(seconds, Math.max(0, Library.of(video).config.startPosition ?? 0));
}

test("choosing the quality that Auto plays fixes it, and Auto frees it again", async () => {
  const { engine, video } = await playing(LIVE);
  Library.of(video).auto = 2;
  engine.choose("high");
  assert.equal(Library.of(video).manualLevel, 2);
  assert.equal(engine.chosen.value, "high");
  engine.choose(null);
  assert.equal(Library.of(video).manualLevel, -1);
});

test("a recording goes on where it was after a reload, and after a second one before pictures came", async () => {
  const { engine, video } = await playing(RECORDING);
  assert.equal(Library.of(video).config.startPosition, 0);
  video.fill(100, 42);
  await pass(300);
  for (let reload = 0; reload < 2; reload++) {
    engine.reload();
    await settled();
    await pass(1000);
    assert.equal(Library.of(video).config.startPosition, 42);
    assert.deepEqual([engine.position.value, engine.duration.value], [42, 100]);
  }
  await loaded(video);
  assert.equal(video.paused, false);
});

test("where the viewer sought to is where a recording goes on", async () => {
  const { engine, video } = await playing(RECORDING);
  engine.seekTo(70);
  video.empty();
  await pass(300);
  engine.reload();
  await settled();
  assert.equal(Library.of(video).config.startPosition, 70);
});

test("what never decodes is tried again less and less often, until pictures move", async () => {
  const { video } = await playing(RECORDING);
  const loads = (): number => Library.all(video).length;
  const fail = (): void => Library.of(video).say("error", { fatal: true, type: "mediaError", details: "bufferAppendError" });
  fail();
  assert.deepEqual([Library.of(video).recoveries, loads()], [1, 1]);
  const pauses: number[] = [];
  for (let round = 0; round < 3; round++) {
    // It arrives and is buffered each time.
    Library.of(video).say("buffered");
    const before = loads();
    fail();
    let pause = 0;
    for (; loads() === before; pause += 500) await pass(500);
    pauses.push(pause);
    await loaded(video);
  }
  assert.deepEqual(pauses, [2000, 4000, 4000]);
  for (const time of [0.4, 0.8, 1.2]) {
    video.currentTime = time;
    video.dispatchEvent(new Event("timeupdate"));
  }
  fail();
  await pass(10_000);
  assert.deepEqual([Library.of(video).recoveries, loads()], [1, 4]);
});

test("another source starts at its beginning, playing, though the one before was paused", async () => {
  const { engine, video } = await playing(RECORDING);
  video.fill(100, 42);
  await pass(300);
  engine.togglePlay();
  engine.play(RECORDING);
  await loaded(video);
  assert.equal(Library.of(video).config.startPosition, 0);
  assert.equal(video.paused, false);
});

test("what the viewer paused stays paused when it is loaded again", async () => {
  for (const source of [LIVE, RECORDING]) {
    const { engine, video } = await playing(source);
    engine.togglePlay();
    engine.reload();
    const { plays } = video;
    await loaded(video);
    assert.deepEqual([video.plays, video.autoplay, engine.phase.value], [plays, false, "paused"]);
    engine.togglePlay();
    assert.equal(engine.phase.value, "playing");
  }
});

test("a picture that the viewer paused outlives the connection, and is loaded again when it is to play", async () => {
  for (const source of [LIVE, RECORDING]) {
    for (const away of [false, true]) {
      const { engine, video } = await playing(source);
      video.fill(100, 42);
      await pass(300);
      engine.togglePlay();
      engine.hold(away);
      Library.of(video).fail();
      await pass(20_000);
      engine.hold(false);
      await pass(20_000);
      assert.deepEqual([engine.phase.value, Library.all(video).length, video.readyState], ["paused", 1, 4]);
      engine.togglePlay();
      await loaded(video);
      assert.deepEqual([engine.phase.value, Library.all(video).length, engine.following.value], ["playing", 2, source.live]);
      if (!source.live) assert.equal(Library.of(video).config.startPosition, 42);
    }
  }
});

test("what is left of a paused picture plays while the server is away, and goes on when it is back", async () => {
  const { engine, video } = await playing(RECORDING);
  engine.togglePlay();
  engine.hold(true);
  Library.of(video).fail();
  engine.togglePlay();
  await settled();
  assert.deepEqual([engine.phase.value, Library.all(video).length], ["playing", 1]);
  engine.hold(false);
  await settled();
  assert.equal(Library.all(video).length, 2);
});

test("a paused recording whose connection broke is loaded where it is sought to, and stays paused", async () => {
  const { engine, video } = await playing(RECORDING);
  engine.togglePlay();
  Library.of(video).fail();
  engine.seekTo(70);
  await loaded(video);
  assert.deepEqual([Library.of(video).config.startPosition, engine.phase.value, video.paused], [70, "paused", true]);
});

test("a silent live view in a tab that nobody sees is not fetched, and is at its edge when it is seen again", async () => {
  const show = (hidden: boolean): void => {
    page.hidden = hidden;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  const { engine, video } = await playing(LIVE);
  const stops = (): number => Library.of(video).stops;
  show(true);
  await pass(70_000);
  assert.equal(stops(), 0, "it is heard");
  video.muted = true;
  page.pictureInPictureElement = video;
  await pass(70_000);
  assert.equal(stops(), 0, "it is seen in a window of its own");
  page.pictureInPictureElement = null;
  await pass(50_000);
  assert.equal(stops(), 0, "not for so short a time");
  await pass(20_000);
  assert.equal(stops(), 1);
  // Neither what comes of that nor the server's return fetches anything.
  Library.of(video).fail();
  engine.hold(true);
  engine.hold(false);
  await pass(20_000);
  assert.equal(Library.all(video).length, 1);
  show(false);
  await loaded(video);
  assert.deepEqual([Library.all(video).length, engine.following.value, engine.phase.value], [2, true, "playing"]);
});

test("a player that could not be fetched is told of, until it is", async () => {
  const video = new Video();
  let isThere = false;
  const engine = new Engine(video.asElement(), async () => (isThere ? library() : null));
  engine.play(LIVE);
  await pass(300);
  assert.equal(engine.lacksLibrary.value, true);
  isThere = true;
  await pass(4000);
  assert.deepEqual([engine.lacksLibrary.value, Library.all(video).length], [false, 1]);
});

test("a live view that ran out starts again when the server is back", async () => {
  const { engine, video } = await playing(LIVE);
  engine.hold(true);
  video.ended = true;
  video.pause();
  await pass(5000);
  engine.hold(false);
  video.ended = false;
  await loaded(video);
  assert.equal(video.paused, false);
});

test("a live view that ran out is loaded again though nobody saw the server go", async () => {
  const { video } = await playing(LIVE);
  video.ended = true;
  video.pause();
  await pass(5500);
  assert.equal(Library.all(video).length, 2);
});

test("a load that failed while the source was away is made up for at its return, however soon", async () => {
  const { engine, video } = await playing(LIVE);
  engine.hold(true);
  engine.play(LIVE);
  await settled();
  Library.of(video).fail();
  await pass(500);
  assert.equal(Library.all(video).length, 2);
  engine.hold(false);
  await settled();
  assert.equal(Library.all(video).length, 3);
});

test("two presses in a row leave the viewer at the live edge, a long pause does not", async () => {
  const { engine, video } = await playing(LIVE);
  for (const [edge, following] of [[101, true], [105.9, true], [106.1, false]] as const) {
    engine.goLive();
    engine.togglePlay();
    assert.equal(engine.following.value, false);
    video.currentTime = 100;
    Library.of(video).liveSyncPosition = edge;
    engine.togglePlay();
    assert.equal(engine.following.value, following, `${edge}`);
  }
});

test("a picture that stood still is kept further from the edge, until it has moved for a while", async () => {
  const { engine, video } = await playing(LIVE);
  const hls = Library.of(video);
  Object.assign(hls, { liveSyncPosition: 101, targetLatency: 1, latency: 1.5 });
  video.buffered = { length: 1, end: () => video.currentTime + 1 };
  video.currentTime = 100;
  await pass(600);
  assert.equal(video.playbackRate, 1.1);
  for (let stop = 0; stop < 2; stop++) hls.say("error", { fatal: false, type: "mediaError", details: "bufferStalledError" });
  await pass(300);
  assert.equal(video.playbackRate, 1);
  engine.goLive();
  assert.equal(video.currentTime, 100.5);
  video.currentTime = 100;
  for (let second = 0; second < 25; second++) {
    await pass(1000);
    video.dispatchEvent(new Event("timeupdate"));
  }
  assert.equal(video.playbackRate, 1.1);
});

test("a recording has no edge to follow, and is sought to its last picture", async () => {
  const { engine, video } = await playing(RECORDING);
  Library.of(video).liveSyncPosition = 98;
  engine.togglePlay();
  engine.togglePlay();
  assert.equal(engine.following.value, false);
  video.currentTime = 99;
  await pass(300);
  engine.seekBy(10);
  assert.deepEqual([video.currentTime, engine.position.value], [99.9, 99.9]);
  engine.seekTo(100);
  assert.equal(video.currentTime, 99.9);
  engine.seekBy(-9.9);
  assert.equal(video.currentTime, 90);
});

test("a recording ends where the browser says so, and where it waits at its end in vain", async () => {
  const { engine, video } = await playing(RECORDING);
  video.dispatchEvent(new Event("ended"));
  assert.equal(engine.ended.value, true);
  const seek = (to: number) => {
    engine.seekTo(to);
    Object.assign(video, { readyState: 1 });
    video.dispatchEvent(new Event("seeking"));
  };
  seek(50);
  assert.equal(engine.ended.value, false);
  await pass(60_000);
  assert.equal(engine.ended.value, false, "it only waits for pictures");
  seek(100);
  await pass(1000);
  assert.equal(engine.ended.value, false, "it may still come");
  await pass(1000);
  assert.deepEqual([engine.ended.value, video.paused], [true, true]);
  engine.play(RECORDING);
  await loaded(video);
  assert.deepEqual([engine.ended.value, video.paused], [false, false]);
});

test("a browser that plays HLS by itself goes back to live too", async () => {
  const video = new Video();
  const engine = new Engine(video.asElement(), async () => Unsupported as unknown as Awaited<ReturnType<typeof library>>);
  engine.play(LIVE);
  await settled();
  video.fill(60, 20);
  engine.seekBy(-10);
  assert.equal(video.currentTime, 10);
  assert.equal(engine.following.value, false);
  engine.goLive();
  assert.equal(video.currentTime, 57);
  assert.equal(engine.following.value, true);
});

class Unsupported extends Library {
  static override isSupported = (): boolean => false;
}
