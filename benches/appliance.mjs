// Measures a perch binary from outside, as a viewer and the kernel see it. Driven by scripts/bench.
//   node benches/appliance.mjs start BINARY FOLDER ROUNDS      process start to the first playable part
//   node benches/appliance.mjs steady BINARY FOLDER MINUTES    memory, bytes written, copies with one viewer
// Prints one JSON object; says on standard error what it waits for.
import { spawn } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { counter, median, poll, residentMb, say, sleep, start } from "./process.mjs";

const text = (body) => new TextDecoder().decode(body);
const resolve = (base, relative) => new URL(relative, base).href;

/** What a player does up to its first picture: multivariant playlist, media playlist, init segment, part. */
async function firstPart(server) {
  const master = `${server.url}/live/test/master.m3u8`;
  const variants = text(await poll(server, master, (body) => /\n[^#\s]/.test(text(body))));
  const listening = performance.now();
  const playlist = resolve(master, variants.split("\n").find((line) => line && !line.startsWith("#")));
  const part = /#EXT-X-PART:.*URI="([^"]+)"/;
  const media = text(await poll(server, playlist, (body) => part.test(text(body))));
  await poll(server, resolve(playlist, /#EXT-X-MAP:URI="([^"]+)"/.exec(media)[1]));
  await poll(server, resolve(playlist, part.exec(media)[1]), (body) => body.length > 0);
  return { playlist_ms: listening - server.began, part_ms: performance.now() - server.began };
}

async function measureStart(binary, folder, rounds) {
  const data = path.join(folder, "start-data");
  await rm(data, { recursive: true, force: true });
  const times = [];
  // The very first start also tries the encoders; what it finds is kept.
  for (let round = 0; round <= rounds; round++) {
    const server = await start(binary, data);
    times.push(await firstPart(server));
    await server.stop();
    say(`start ${round}: first part after ${times.at(-1).part_ms.toFixed(0)} ms`);
  }
  await rm(data, { recursive: true, force: true });
  const later = times.slice(1).map(({ part_ms }) => part_ms);
  return {
    rounds,
    first_ever_ms: Math.round(times[0].part_ms),
    median_ms: Math.round(median(later)),
    worst_ms: Math.round(Math.max(...later)),
    best_ms: Math.round(Math.min(...later)),
  };
}

/** Counters of the appliance and the kernel at one moment. */
async function counters(server) {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const sum = (name) => counter(metrics, name);
  const io = await readFile(`/proc/${server.pid}/io`, "utf8");
  return {
    recorded: sum("store_segment_bytes"),
    handed: sum("store_written_bytes"),
    written: Number(/^write_bytes: (\d+)/m.exec(io)[1]),
    frames: sum("capture_frames"),
    copies: sum("capture_frame_copies") + sum("encode_frame_copies"),
    dropped: sum("encode_frames_dropped"),
  };
}

/** One viewer of the highest quality and its sound. */
function view(server) {
  const player = spawn(
    "ffmpeg",
    [
      ...["-v", "error", "-nostdin", "-i", `${server.url}/live/test/master.m3u8`],
      ...["-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-f", "null", "-"],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  return { playing: () => player.exitCode === null, stop: () => player.kill("SIGKILL") };
}

async function measureSteady(binary, folder, minutes) {
  const data = path.join(folder, "steady-data");
  await rm(data, { recursive: true, force: true });
  const server = await start(binary, data);
  const samples = [];
  let viewer = null;
  try {
    await firstPart(server);
    // The window fills and allocators find their size; what a minute in is the base line.
    await sleep(8000);
    viewer = view(server);
    const begun = performance.now();
    let before = null;
    for (let next = 1; ; next++) {
      await sleep(Math.max(0, begun + next * 1000 - performance.now()));
      server.alive();
      samples.push(await residentMb(server.pid));
      if (before === null && next >= Math.min(60, minutes * 20)) before = await counters(server);
      if (next % 60 === 0) say(`minute ${next / 60} of ${minutes}: ${samples.at(-1).toFixed(1)} MB`);
      if (next >= minutes * 60) break;
    }
    const after = await counters(server);
    const cameras = await (await fetch(`${server.url}/api/v1/cameras`)).json();
    const recorded = after.recorded - before.recorded;
    const settled = samples.slice(Math.min(60, minutes * 20));
    const third = Math.ceil(settled.length / 3);
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const apart = (settled.length - third) / 60;
    return {
      minutes,
      viewer_played_to_the_end: viewer.playing(),
      // Once the hour is over: the most in its last ten minutes.
      memory_end_mb: Math.max(...samples.slice(-600)),
      memory_max_mb: Math.max(...samples),
      memory_growth_mb_per_minute: (mean(settled.slice(-third)) - mean(settled.slice(0, third))) / apart,
      recorded_bytes: recorded,
      // Null where nothing was recorded.
      written_per_byte: recorded > 0 ? (after.written - before.written) / recorded : null,
      handed_per_byte: recorded > 0 ? (after.handed - before.handed) / recorded : null,
      frames: after.frames,
      frames_dropped: after.dropped,
      copies: after.copies,
      rungs_running: cameras.cameras[0].rungs.filter(({ running }) => running).map(({ name }) => name),
    };
  } finally {
    viewer?.stop();
    await server.stop();
    await rm(data, { recursive: true, force: true });
  }
}

const [what, binary, folder, amount] = process.argv.slice(2);
const measures = { start: measureStart, steady: measureSteady };
if (!(what in measures) || !(Number(amount) > 0)) {
  say("usage: node benches/appliance.mjs start|steady BINARY FOLDER ROUNDS|MINUTES");
  process.exit(2);
}
await mkdir(folder, { recursive: true });
process.stdout.write(`${JSON.stringify(await measures[what](binary, folder, Number(amount)), null, 2)}\n`);
