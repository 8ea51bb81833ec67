// Chromium as the tests want it, and short ways to ask the page how it fares.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** The driver, fetched as the lock file says where it is not there yet. */
async function driver() {
  const here = path.dirname(fileURLToPath(import.meta.url));
  const needed = ["playwright-core", "tus-js-client"];
  if (!needed.every((name) => existsSync(path.join(here, "node_modules", name, "package.json")))) {
    console.log("fetching playwright-core, which drives Chromium, and tus-js-client, which uploads");
    execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: here, stdio: "inherit" });
  }
  return import("playwright-core");
}

export async function launch() {
  const { chromium } = await driver();
  return chromium.launch({
    executablePath: EXECUTABLE,
    headless: true,
    args: [
      ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
      ...["--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
    ],
  });
}

/** A new page on its own context, with everything that it complained about kept in `page.complaints`. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.complaints.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== new URL(url).origin && protocol !== "blob:") page.complaints.push(`outside: ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

/** How the picture fares, in seconds and pixels. */
export const facts = (page) =>
  page.evaluate(() => {
    const video = document.querySelector("video");
    const { currentTime, videoWidth, videoHeight, paused, muted, buffered, readyState } = video;
    const ranges = Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)]);
    return { currentTime, videoWidth, videoHeight, paused, muted, ranges, readyState };
  });

/** Which share of the player's height is in sight. */
export const playerSeen = (page) =>
  page.locator(".player").evaluate((one) => {
    const { top, bottom, height } = one.getBoundingClientRect();
    return (Math.min(bottom, innerHeight) - Math.max(top, 0)) / height;
  });

/** Counts how often the player is emptied from now on: a stop that no buffer hides. */
export async function countStops(page) {
  await page.evaluate(() => {
    window.stops = 0;
    document.querySelector("video").addEventListener("emptied", () => window.stops++);
  });
  return () => page.evaluate(() => window.stops);
}

/** Asks `question` until it answers truthfully, at most for `ms`; fails naming `what`. */
export async function until(what, question, ms = 20_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`did not happen within ${ms / 1000} s: ${what}`);
    await sleep(100);
  }
}

/** Opens the menu of qualities with a mouse: the controls come when it moves over the picture, and are not there before. */
export async function openQualities(page) {
  const { x, y, width, height } = await page.locator(".player").boundingBox();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.move(x + width / 2 + 8, y + height / 2, { steps: 2 });
  await page.locator(".quality").click();
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until pictures move. */
export async function playing(page, ms = 20_000) {
  await until("the picture moves", async () => (await facts(page)).readyState >= 3, ms);
  const { currentTime } = await facts(page);
  await until("the picture moves", async () => (await facts(page)).currentTime > currentTime + 0.5, ms);
}
