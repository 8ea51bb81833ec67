// A perch process as a bench sees it: started on a free port, asked until it answers, ended; and programs run to their end.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const say = (words) => process.stderr.write(`${words}\n`);
export const median = (values) => quantile(values, 0.5);

/** The value below which the given part of the values lies. */
export function quantile(values, part) {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];
}

/** A port that was free a moment ago: known before the process starts, so that its first answer can be waited for. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts `perch run`, by itself on the test scene. */
export async function start(binary, data, source = "test") {
  const port = await freePort();
  const began = performance.now();
  const child = spawn(binary, ["run", "--source", source, "--listen", `127.0.0.1:${port}`, "--data", data], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let words = "";
  child.stderr.on("data", (chunk) => (words = (words + chunk).slice(-4000)));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  const stop = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(late);
  };
  const alive = () => {
    if (child.exitCode !== null) throw new Error(`perch ended with ${child.exitCode}:\n${words}`);
  };
  return { url: `http://127.0.0.1:${port}`, pid: child.pid, began, stop, kill, alive };
}

/** The body once the address answers with 200 and the body passes; asks again after 2 ms. */
export async function poll(server, url, wanted = () => true) {
  const until = performance.now() + 60_000;
  while (performance.now() < until) {
    server.alive();
    const response = await fetch(url).catch(() => null);
    if (response?.ok) {
      const body = new Uint8Array(await response.arrayBuffer());
      if (wanted(body)) return body;
    } else {
      await response?.body?.cancel();
    }
    await sleep(2);
  }
  throw new Error(`${url} did not answer within 60 s`);
}

/** Resident memory in MB (10^6 bytes). */
export async function residentMb(pid, field = "VmRSS") {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return (Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)[1]) * 1024) / 1e6;
}

/** Runs a program to its end. Returns its time, the most memory it had, and what it printed. */
export async function run(program, words, options = {}) {
  const began = performance.now();
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let out = "";
  let errors = "";
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (errors = (errors + chunk).slice(-4000)));
  let peak_mb = 0;
  const look = setInterval(async () => {
    const now = await residentMb(child.pid, "VmHWM").catch(() => 0);
    peak_mb = Math.max(peak_mb, now);
  }, 20);
  // Also of one that cannot be started at all: the timer would keep this process from ending.
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  }).finally(() => clearInterval(look));
  const seconds = (performance.now() - began) / 1000;
  if (code !== 0) throw new Error(`${program} ${words[0]} ended with ${code}:\n${errors}`);
  return { seconds, peak_mb, out };
}

/** The sum of a counter over its labels, out of the text of /metrics. */
export function counter(metrics, name) {
  const lines = metrics.matchAll(new RegExp(`^perch_${name}(?:_total)?(?:\\{[^}]*\\})? ([0-9.e+]+)$`, "gm"));
  return [...lines].reduce((total, [, value]) => total + Number(value), 0);
}
