// What a viewer does with the timeline: look, zoom, play, scrub. Against the stand-in.
import assert from "node:assert/strict";
import path from "node:path";
import { facts, open, playerSeen, playing, sleep, until } from "./browser.mjs";
import { testCamera } from "./standin.mjs";
import { colourIn, HOUR, last, opened, placeOf, played, slider, spanAsked, valueText, words } from "./timeline-page.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

export const cases = {
  "timeline: goes from a year to a second and back, by wheel, keys and buttons": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    await page.getByRole("button", { name: "Year", exact: true }).click();
    await until("a year is asked for", () => Date.parse(last(standin).from) < Date.now() - 350 * 24 * HOUR);
    assert.equal(await page.getByRole("button", { name: "Year", exact: true }).getAttribute("aria-pressed"), "true");
    const { x, y } = await placeOf(page, 12 * HOUR);
    await page.mouse.move(x, y);
    for (let turn = 0; turn < 60; turn++) await page.mouse.wheel(0, -200);
    await until("whole seconds are asked for", () => last(standin).resolution === "1" && spanAsked(standin) < 20 * 60_000);
    assert.match(await words(page), /\d:\d\d:\d\d.*\d:\d\d:\d\d/);
    await slider(page).focus();
    for (let press = 0; press < 40; press++) await page.keyboard.press("-");
    await until("a year again", async () => (await page.getByRole("button", { name: "Year", exact: true }).getAttribute("aria-pressed")) === "true");
    // At the end of the scale nothing changes: each press is answered all the same.
    await sleep(500);
    await page.evaluate(() => {
      window.spoken = 0;
      new MutationObserver(() => window.spoken++).observe(document.querySelector("[role=status]"), { childList: true, subtree: true, characterData: true });
    });
    for (const times of [1, 2]) {
      await page.keyboard.press("-");
      await until(`it is said ${times} times`, () => page.evaluate((times) => window.spoken >= times, times));
    }
    for (let press = 0; press < 6; press++) await page.getByRole("button", { name: "Zoom in" }).click();
    await until("days", () => spanAsked(standin) < 30 * 24 * HOUR);
    assert.deepEqual(page.complaints, []);
  },

  "timeline: one request at a time, given up when outdated, none for what is known": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const { archive } = standin;
    archive.delay = 10_000;
    for (const unit of ["Week", "Month", "Year"]) {
      await page.getByRole("button", { name: unit, exact: true }).click();
      await sleep(500);
    }
    await until("the last is answered", () => archive.underWay === 0, 40_000);
    assert.equal(archive.underWayMost, 1);
    assert.ok(archive.aborted >= 1, `${archive.aborted} given up`);
    archive.delay = 0;
    await sleep(500);
    const before = archive.asked.length;
    await page.getByRole("button", { name: "Zoom in" }).click();
    await page.getByRole("button", { name: "Zoom out" }).click();
    await sleep(1000);
    const { length } = archive.asked;
    assert.ok(length - before <= 1, `${length - before} more requests`);
  },

  "timeline: plays from where it is pressed, and from the end of a gap": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const asked = played(page);
    const three = await placeOf(page, 3 * HOUR);
    await page.mouse.click(three.x, three.y);
    await until("three hours ago", () => asked.some(({ from }) => Math.abs(from - (Date.now() - 3 * HOUR)) < 4 * 60_000));
    await playing(page);
    await page.locator(".recordings .reason", { hasText: "Playing" }).waitFor();
    // What ends goes on with what is recorded after it: that hour ends about where two hours ago something is missing.
    const { to } = asked.at(-1);
    const next = standin.archive.nextRecorded(to);
    await page.getByRole("slider", { name: /^Position/ }).focus();
    await page.keyboard.press("End");
    await until("the next hour", () => Math.abs(asked.at(-1).from - next) < 1000);
    await playing(page);
    const gap = standin.archive.gaps.find(({ reason }) => reason === "camera_gone");
    const inGap = await placeOf(page, Date.now() - gap.from - 30 * 60_000);
    await page.mouse.click(inGap.x, inGap.y);
    await until("the end of the gap", () => asked.some(({ from }) => Math.abs(from - gap.to) < 1000));
    await playing(page);
    const now = await placeOf(page, -0.01 * HOUR);
    await page.mouse.click(now.x, now.y);
    await until("live", async () => (await page.locator(".live").innerText()).startsWith("Live"));
    assert.deepEqual(page.complaints, []);
  },

  "timeline: shows a picture of the moment below the mouse, none where nothing is recorded": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const three = await placeOf(page, 3 * HOUR);
    await page.mouse.move(three.x, three.y);
    await page.locator(".peek canvas").waitFor();
    assert.ok((await colourIn(page.locator(".peek canvas"), 0.5)) !== null);
    const gap = standin.archive.gaps.find(({ reason }) => reason === "camera_gone");
    const inGap = await placeOf(page, Date.now() - gap.from - 30 * 60_000);
    await page.mouse.move(inGap.x, inGap.y);
    await page.getByText("no recording: the camera was away").waitFor();
    await until("no picture", async () => (await page.locator(".peek canvas").count()) === 0);
    const loss = await placeOf(page, 4.9 * HOUR);
    await page.mouse.move(loss.x, loss.y);
    await page.locator(".peek-state", { hasText: "damaged" }).waitFor();
    // At either end all of it stays on the timeline.
    for (const share of [0.001, 0.97]) {
      await page.mouse.move(three.left + three.width * share, three.y);
      await sleep(1000);
      const peek = await page.locator(".peek").boundingBox();
      assert.ok(peek.x >= three.left - 1 && peek.x + peek.width <= three.left + three.width + 1, JSON.stringify(peek));
    }
    await page.mouse.move(10, 10);
    await until("nothing", async () => (await page.locator(".peek").count()) === 0);
    // The keyboard's moment is shown as long as the keyboard is there.
    await slider(page).focus();
    await page.keyboard.press("ArrowLeft");
    await page.locator(".peek").waitFor();
    await page.keyboard.press("Tab");
    await until("nothing", async () => (await page.locator(".peek").count()) === 0);
    assert.deepEqual(page.complaints, []);
  },

  "timeline: an absence longer than what is known is gone over": async ({ browser, standin }) => {
    const { archive } = standin;
    const DAY = 24 * HOUR;
    archive.gaps = [{ from: Date.now() - 30 * DAY, to: Date.now() - 2 * DAY, reason: "stopped" }];
    const page = await open(browser, standin.url);
    await page.locator(".timeline").scrollIntoViewIfNeeded();
    await until("the timeline", () => archive.asked.length > 0);
    const asked = played(page);
    for (let press = 0; press < 12; press++) await page.getByRole("button", { name: "Earlier", exact: true }).click();
    await page.getByRole("heading", { name: /on view$/ }).waitFor();
    await until("it is asked for", () => Date.parse(last(standin).to) < Date.now() - 7 * DAY);
    await until("it is known", () => archive.underWay === 0);
    await sleep(500);
    const { x, y } = await placeOf(page, 12 * HOUR);
    await page.mouse.click(x, y);
    await until("the end of it", () => asked.some(({ from }) => Math.abs(from - archive.gaps[0].to) < 1000));
    await playing(page);
    assert.deepEqual(page.complaints, []);
  },

  "timeline: the focus stays where the keyboard works": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent.trim());
    const press = async (name) => {
      await page.getByRole("button", { name, exact: true }).focus();
      await page.keyboard.press("Enter");
      await sleep(300);
    };
    await press("Earlier");
    await press("Now");
    assert.equal(await focused(), "Timeline of Test scene");
    await press("Earlier");
    for (let times = 0; times < 3; times++) await press("Later");
    assert.equal(await focused(), "Later");
    await press("Choose a range…");
    await press("Cancel");
    assert.equal(await focused(), "Choose a range…");
    await press("Choose a range…");
    await press("Keep as a clip");
    await until("it is kept", () => standin.archive.clips.length === 2);
    await until("the focus goes on", async () => (await focused()) === "Choose a range…");
    await press("Choose a range…");
    await page.getByRole("slider", { name: "Start of the range" }).focus();
    await page.keyboard.press("Escape");
    await sleep(300);
    assert.equal(await focused(), "Timeline of Test scene");
    assert.deepEqual(page.complaints, []);
  },

  "timeline: pictures below the mouse come by the strip, the next before it is there, and none twice": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const { strips } = standin.archive;
    const three = await placeOf(page, 3 * HOUR);
    await page.mouse.move(three.x, three.y);
    await page.locator(".peek canvas").waitFor();
    await until("the strip and its neighbour", () => strips.length === 2);
    assert.equal(strips[0].count, 20);
    assert.ok(strips[1].from === strips[0].to || strips[1].to === strips[0].from);
    assert.ok(strips[0].from <= Date.now() - 2.9 * HOUR && strips[0].to >= Date.now() - 3.1 * HOUR);
    const seen = new Set();
    for (let step = 0; step < 20; step++) {
      await page.mouse.move(three.x - 20 + step * 2, three.y);
      seen.add(await colourIn(page.locator(".peek canvas"), 0.5));
    }
    assert.ok(seen.size >= 3, `${seen.size} pictures`);
    // Across the whole day and back: some strips, and no more on the way back.
    const sweep = async (from, to) => {
      for (let share = 0; share <= 1; share += 0.02) {
        await page.mouse.move(three.left + three.width * (from + (to - from) * share), three.y);
        await sleep(60);
      }
      await sleep(1500);
    };
    // One that the hand had left before it came was given up, on a slow machine more of them, and may be asked for again.
    const answered = () => strips.filter((strip) => !strip.aborted).map(({ from, to }) => `${from} ${to}`);
    await sweep(0.3, 0.9);
    assert.ok(answered().length <= 12, `${answered().length} strips for a sweep`);
    await sweep(0.9, 0.3);
    assert.ok(answered().length <= 12, `${answered().length} strips for a sweep and back`);
    assert.equal(new Set(answered()).size, answered().length, JSON.stringify(strips));
    // What is outdated is given up.
    const { length } = strips;
    standin.archive.stripDelay = 3000;
    await page.getByRole("button", { name: "Week", exact: true }).click();
    await page.mouse.move(three.x, three.y);
    await until("it is asked for", () => strips.length > length);
    await page.mouse.move(10, 10);
    await until("it is given up", () => strips.at(-1).aborted);
    await sleep(500);
    assert.deepEqual(page.complaints, []);
  },

  "timeline: seen closely it is a film, with pictures only of what is recorded": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const { strips, gaps } = standin.archive;
    const asked = () => new Set(strips.map(({ from, to }) => `${from} ${to}`)).size;
    const colours = () => Promise.all([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8].map((share) => colourIn(page.locator(".timeline > canvas"), share, 30)));
    assert.equal(asked(), 0);
    await page.getByRole("button", { name: "Hour", exact: true }).click();
    await until("a film", async () => new Set(await colours()).size >= 4);
    await sleep(1500);
    assert.ok(asked() <= 2, `${asked()} strips for an hour`);
    // Within a gap there is nothing to ask for.
    await page.getByRole("button", { name: "Day", exact: true }).click();
    await page.getByRole("button", { name: /the camera was away/ }).click();
    for (let press = 0; press < 3; press++) await page.getByRole("button", { name: "Zoom in" }).click();
    await until("closer", () => spanAsked(standin) < HOUR);
    await sleep(1000);
    const gap = gaps.find(({ reason }) => reason === "camera_gone");
    assert.deepEqual(strips.filter(({ from, to }) => from >= gap.from && to <= gap.to), []);
    assert.deepEqual(page.complaints, []);
  },

  "timeline: the keyboard alone finds a moment, plays it and keeps a clip": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const asked = played(page);
    await slider(page).focus();
    for (let press = 0; press < 6; press++) await page.keyboard.press("ArrowLeft");
    await until("the moment is said", async () => /:\d\d:\d\d.*, recorded$/.test(await valueText(page)));
    await page.locator(".peek canvas").waitFor();
    await page.keyboard.press("Enter");
    await until("it plays", () => asked.some(({ from }) => Math.abs(from - (Date.now() - 1.5 * HOUR)) < 5 * 60_000));
    await playing(page);
    await page.keyboard.press("Space");
    await until("paused", async () => (await facts(page)).paused);
    for (let press = 0; press < 4; press++) await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("i");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("o");
    const edges = ["Start", "End"].map((edge) => page.getByRole("slider", { name: `${edge} of the range` }));
    const [from, to] = await Promise.all(edges.map(async (edge) => Number(await edge.getAttribute("aria-valuenow"))));
    assert.ok(Math.abs(to - from - 2 * 900) < 2, `${to - from} s`);
    await page.getByRole("button", { name: "Keep as a clip" }).focus();
    await page.keyboard.press("Enter");
    await until("kept", () => standin.archive.clips.length === 2);
    assert.equal(Math.round((standin.archive.clips[1].to - standin.archive.clips[1].from) / 1000), to - from);
    await slider(page).focus();
    await page.keyboard.press("Home");
    await until("the oldest", async () => Math.abs(Number(await slider(page).getAttribute("aria-valuenow")) - standin.archive.oldest / 1000) < 2);
    await page.keyboard.press("End");
    await until("now", async () => (await valueText(page)).endsWith("now"));
    await page.keyboard.press("Escape");
    assert.deepEqual(page.complaints, []);
  },

  "timeline: fingers pan, pinch and tap": async ({ browser, standin }) => {
    const page = await opened(browser, standin, PHONE);
    const asked = played(page);
    const session = await page.context().newCDPSession(page);
    const { left, width, y } = await placeOf(page, HOUR);
    const touch = (type, ...xs) => session.send("Input.dispatchTouchEvent", { type, touchPoints: xs.map((share, id) => ({ id, x: left + width * share, y })) });
    const drag = async (starts, ends) => {
      await touch("touchStart", ...starts);
      for (let step = 1; step <= 8; step++) await touch("touchMove", ...starts.map((start, at) => start + ((ends[at] - start) * step) / 8));
      await touch("touchEnd");
    };
    // What is asked for begins at round times before what is on view: how far depends on the time of day.
    const before = Date.parse(last(standin).from);
    for (let drags = 0; drags < 2; drags++) await drag([0.2], [0.8]);
    await until("earlier", () => Date.parse(last(standin).from) < before - 6 * HOUR);
    assert.equal(await page.getByRole("slider", { name: "Start of the range" }).count(), 0);
    await drag([0.4, 0.6], [0.05, 0.95]);
    await until("closer", () => spanAsked(standin) < 16 * HOUR && Number(last(standin).resolution) <= 60);
    assert.equal(asked.length, 0);
    await page.touchscreen.tap(left + width / 2, y);
    await until("played", () => asked.length > 0);
    await playing(page);
  },

  "timeline: begins with what is now on the box, though its clock is days behind": async ({ browser, standin }) => {
    const page = await open(browser, standin.url);
    await page.addInitScript((ahead) => {
      const { now } = Date;
      Date.now = () => now() + ahead;
    }, 3 * 24 * HOUR);
    await page.reload();
    await page.getByRole("heading", { name: "2 gaps, 1 loss on view" }).waitFor({ timeout: 20_000 });
    assert.equal(await page.getByRole("button", { name: "Now", exact: true }).count(), 0);
    assert.match(await valueText(page), /, now$/);
  },

  "timeline: a day with a change of the clock is as long as it was": async ({ browser, standin }) => {
    // The last Sunday in October before now.
    const day = new Date();
    if (day.getUTCMonth() < 9 || (day.getUTCMonth() === 9 && day.getUTCDate() < 25)) day.setUTCFullYear(day.getUTCFullYear() - 1);
    day.setUTCMonth(9, 31);
    day.setUTCDate(31 - day.getUTCDay());
    const noon = `${day.toISOString().slice(0, 10)}T12:00`;
    const page = await opened(browser, standin, { timezoneId: "Europe/Berlin", locale: "en-GB" });
    await page.getByRole("button", { name: "Choose a range…" }).click();
    await page.getByLabel("From").fill(noon);
    await page.getByLabel("To", { exact: true }).fill(noon.replace("12:00", "12:30"));
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await slider(page).focus();
    await page.locator(".recordings .reason", { hasText: "Playing" }).waitFor();
    await page.keyboard.press("ArrowLeft");
    await until("the moment before it", async () => (await valueText(page)).includes(`${day.getUTCDate()} Oct`));
    await page.getByRole("button", { name: "Day", exact: true }).click();
    await until("that day", async () => (await words(page)).includes(`${day.getUTCDate()} October`));
    assert.match(await words(page), /^Sunday.*\(25 hours: the clocks change\)$/);
    await until("all of it is asked for", () => spanAsked(standin) >= 25 * HOUR);
  },

  "timeline: gaps and clips are lists, times are sliders with words": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send("Accessibility.getFullAXTree");
    const seen = nodes.filter((node) => !node.ignored).map((node) => [node.role?.value, node.name?.value ?? ""]);
    for (const [role, name] of [
      ["slider", /^Timeline of Test scene$/],
      ["heading", /^Clips$/],
      ["heading", /^2 gaps, 1 loss on view$/],
      ["button", /95 min|1 h 35 min.*the camera was away/],
      ["button", /20 min.*damaged on the disk/],
      ["button", /^Play the clip The fox at the bins$/],
      ["button", /^Zoom in$/],
      ["heading", /^Disk$/],
    ]) {
      assert.ok(seen.some(([r, n]) => r === role && name.test(n)), `no ${role} named ${name} among ${JSON.stringify(seen)}`);
    }
    assert.match(await valueText(page), /^\w+.*\d:\d\d.*, now$/);
    await page.getByRole("button", { name: /the camera was away/ }).click();
    await until("the gap is seen closely", () => spanAsked(standin) < 12 * HOUR);
    await page.mouse.move(5, 5);
  },

  "timeline: the disk says when it is full": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const disk = page.getByRole("region", { name: "Disk" });
    await until("the forecast", async () => /At this rate the disk is full on .*; from then on the oldest recordings go\./.test(await disk.innerText()));
    assert.match(await disk.innerText(), /16 GB of clips and files take 6 GB: 62 % saved by storing everything once\./);
    assert.match(await disk.innerText(), /reach back 40 days, and will reach back 43 days/);
    standin.archive.storeChanges = { forecast: { state: "full", bytes_per_day: 20e9, full_at: null, days_left: 0, reach_days: 12.3 } };
    await page.reload();
    await until("full", async () => /The disk is full: the oldest recordings go to make room\.\s+Recordings reach back 12 days\./.test(await disk.innerText()));
  },

  "timeline: a server that does not answer is asked again, and what is wrong is said": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    await page.route("**/api/v1/timeline*", (route) =>
      route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify({ detail: "the index is being made again" }) }),
    );
    await page.getByRole("button", { name: "Year", exact: true }).click();
    await page.getByText("The index is being made again.").waitFor();
    await page.unroute("**/api/v1/timeline*");
    await until("all is well", async () => (await page.getByText("The index is being made again.").count()) === 0);
  },

  "timeline: fits a phone of 360 pixels": async ({ browser, standin }) => {
    const page = await opened(browser, standin, PHONE);
    await page.getByRole("button", { name: "Choose a range…" }).click();
    const { wide, outside } = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth,
      outside: [...document.querySelectorAll(".recordings *, .disk *")]
        .filter((one) => !one.closest(".edge, .playhead") && one.getBoundingClientRect().right > 360.5)
        .map((one) => one.outerHTML.slice(0, 120)),
    }));
    assert.ok(wide <= 360, `${wide} pixels wide`);
    assert.deepEqual(outside, []);
  },

  "timeline: what is played by keys or as a range comes into sight, and the focus stays": async ({ browser, standin }) => {
    const page = await opened(browser, standin, PHONE);
    const asked = played(page);
    /** Presses Enter on something with the page scrolled so far. */
    const enter = async (one, scrolled) => {
      await one.evaluate((element, scrolled) => {
        element.focus({ preventScroll: true });
        window.scrollTo(0, scrolled);
      }, scrolled);
      await sleep(300);
      const [seen, count] = [await playerSeen(page), asked.length];
      await page.keyboard.press("Enter");
      await until("a recording is asked for", () => asked.length > count);
      return seen;
    };
    const comesIntoSight = async (one) => {
      assert.ok((await enter(one, 100_000)) < 0.1, "it is out of sight");
      await until("it is in sight", async () => (await playerSeen(page)) > 0.99);
      assert.equal(await one.evaluate((element) => document.activeElement === element), true);
    };
    await slider(page).focus();
    for (let press = 0; press < 8; press++) await page.keyboard.press("ArrowLeft");
    await comesIntoSight(slider(page));
    // What is in sight for the most part stays where it is.
    await page.keyboard.press("ArrowLeft");
    assert.ok((await enter(slider(page), 80)) > 0.5);
    await sleep(700);
    assert.equal(await page.evaluate(() => window.scrollY), 80);
    await page.getByRole("button", { name: "Choose a range…" }).click();
    await comesIntoSight(page.locator("#chosen-range").getByRole("button", { name: "Play", exact: true }));
  },

  "timeline: pictures of it": async ({ browser, standin, out }) => {
    standin.cameras = [testCamera()];
    const at = (name) => path.join(out, `timeline-${name}.png`);
    for (const [name, media, ago] of [["Blackbird at dawn.flac", "sound", 7], ["The fox, from the other camera.mp4", "video", 3]]) {
      standin.files.addItem({ name, media, camera: "test", at: new Date(Date.now() - ago * HOUR).toISOString() });
    }
    for (const colorScheme of ["light", "dark"]) {
      const page = await opened(browser, standin, { viewport: { width: 1360, height: 900 }, colorScheme });
      await sleep(1000);
      const three = await placeOf(page, 3 * HOUR);
      await page.mouse.move(three.x, three.y);
      await page.locator(".peek canvas").waitFor();
      await page.screenshot({ path: at(`day-${colorScheme}`), fullPage: true });
      for (const unit of ["Hour", "Week", "Month", "Year"]) {
        await page.getByRole("button", { name: unit, exact: true }).click();
        await sleep(1000);
        await page.locator(".recordings").screenshot({ path: at(`${unit.toLowerCase()}-${colorScheme}`) });
      }
      const [from, to] = [await placeOf(page, 9 * HOUR), await placeOf(page, 6 * HOUR)];
      await page.getByRole("button", { name: "Day", exact: true }).click();
      await page.mouse.move(from.x, from.y);
      await page.mouse.down();
      await page.mouse.move(to.x, to.y, { steps: 4 });
      await sleep(800);
      await page.locator(".recordings").screenshot({ path: at(`range-${colorScheme}`) });
      await page.mouse.up();
      await page.getByRole("button", { name: /^Delete the clip/ }).click();
      await sleep(300);
      await page.screenshot({ path: at(`delete-${colorScheme}`) });
      await page.context().close();
      const phone = await opened(browser, standin, { ...PHONE, colorScheme });
      await phone.getByRole("button", { name: "Choose a range…" }).click();
      await sleep(1000);
      await phone.screenshot({ path: at(`phone-${colorScheme}`), fullPage: true });
      await phone.context().close();
    }
  },
};
