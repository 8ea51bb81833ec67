// Joins what the benches measured into one table with its targets. Driven by scripts/bench.
//   node benches/table.mjs join FOLDER        reads FOLDER/*.json and ladder.txt, writes FOLDER/../bench.json, prints the table
//   node benches/table.mjs readme BENCH_JSON README      puts the table between the README's bench marks
import { readFile, writeFile } from "node:fs/promises";
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

/** The rows of the issue that asked for them: what, target, whether the figures meet it, what was measured. */
function rows({ ladder, start, steady, latency }) {
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
      how: `${latency.pictures} pictures, read from the burned-in clock; p95 ${fixed(latency.p95_ms / 1000, 2)} s; Chromium decodes in software on the same machine`,
    });
  }
  if (steady) {
    const growth = steady.memory_growth_mb_per_minute;
    all.push({
      what: "memory with one 1080p source, four qualities, one viewer",
      target: "≤ 150 MB and flat after an hour",
      // Fewer minutes cannot show what an hour does.
      met: steady.minutes < 60 ? null : steady.memory_max_mb <= 150 && Math.abs(growth) < 0.1,
      measured: `${fixed(steady.memory_max_mb, 0)} MB`,
      how: `resident, highest in ${steady.minutes} minutes; ${growth < 0 ? "−" : "+"}${fixed(Math.abs(growth), 2)} MB a minute between their ends; ${steady.rungs_running.length} of 4 qualities were running at the end`,
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
  return all;
}

function render({ machine, rows }) {
  const mark = (met) => (met === null ? "not shown" : met ? "yes" : "**no**");
  return [
    "| what | target | measured | met | how |",
    "|---|---|---|---|---|",
    ...rows.map(({ what, target, measured, met, how }) => `| ${what} | ${target} | ${measured} | ${mark(met)} | ${how} |`),
    "",
    `${machine.date}, Perch ${machine.perch}, ${machine.cpu} with ${machine.processors} processors (load ${machine.load} before it began), ${machine.system}, ${machine.versions.join(", ")}.`,
  ].join("\n");
}

async function join(folder) {
  const read = {
    machine: await json(path.join(folder, "machine.json")),
    ladder: readLadder(await lines(path.join(folder, "ladder.txt"))),
    start: await json(path.join(folder, "start.json")),
    steady: await json(path.join(folder, "steady.json")),
    latency: await json(path.join(folder, "latency.json")),
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
