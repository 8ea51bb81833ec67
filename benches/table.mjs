// Joins what the benches measured into one table with its targets. Driven by scripts/bench.
//   node benches/table.mjs join FOLDER        reads FOLDER/*.json and ladder.txt, writes FOLDER/../bench.json, prints the table
//   node benches/table.mjs readme BENCH_JSON README      puts the table between the README's bench marks
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";

const json = async (file) => JSON.parse(await readFile(file, "utf8").catch(() => "null"));
const lines = async (file) => (await readFile(file, "utf8").catch(() => "")).split("\n");

/** Rows of the ladder's bench: `name   seconds   perch / it = ratio`. */
function readLadder(text) {
  const peers = text
    .map((line) => /^(ffmpeg.*?) {2,}([\d.]+) +perch \/ it = ([\d.]+)$/.exec(line))
    .filter(Boolean)
    .map(([, name, seconds, ratio]) => ({ name, cpu_s: Number(seconds), ratio: Number(ratio) }));
  const ours = text.map((line) => /^perch +([\d.]+)$/.exec(line)).find(Boolean);
  return ours && peers.length > 0 ? { cpu_s: Number(ours[1]), peers } : null;
}

const fixed = (value, digits) => Number(value).toFixed(digits);

const sumOf = (parts) => ({
  logical_bytes: parts.reduce((sum, part) => sum + part.logical_bytes, 0),
  unique_bytes: parts.reduce((sum, part) => sum + part.unique_bytes, 0),
});

const savedPercent = ({ logical_bytes, unique_bytes }) =>
  logical_bytes === 0 ? 0 : 100 * (1 - unique_bytes / logical_bytes);

/** Cells of what came, what of it is stored, and what that saves. */
function savedCells(part) {
  const megabytes = (bytes) => `${fixed(bytes / 1e6, 1)} MB`;
  return `${megabytes(part.logical_bytes)} | ${megabytes(part.unique_bytes)} | ${fixed(savedPercent(part), 1)} %`;
}

/** Two tables: what storing each chunk once saves where files come again, and what where a camera is noisy. */
function renderDedup({ films, film_seconds, film_bytes, steps, sources, noisy }) {
  const film = `films of ${film_seconds} s and about ${fixed(film_bytes / 1e6, 0)} MB, made by ffmpeg with noise of their own`;
  return [
    `What storing everything once saves, on ${films} ${film}, that come again in the ways of this table, one after the other:`,
    "",
    "| source | what comes | bytes | stored for it | saved |",
    "|---|---|---|---|---|",
    ...steps.map((step) => `| ${step.source} | ${step.what} | ${savedCells(step)} |`),
    ...sources.map((source) => `| **${source.source}** | in all | ${savedCells(source)} |`),
    `| **all** | | ${savedCells(sumOf(sources))} |`,
    "",
    "And what it saves of cameras: nothing where there is noise, for no two pictures are the same then.",
    "",
    "| what comes | bytes | stored for it | saved |",
    "|---|---|---|---|",
    ...noisy.map((row) => `| ${row.what} | ${savedCells(row)} |`),
  ];
}

/** What was measured of the store: the same kind of rows. */
function storeRows({ imports, digest, memory, year, dedup }) {
  const all = [];
  if (imports) {
    const [ours, ...others] = imports.programs;
    const peers = others.filter(({ name }) => name === "restic" || name === "borg");
    const fastest = peers.toSorted((a, b) => b.mb_per_second - a.mb_per_second)[0];
    const ratio = ours.mb_per_second / fastest.mb_per_second;
    all.push({
      what: "import of a file of 2 GB, against the fastest of restic and borg that back it up",
      target: "≥ 3×",
      met: ratio >= 3,
      measured: `${fixed(ratio, 1)}×`,
      how: imports.programs
        .map(({ name, mb_per_second }) => `${name} ${fixed(mb_per_second, 0)} MB/s`)
        .concat((imports.missing ?? []).map((name) => `${name} is not installed`))
        .join("; "),
    });
    if (digest) {
      const hashed = digest.blake2b_512_bytes_per_second / 1e6;
      all.push({
        what: "the same import, against one thread of BLAKE2b-512",
        target: "≥ 0.85×",
        met: ours.mb_per_second / hashed >= 0.85,
        measured: `${fixed(ours.mb_per_second / hashed, 2)}×`,
        how: `${fixed(hashed, 0)} MB/s over memory, without a disk`,
      });
    }
  }
  if (dedup) {
    const saved = savedPercent(sumOf(dedup.sources));
    all.push({
      what: "bytes that need not be stored of films that come again",
      target: "≥ 80 %",
      met: saved >= 80,
      measured: `${fixed(saved, 1)} %`,
      how: "the corpus in the table below, by `perch store stats`",
    });
  }
  if (year) {
    all.push({
      what: "a timeline of a year of four cameras, p99",
      target: "≤ 10 ms",
      met: year.timeline.p99_ms <= 10,
      measured: `${fixed(year.timeline.p99_ms, 1)} ms`,
      how: `${year.timeline.queries} requests over HTTP, ${fixed(year.segments / 1e6, 0)} million segments; ${year.timeline.spans.map(({ name, p99_ms }) => `${name} ${fixed(p99_ms, 1)}`).join(", ")}; ${fixed(year.timeline_beside_encoding.p99_ms, 1)} ms while four qualities are encoded on the same processors`,
    });
    all.push({
      what: "bytes of the index for each segment",
      target: "≤ 80",
      met: year.index_bytes_per_segment <= 80,
      measured: fixed(year.index_bytes_per_segment, 1),
      how: `${fixed(year.index_bytes / 1e9, 2)} GB after that year; the log in files of its own takes a hash of 32 bytes more`,
    });
    all.push({
      what: "from the start after a kill to the timeline of that year",
      target: "≤ 2 s",
      met: year.open.worst_ms <= 2000,
      measured: `${fixed(year.open.worst_ms / 1000, 2)} s`,
      how: `worst of ${year.open.rounds}, from the start of the process to the answer`,
    });
  }
  if (memory) {
    all.push({
      what: "memory while a file of 5 GB is imported beside that year",
      target: "≤ 150 MB",
      met: memory.peak_mb <= 150,
      measured: `${fixed(memory.peak_mb, 0)} MB`,
      how: "the most that the process ever had resident",
    });
  }
  return all;
}

/** The rows of the issue that asked for them: what, target, whether the figures meet it, what was measured. */
function rows({ ladder, start, steady, latency, store }) {
  const all = [];
  if (ladder) {
    const [peer, ...others] = ladder.peers;
    all.push({
      what: "CPU of four qualities of 1080p30, against one ffmpeg that does the same",
      target: "≤ 0.90×",
      met: peer.ratio <= 0.9,
      measured: `${fixed(peer.ratio, 2)}×`,
      how: [`${peer.name}: ${fixed(ladder.cpu_s, 1)} s against ${fixed(peer.cpu_s, 1)} s`]
        .concat(others.map(({ name, ratio }) => `${name}: ${fixed(ratio, 2)}×`))
        .join("; "),
    });
  }
  if (steady) {
    all.push({
      what: "copies of a raw picture between source and encoder",
      target: "0",
      met: steady.copies === 0,
      measured: `${steady.copies}`,
      how: `${steady.frames} pictures of the test scene, by Perch's counter`,
    });
  }
  if (start) {
    all.push({
      what: "process start to the first playable part served",
      target: "≤ 0.8 s",
      met: start.median_ms <= 800,
      measured: `${fixed(start.median_ms / 1000, 2)} s`,
      how: `median of ${start.rounds}, worst ${fixed(start.worst_ms / 1000, 2)} s; the very first start, which tries the encoders: ${fixed(start.first_ever_ms / 1000, 2)} s`,
    });
  }
  if (latency) {
    all.push({
      what: "capture to decoded picture in Chromium over LL-HLS, p50",
      target: "≤ 1.3 s",
      met: latency.p50_ms <= 1300,
      measured: `${fixed(latency.p50_ms / 1000, 2)} s`,
      how: `median of ${latency.rounds} visits (${fixed(latency.best_ms / 1000, 2)} to ${fixed(latency.worst_ms / 1000, 2)} s), each from 8 to 20 s after the page opened; ${latency.pictures} pictures of it, read from the burned-in clock; p95 ${fixed(latency.p95_ms / 1000, 2)} s; Chromium decodes in software on the same machine`,
    });
  }
  if (steady) {
    const growth = steady.memory_growth_mb_per_minute;
    // Without its viewer, or with fewer qualities, it would be another measurement.
    const isWhole = steady.viewer_played_to_the_end && steady.rungs_running.length === 4;
    all.push({
      what: "memory with one 1080p source, four qualities, one viewer",
      target: "after an hour ≤ 150 MB and flat",
      // Fewer minutes cannot show what an hour does.
      met: steady.minutes < 60 || !isWhole ? null : steady.memory_end_mb <= 150 && Math.abs(growth) < 0.1,
      measured: `${fixed(steady.memory_end_mb, 0)} MB`,
      how: `resident, the most in the last ten of ${steady.minutes} minutes; ${growth < 0 ? "−" : "+"}${fixed(Math.abs(growth), 2)} MB a minute between their first and last third; the most at any moment ${fixed(steady.memory_max_mb, 0)} MB; ${steady.frames_dropped} of ${steady.frames} pictures were dropped; ${steady.rungs_running.length} of 4 qualities were running and the viewer ${steady.viewer_played_to_the_end ? "was playing" : "had stopped"} at the end`,
    });
    const recorded = steady.written_per_byte !== null;
    all.push({
      what: "bytes written to disk for each byte recorded",
      target: "≤ 1.04",
      met: recorded && steady.written_per_byte <= 1.04,
      measured: recorded ? fixed(steady.written_per_byte, 3) : "–",
      how: !recorded
        ? "nothing was recorded"
        : `the kernel's count for the process over ${fixed(steady.recorded_bytes / 1e6, 0)} MB; by Perch's own ${fixed(steady.handed_per_byte, 3)}`,
    });
  }
  return all.concat(storeRows(store));
}

/** Which results are of which commit. */
async function readCommits(folder) {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".commit")).sort();
  const commits = {};
  for (const file of files) {
    const commit = (await readFile(path.join(folder, file), "utf8")).trim();
    (commits[commit] ??= []).push(path.basename(file, ".commit"));
  }
  return commits;
}

function render({ machine, commits, rows, store }) {
  const all = Object.entries(commits).map(([commit, results]) => `${commit}: ${results.join(", ")}`);
  const mark = (met) => (met === null ? "not shown" : met ? "yes" : "**no**");
  return [
    "| what | target | measured | met | how |",
    "|---|---|---|---|---|",
    ...rows.map(({ what, target, measured, met, how }) => `| ${what} | ${target} | ${measured} | ${mark(met)} | ${how} |`),
    "",
    ...(store?.dedup ? [...renderDedup(store.dedup), ""] : []),
    `${machine.date}, Perch ${machine.perch} (commit ${all.join("; ")}), ${machine.cpu} with ${machine.processors} processors (load ${machine.load} before it began), ${machine.system}, ${machine.versions.join(", ")}.`,
  ].join("\n");
}

async function join(folder) {
  const read = {
    machine: await json(path.join(folder, "machine.json")),
    commits: await readCommits(folder),
    ladder: readLadder(await lines(path.join(folder, "ladder.txt"))),
    start: await json(path.join(folder, "start.json")),
    steady: await json(path.join(folder, "steady.json")),
    latency: await json(path.join(folder, "latency.json")),
    store: {
      imports: await json(path.join(folder, "import.json")),
      digest: await json(path.join(folder, "digest.json")),
      dedup: await json(path.join(folder, "dedup.json")),
      year: await json(path.join(folder, "year.json")),
      memory: await json(path.join(folder, "memory.json")),
    },
  };
  // The browser's rig can watch a stand-in, whose delay says nothing about Perch.
  if (read.latency?.origin !== "perch") read.latency = null;
  const result = { ...read, rows: rows(read) };
  await writeFile(path.join(folder, "..", "bench.json"), `${JSON.stringify(result, null, 2)}\n`);
  console.log(render(result));
}

async function readme(from, into) {
  const result = await json(from);
  if (!result) throw new Error(`${from} is missing: run scripts/bench first`);
  const text = await readFile(into, "utf8");
  const marked = /<!-- bench -->[\s\S]*<!-- \/bench -->/;
  if (!marked.test(text)) throw new Error(`${into} has no bench marks`);
  await writeFile(into, text.replace(marked, () => `<!-- bench -->\n${render(result)}\n<!-- /bench -->`));
}

const [what, first, second] = process.argv.slice(2);
if (what === "join" && first) await join(first);
else if (what === "readme" && first && second) await readme(first, second);
else throw new Error("usage: node benches/table.mjs join FOLDER | readme BENCH_JSON README");
