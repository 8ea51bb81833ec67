// What a viewer sees when something is away, and that the picture returns by itself. Against the stand-in.
import assert from "node:assert/strict";
import { countStops, facts, open, openQualities, playerSeen, playing, sleep, until } from "./browser.mjs";
import { RUNGS } from "./standin-media.mjs";
import { testCamera } from "./standin.mjs";

const shows = (page, words) => until(`“${words}” is shown`, async () => (await page.locator(".player").innerText()).includes(words));
const says = (page, words) => until(`“${words}” is said`, async () => (await page.getByRole("status").innerText()).includes(words));
const clear = (page) => until("nothing covers the picture", async () => (await page.locator(".notice").count()) === 0);

export const cases = {
  "an unplugged camera is waited for, and its picture returns": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await playing(page);
    const reason = "unplugged from usb port 1-1.2";
    standin.frozenAt = Date.now();
    standin.cameras = [testCamera({ state: "vanished", reason, mode: null })];
    await shows(page, "Waiting for the camera to come back");
    await shows(page, "Unplugged from usb port 1-1.2.");
    await says(page, "Test scene: Waiting for the camera to come back.");
    await sleep(9000);
    const { readyState, videoHeight } = await facts(page);
    assert.ok(readyState >= 2 && videoHeight > 0, "the last picture stays");
    standin.frozenAt = null;
    standin.cameras = [testCamera()];
    await clear(page);
    await says(page, "Test scene is live.");
    await playing(page, 6000);
  },

  "a server that does not answer is asked again until it does": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await playing(page);
    standin.silent = true;
    standin.server.closeAllConnections();
    await shows(page, "Perch cannot be reached");
    await says(page, "Perch cannot be reached");
    await sleep(5000);
    standin.silent = false;
    await clear(page);
    await playing(page, 8000);
    await until("at the edge again", async () => /^Live\s+[0-4]\.\d s/.test(await page.locator(".live").innerText()));
  },

  "a rung that is shed is left without a stop, and comes back": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await playing(page);
    await sleep(3000);
    const before = await facts(page);
    const name = RUNGS.find((rung) => rung.height === before.videoHeight).name;
    const stops = await countStops(page);
    standin.shed(name, true);
    await until("another rung plays", async () => (await facts(page)).videoHeight !== before.videoHeight);
    await sleep(4000);
    const after = await facts(page);
    assert.ok(after.currentTime > before.currentTime + 3, "the picture went on");
    assert.equal(after.ranges.length, 1, JSON.stringify(after.ranges));
    assert.equal(await stops(), 0);
    await until("the table says so", async () => (await page.locator(".rungs").innerText()).includes("Paused"));
    standin.shed(name, false);
    await until("the rung plays again", async () => (await facts(page)).videoHeight === before.videoHeight, 60_000);
  },

  "an encoder that starts again is played through": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await playing(page);
    const stops = await countStops(page);
    standin.restartEncoder();
    await sleep(8000);
    standin.restartEncoder();
    await sleep(8000);
    const { ranges, currentTime } = await facts(page);
    assert.equal(ranges.length, 1, JSON.stringify(ranges));
    assert.equal(await stops(), 0);
    await until("the picture moves", async () => (await facts(page)).currentTime > currentTime + 1);
    await until("at the edge", async () => /^Live\s+[01]\.\d s/.test(await page.locator(".live").innerText()));
    assert.deepEqual(page.complaints, []);
  },

  "a rung chosen by the viewer that is shed gives way to Auto": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await playing(page);
    await openQualities(page);
    await page.getByRole("menuitemradio", { name: "480p" }).click();
    await until("480 rows", async () => (await facts(page)).videoHeight === 480);
    standin.shed("low", true);
    await until("another rung plays", async () => (await facts(page)).videoHeight !== 480);
    await until("Auto is on view", async () => (await page.locator(".quality").innerText()).includes("Auto"));
    standin.shed("low", false);
  },

  "a rung that runs only later is found": async ({ browser, standin }) => {
    for (const name of ["medium", "high"]) standin.shed(name, true);
    const page = await open(browser, standin.url);
    await playing(page);
    assert.equal((await facts(page)).videoHeight, 480);
    for (const name of ["medium", "high"]) standin.shed(name, false);
    await until("720 rows", async () => (await facts(page)).videoHeight === 720, 30_000);
  },

  "each state and problem stands on the page in words": async ({ browser, standin }) => {
    standin.cameras = [testCamera({ state: "starting" })];
    const page = await open(browser, standin.url);
    await shows(page, "Starting the camera");
    standin.cameras = [testCamera({ state: "failed", reason: "/dev/video0 is busy: close the program that uses it", rungs: [] })];
    await shows(page, "/dev/video0 is busy: close the program that uses it.");
    standin.cameras = [];
    await shows(page, "No camera yet");
    standin.problems = [{ code: "disk_full", detail: "the disk is full: recording paused" }];
    await until("the problem", async () => (await page.locator("main").innerText()).includes("The disk is full: recording paused."));
    standin.problems = [];
  },

  "one of several cameras is chosen by a press": async ({ browser, standin }) => {
    standin.cameras = [
      testCamera(),
      testCamera({ id: "garden", name: "Garden" }),
      testCamera({ id: "door", name: "Front door", state: "vanished" }),
    ];
    const page = await open(browser, standin.url);
    await playing(page);
    const tiles = page.getByRole("navigation", { name: "Cameras" }).getByRole("button");
    assert.equal(await tiles.count(), 3);
    await until("stills", async () => (await page.locator(".tile img").count()) === 2);
    await tiles.nth(1).click();
    await page.getByRole("heading", { name: "Garden" }).waitFor();
    assert.equal(new URL(page.url()).hash, "#garden");
    await playing(page);
    await page.keyboard.press("3");
    await shows(page, "Waiting for the camera to come back");
    await page.keyboard.press("1");
    await playing(page);
  },

  "a tile shows a still that takes long, and says when it has none of now": async ({ browser, standin }) => {
    standin.cameras = [testCamera(), testCamera({ id: "garden", name: "Garden" })];
    standin.stillDelay = 6000;
    const page = await open(browser, standin.url);
    const garden = page.locator(".tile", { hasText: "Garden" });
    await until("its still", async () => (await garden.locator("img").count()) === 1);
    assert.match(await garden.innerText(), /Live/);
    await sleep(6000);
    assert.equal(standin.stillsUnderWayMost, 2, "one for each tile");
    standin.stillTrouble = true;
    await until("it is old", async () => /No new picture/.test(await garden.innerText()), 40_000);
    assert.equal(await garden.getAttribute("data-old"), "true");
    Object.assign(standin, { stillTrouble: false, stillDelay: 0 });
    await until("it is new", async () => /Live/.test(await garden.innerText()), 20_000);
    standin.silent = true;
    standin.server.closeAllConnections();
    await until("the box is away", async () => /No answer/.test(await garden.innerText()));
    assert.match(await page.locator(".side .state[data-state]").innerText(), /No answer/);
    standin.silent = false;
    await until("the box is back", async () => /Live/.test(await garden.innerText()));
  },

  "a press on the last of many cameras brings the picture that it changes into sight": async ({ browser, standin }) => {
    standin.cameras = [testCamera(), ...Array.from({ length: 11 }, (_, at) => testCamera({ id: `camera-${at}`, name: `Camera ${at}` }))];
    const page = await open(browser, standin.url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await playing(page);
    const last = page.locator(".tile").last();
    await last.scrollIntoViewIfNeeded();
    assert.ok((await playerSeen(page)) < 0.5, "it is out of sight");
    await last.focus();
    await page.keyboard.press("Enter");
    await until("it is in sight", async () => (await playerSeen(page)) > 0.99);
    assert.equal(await last.evaluate((one) => document.activeElement === one), true);
    assert.equal(new URL(page.url()).hash, "#camera-10");
  },

  "a picture that was paused stays though the server goes and comes back": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await playing(page);
    await page.keyboard.press("Space");
    await sleep(300);
    const { currentTime } = await facts(page);
    const stops = await countStops(page);
    standin.silent = true;
    standin.server.closeAllConnections();
    await says(page, "Perch cannot be reached");
    await sleep(12_000);
    assert.equal(await page.locator(".notice").count(), 0);
    standin.silent = false;
    await says(page, "Perch answers again");
    await sleep(3000);
    const after = await facts(page);
    assert.deepEqual([after.currentTime, after.readyState >= 2, await stops()], [currentTime, true, 0]);
    await page.keyboard.press("Space");
    await playing(page);
  },

  "a part of the page that could not be had comes with the page, loaded again": async ({ browser, standin }) => {
    const page = await (await browser.newContext()).newPage();
    let loads = 0;
    page.on("load", () => loads++);
    await page.route("**/assets/hls-*.js", (route) => route.abort());
    await page.goto(standin.url);
    // By itself once, then by hand.
    const button = page.getByRole("button", { name: "Reload the page" });
    await until("it was loaded again", () => loads === 2, 30_000);
    await until("it is offered", async () => loads === 2 && (await button.count()) === 1, 30_000);
    await page.unroute("**/assets/hls-*.js");
    await button.click();
    await playing(page);
  },

  "a still picture that cannot be had is told of": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await playing(page);
    standin.stillTrouble = true;
    await page.keyboard.press("s");
    await page.getByText("The picture was not saved: The answer was 503.").waitFor();
    standin.stillTrouble = false;
    await Promise.all([page.waitForEvent("download"), page.keyboard.press("s")]);
    await until("it is over", async () => (await page.getByText("The picture was not saved").count()) === 0);
  },

  "the view stays with its camera though another is live, whatever the address says": async ({ browser, standin }) => {
    const garden = testCamera({ id: "garden", name: "Garden" });
    standin.cameras = [testCamera(), garden];
    const page = await open(browser, `${standin.url}/#%`);
    await playing(page);
    standin.cameras = [testCamera({ state: "vanished", reason: "unplugged", mode: null }), garden];
    await shows(page, "Waiting for the camera to come back");
    await page.getByRole("heading", { name: "Test scene" }).waitFor();
    assert.deepEqual(page.complaints, []);
  },

  "a time without recording says so": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await playing(page);
    await page.getByRole("button", { name: "Choose a range…" }).click();
    await page.getByLabel("From").fill("2020-01-01T10:00");
    await page.getByLabel("To", { exact: true }).fill("2020-01-01T09:00");
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await until("what is wrong", async () => (await page.getByRole("alert").innerText()).includes("after the start"));
    await page.getByLabel("To", { exact: true }).fill("2020-01-01T11:00");
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await shows(page, "Nothing was recorded then");
    await page.locator(".notice").getByRole("button", { name: "Back to live" }).click();
    await clear(page);
    await playing(page);
  },

  "a browser that does not start by itself offers to": async ({ browser, standin }) => {
    const context = await browser.newContext();
    await context.addInitScript(() => {
      const { play } = HTMLMediaElement.prototype;
      HTMLMediaElement.prototype.play = function () {
        return window.allowed ? play.call(this) : Promise.reject(new DOMException("not now", "NotAllowedError"));
      };
      // The attribute alone would start it.
      Object.defineProperty(HTMLMediaElement.prototype, "autoplay", { set() {}, get: () => false });
    });
    const page = await context.newPage();
    await page.goto(standin.url);
    const button = page.getByRole("button", { name: "Play", exact: true });
    await button.waitFor();
    await page.evaluate(() => (window.allowed = true));
    await button.click();
    await playing(page);
  },

  "a browser without H.264 is told what it needs": async ({ browser, standin }) => {
    const context = await browser.newContext();
    await context.addInitScript(() => {
      MediaSource.isTypeSupported = () => false;
      HTMLMediaElement.prototype.canPlayType = () => "";
    });
    const page = await context.newPage();
    await page.goto(standin.url);
    await shows(page, "This browser cannot play the picture");
  },
};
