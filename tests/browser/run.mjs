// Runs the page in Chromium. PERCH_URL names a running perch (`http://127.0.0.1:8080`); without it the stand-in is
// watched instead. A part of a case's name as argument runs that case alone.
// Needs web/dist, ffmpeg and Chromium. Pictures and measurements land in target/browser/.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { launch } from "./browser.mjs";
import { cases as failures } from "./failures.mjs";
import { cases as files } from "./files.mjs";
import { cases as keepsakes } from "./keepsakes.mjs";
import { cases as latency } from "./latency.mjs";
import { cases as pictures, standinCases } from "./pictures.mjs";
import { root, Standin } from "./standin.mjs";
import { cases as timeline } from "./timeline.mjs";
import { cases as uploads } from "./uploads.mjs";
import { cases as watching } from "./watch.mjs";

const wanted = process.argv[2] ?? "";
const real = process.env.PERCH_URL?.replace(/\/$/, "");
const out = path.join(root, "target/browser");
await mkdir(out, { recursive: true });

// What a real perch can show comes first: the stand-in makes its media with every processor that there is.
const plan = [
  ...Object.entries({ ...watching, ...latency, ...pictures }).map(([name, run]) => ({ name, run, url: real })),
  ...Object.entries(real ? uploads : {}).map(([name, run]) => ({ name, run, url: real })),
  ...Object.entries({ ...failures, ...timeline, ...keepsakes, ...files, ...standinCases }).map(([name, run]) => ({ name, run, url: undefined })),
].filter(({ name }) => name.includes(wanted));
let standin;
const browser = await launch();

let passed = 0;
let failed = 0;
for (const { name, run, url } of plan) {
  if (!url) {
    standin ??= await Standin.start();
    standin.reset();
  }
  const began = Date.now();
  try {
    await run({ browser, url: url ?? standin.url, standin, out });
    passed++;
    console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)\n${String(error.stack).replaceAll(/^/gm, "      ")}`);
    const pages = browser.contexts().flatMap((context) => context.pages());
    await pages.at(-1)?.screenshot({ path: path.join(out, `failed-${failed}.png`) }).catch(() => undefined);
    for (const words of pages.at(-1)?.complaints ?? []) console.log(`      page: ${words}`);
  }
  await Promise.all(browser.contexts().map((context) => context.close()));
}
await browser.close();
standin?.close();
if (!real) console.log("PERCH_URL is not set: the stand-in was watched");
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
