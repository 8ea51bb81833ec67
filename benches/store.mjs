// Measures the store of a perch binary from outside. Driven by scripts/bench.
//   node benches/store.mjs year BINARY DATA      a year of four cameras: opened after a kill, its timeline asked for
//   node benches/store.mjs import BINARY FOLDER  a file of 2 GB imported, and backed up by restic, borg and, if it is there, rustic
//   node benches/store.mjs memory BINARY DATA    a file of 5 GB imported into the year
// Prints one JSON object; says on standard error what it waits for.
import { createWriteStream } from "node:fs";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { randomFillSync } from "node:crypto";
import http from "node:http";
import path from "node:path";
import { counter, poll, quantile, residentMb, run, say, sleep, start } from "./process.mjs";

const ROUNDS = 5;
const QUERIES = 400;
const IMPORT_ROUNDS = 5;
const HOUR = 3_600_000;
/** With a camera that is away nothing is encoded, and what is asked has the processors. */
const NO_CAMERA = "/dev/no-camera";
const SPANS = [
  { name: "year", ms: 365 * 24 * HOUR },
  { name: "month", ms: 30 * 24 * HOUR },
  { name: "week", ms: 7 * 24 * HOUR },
  { name: "day", ms: 24 * HOUR },
  { name: "hour", ms: HOUR },
  { name: "minute", ms: 60_000 },
];

const iso = (ms) => new Date(ms).toISOString();
const fixed = (value) => Number(value.toFixed(2));

function timelineUrl(server, camera, from, to) {
  // As many buckets as a page has pixels to draw.
  const resolution = Math.max(1, Math.round((to - from) / 600_000));
  return `${server.url}/api/v1/timeline?camera=camera-${camera}&from=${iso(from)}&to=${iso(to)}&resolution=${resolution}`;
}

/** Kills it while it records, and starts it again: how long until the store answers. */
async function openAfterKill(binary, data, year) {
  const times = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const server = await start(binary, data);
    try {
      const body = await poll(server, timelineUrl(server, 0, year.from_ms, year.to_ms));
      const ms = performance.now() - server.began;
      if (JSON.parse(new TextDecoder().decode(body)).density.length < 0.9 * year.days) throw new Error("the year is not there");
      // The first start finds no kill behind it.
      if (round > 0) times.push(ms);
      const metrics = async () => await (await fetch(`${server.url}/metrics`)).text();
      while (counter(await metrics(), "store_segments_committed") < 3) await sleep(200);
      await sleep(700 * Math.random());
      say(`open ${round}: ${ms.toFixed(0)} ms`);
    } finally {
      await server.kill();
    }
  }
  return { rounds: ROUNDS, worst_ms: fixed(Math.max(...times)), median_ms: fixed(quantile(times, 0.5)) };
}

/** Milliseconds to the last byte of an answer. Not by `fetch`, which takes as long by itself as the answer does. */
function answered(url, agent) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const request = http.get(url, { agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url}: ${response.statusCode}`));
      response.on("end", () => resolve(performance.now() - began));
      response.on("error", reject);
      response.resume();
    });
    request.on("error", reject);
  });
}

/** Asks for stretches at random moments of the year. */
async function askTimelines(server, year) {
  const all = [];
  const spans = [];
  const agent = new http.Agent({ keepAlive: true });
  for (const { name, ms } of SPANS) {
    const times = [];
    for (let query = 0; query < QUERIES; query++) {
      const room = Math.max(0, year.to_ms - year.from_ms - ms);
      const from = year.from_ms + Math.floor(Math.random() * room);
      const url = timelineUrl(server, query % year.cameras, from, from + ms);
      times.push(await answered(url, agent));
    }
    spans.push({ name, p50_ms: fixed(quantile(times, 0.5)), p99_ms: fixed(quantile(times, 0.99)) });
    all.push(...times);
  }
  agent.destroy();
  return { queries: all.length, p50_ms: fixed(quantile(all, 0.5)), p99_ms: fixed(quantile(all, 0.99)), spans };
}

async function measureYear(binary, data) {
  const year = JSON.parse(await readFile(path.join(data, "..", "year.json"), "utf8"));
  const open = await openAfterKill(binary, data, year);
  const asked = async (source) => {
    const server = await start(binary, data, source);
    try {
      await poll(server, timelineUrl(server, 0, year.from_ms, year.to_ms));
      await sleep(5000);
      return { ...(await askTimelines(server, year)), resident_mb: fixed(await residentMb(server.pid)) };
    } finally {
      await server.stop();
    }
  };
  return { ...year, open, timeline: await asked(NO_CAMERA), timeline_beside_encoding: await asked("test") };
}

/** Bytes that nothing can compress or find twice, as video is; written once. */
async function noiseFile(file, bytes) {
  const known = await stat(file).catch(() => null);
  if (known?.size === bytes) return file;
  const out = createWriteStream(file);
  const block = Buffer.alloc(4 << 20);
  for (let left = bytes; left > 0; left -= block.length) {
    const piece = Buffer.from(randomFillSync(block).subarray(0, Math.min(left, block.length)));
    if (!out.write(piece)) await new Promise((resolve) => out.once("drain", resolve));
  }
  await new Promise((resolve, reject) => out.end((error) => (error ? reject(error) : resolve())));
  await run("sync", ["-f", file]);
  return file;
}

/** Whether a program can be started. */
const isInstalled = (program) => run(program, ["--version"]).then(() => true, () => false);

/** The peers without compression, as video gives none; each into a new repository, made before the time is taken. */
async function importers(binary, folder, file) {
  const at = (name) => path.join(folder, name);
  const empty = at("empty");
  await writeFile(empty, "");
  const perch = (from) => run(binary, ["import", from, "--data", at("perch"), "--json"]);
  const restic = { ...process.env, RESTIC_PASSWORD: "bench", RESTIC_REPOSITORY: at("restic") };
  const borg = { ...process.env, BORG_REPO: at("borg"), BORG_BASE_DIR: at("borg-home") };
  const rustic = { ...process.env, RUSTIC_PASSWORD: "bench", RUSTIC_REPOSITORY: at("rustic"), RUSTIC_NO_CACHE: "true" };
  const all = [
    { name: "perch", clean: [at("perch")], before: () => perch(empty), go: () => perch(file) },
    {
      name: "restic",
      clean: [at("restic")],
      before: () => run("restic", ["init"], { env: restic }),
      go: () => run("restic", ["backup", "--no-cache", "--compression", "off", "--quiet", file], { env: restic }),
    },
    {
      name: "borg",
      clean: [at("borg"), at("borg-home")],
      before: () => run("borg", ["init", "--encryption", "none"], { env: borg }),
      go: () => run("borg", ["create", "--compression", "none", "::one", file], { env: borg }),
    },
  ];
  // It may not have been possible to build it.
  if (await isInstalled("rustic")) {
    all.push({
      name: "rustic",
      clean: [at("rustic")],
      before: () => run("rustic", ["init", "--set-compression", "0"], { env: rustic }),
      go: () => run("rustic", ["backup", "--no-progress", file], { env: rustic }),
    });
  }
  return all;
}

async function measureImport(binary, folder) {
  const bytes = 2_000_000_000;
  const file = await noiseFile(path.join(folder, "noise-2gb"), bytes);
  const results = (await importers(binary, folder, file)).map((importer) => ({ ...importer, rates: [], peaks: [] }));
  for (let round = 1; round <= IMPORT_ROUNDS; round++) {
    for (const { name, clean, before, go, rates, peaks } of results) {
      for (const old of clean) await rm(old, { recursive: true, force: true });
      await before?.();
      // What the one before has left to write is not this one's.
      await run("sync", []);
      // borg has the system forget the file it has read; the disk is to be nobody's advantage.
      await run("dd", [`if=${file}`, "of=/dev/null", "bs=1M", "status=none"]);
      const { seconds, peak_mb } = await go();
      rates.push(bytes / 1e6 / seconds);
      peaks.push(peak_mb);
      for (const old of clean) await rm(old, { recursive: true, force: true });
      say(`round ${round}: ${name} ${rates.at(-1).toFixed(0)} MB/s`);
    }
  }
  const programs = results.map(({ name, rates, peaks }) => ({
    name,
    mb_per_second: fixed(quantile(rates, 0.5)),
    peak_mb: fixed(Math.max(...peaks)),
  }));
  const missing = programs.some(({ name }) => name === "rustic") ? [] : ["rustic"];
  return { bytes, rounds: IMPORT_ROUNDS, programs, missing };
}

async function measureMemory(binary, data) {
  const bytes = 5_000_000_000;
  const file = await noiseFile(path.join(data, "..", "noise-5gb"), bytes);
  const { seconds, peak_mb } = await run(binary, ["import", file, "--data", data, "--json"]);
  await rm(file);
  return { bytes, peak_mb: fixed(peak_mb), mb_per_second: fixed(bytes / 1e6 / seconds) };
}

const [what, binary, data] = process.argv.slice(2);
const measures = { year: measureYear, import: measureImport, memory: measureMemory };
if (!(what in measures) || !data) {
  say("usage: node benches/store.mjs year|import|memory BINARY FOLDER");
  process.exit(2);
}
process.stdout.write(`${JSON.stringify(await measures[what](binary, data), null, 2)}\n`);
