// What a viewer does with a healthy appliance. Each case opens the page afresh; `url` may be a real perch.
import assert from "node:assert/strict";
import { countStops, facts, open, openQualities, playing, sleep, until } from "./browser.mjs";

/** A link that carries the second rung from below with sound, and nothing above. */
const SLOW_BYTES_PER_SECOND = 190_000;
const SETTLE_MS = 22_000;

const quality = (page) => page.locator(".quality");
/** The ladder, once every rung of it runs: a browser that starts can cost a small machine one for some seconds. */
const heights = (url) =>
  until(
    "every rung runs",
    async () => {
      const { cameras } = await (await fetch(`${url}/api/v1/cameras`)).json();
      const { rungs } = cameras[0];
      return rungs.every((rung) => rung.running) && rungs.map((rung) => rung.height);
    },
    60_000,
  );

async function throttle(page, bytesPerSecond) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const rate = { downloadThroughput: bytesPerSecond, uploadThroughput: -1, latency: 0, offline: false };
  return { session, set: (to) => session.send("Network.emulateNetworkConditions", { ...rate, downloadThroughput: to }) };
}

export const cases = {
  "the page plays, by itself and without sound": async ({ browser, url }) => {
    const page = await open(browser, url);
    await playing(page);
    const { videoHeight, paused, muted } = await facts(page);
    assert.ok((await heights(url)).includes(videoHeight), `${videoHeight} is no rung`);
    assert.equal(paused, false);
    assert.equal(muted, true);
    await until("the quality on view is the one that plays", async () => {
      const shown = await quality(page).innerText();
      return shown.includes(`${(await facts(page)).videoHeight}p`);
    });
    await until("the delay is on view", async () => /\d\.\d s/.test(await page.locator(".live").innerText()));
    assert.deepEqual(page.complaints, []);
  },

  "what is buffered stays one range": async ({ browser, url }) => {
    const page = await open(browser, url);
    await playing(page);
    for (let second = 0; second < SETTLE_MS / 1000; second++) {
      const { ranges } = await facts(page);
      assert.equal(ranges.length, 1, `after ${second} s: ${JSON.stringify(ranges)}`);
      await sleep(1000);
    }
    assert.deepEqual(page.complaints, []);
  },

  "each quality can be chosen, and plays on without a stop": async ({ browser, url }) => {
    const page = await open(browser, url);
    await playing(page);
    const stops = await countStops(page);
    for (const height of await heights(url)) {
      await openQualities(page);
      await page.getByRole("menuitemradio", { name: new RegExp(`^${height}p`) }).click();
      await until(`the picture has ${height} rows`, async () => (await facts(page)).videoHeight === height);
      const { ranges } = await facts(page);
      assert.equal(ranges.length, 1, JSON.stringify(ranges));
    }
    assert.equal(await stops(), 0);
    await openQualities(page);
    await page.getByRole("menuitemradio", { name: /^Auto/ }).click();
    await until("Auto is on view", async () => (await quality(page).innerText()).includes("Auto"));

    // The one that Auto plays is fixed by choosing it: Auto would step down for so small a picture.
    const { videoHeight } = await facts(page);
    await openQualities(page);
    await page.getByRole("menuitemradio", { name: new RegExp(`^${videoHeight}p`) }).click();
    await until("a fixed quality is on view", async () => !(await quality(page).innerText()).includes("Auto"));
    await page.setViewportSize({ width: 480, height: 700 });
    await sleep(8000);
    assert.equal((await facts(page)).videoHeight, videoHeight);
    assert.match(await quality(page).getAttribute("aria-label"), /fixed/);
  },

  "a slow link lowers the quality, a fast one raises it again": async ({ browser, url }) => {
    const page = await open(browser, url);
    await playing(page);
    await sleep(4000);
    const first = (await facts(page)).videoHeight;
    const link = await throttle(page, SLOW_BYTES_PER_SECOND);
    await link.set(SLOW_BYTES_PER_SECOND);
    await until(`lower than ${first} rows`, async () => (await facts(page)).videoHeight < first, 40_000);
    const low = (await facts(page)).videoHeight;
    await link.set(-1);
    await until(`higher than ${low} rows`, async () => (await facts(page)).videoHeight > low, 60_000);
    await playing(page);
    assert.equal((await facts(page)).ranges.length, 1);
  },

  "the keyboard does it all": async ({ browser, url }) => {
    const page = await open(browser, url);
    await playing(page);
    await page.keyboard.press("Space");
    await until("paused", async () => (await facts(page)).paused);
    await page.keyboard.press("l");
    await until("live again", async () => !(await facts(page)).paused);
    await page.keyboard.press("m");
    await until("sound", async () => !(await facts(page)).muted);
    await page.keyboard.press("m");
    await page.keyboard.press("f");
    await until("full screen", () => page.evaluate(() => !!document.fullscreenElement));
    await page.keyboard.press("f");
    await until("out of full screen", () => page.evaluate(() => !document.fullscreenElement));
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.keyboard.press("ArrowLeft");
    await until("back in time", async () => (await page.locator(".live").innerText()).includes("Go live"));
    await page.keyboard.press("l");
    await until("at the edge", async () => (await page.locator(".live").innerText()).startsWith("Live"));

    // Through the page by Tab alone: each stop is seen, and the quality menu can be worked.
    const stops = [];
    for (let press = 0; press < 40; press++) {
      await page.keyboard.press("Tab");
      const stop = await page.evaluate(() => {
        const focused = document.activeElement;
        if (!focused || focused === document.body) return null;
        const { outlineStyle, outlineWidth } = getComputedStyle(focused);
        return {
          name: focused.getAttribute("aria-label") ?? focused.textContent.trim(),
          ring: outlineStyle !== "none" && parseFloat(outlineWidth) >= 1,
        };
      });
      if (!stop) break;
      if (stops.some((known) => known.name === stop.name)) break;
      stops.push(stop);
    }
    for (const wanted of [/Pause/, /^Live/, /Quality/, /still/, /Full screen/, /Last 5 min/]) {
      assert.ok(stops.some((stop) => wanted.test(stop.name)), `${wanted} among ${JSON.stringify(stops)}`);
    }
    assert.deepEqual(stops.filter((stop) => !stop.ring), [], "stops without a focus ring");
    await quality(page).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    const lowest = Math.min(...(await heights(url)));
    await until("the lowest quality", async () => (await facts(page)).videoHeight === lowest);
    assert.equal(await page.evaluate(() => document.activeElement.classList.contains("quality")), true);
  },

  "a screen reader finds landmarks, names and what changes": async ({ browser, url }) => {
    const page = await open(browser, url);
    await playing(page);
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send("Accessibility.getFullAXTree");
    const seen = nodes.filter((node) => !node.ignored).map((node) => [node.role?.value, node.name?.value ?? ""]);
    const has = (role, name) => seen.some(([r, n]) => r === role && name.test(n));
    for (const [role, name] of [
      ["banner", /^/],
      ["main", /^/],
      ["region", /^Player/],
      ["heading", /./],
      ["button", /^Pause$/],
      ["button", /^Live, \d/],
      ["button", /^Quality: Auto, \d+p now$/],
      ["button", /^Full screen$/],
      ["button", /^Save a still picture$/],
      ["heading", /^Recordings$/],
      ["table", /^Qualities$/],
      ["status", /^/],
    ]) {
      assert.ok(has(role, name), `no ${role} named ${name}`);
    }
    const nameless = seen.filter(([role, name]) => ["button", "slider", "link", "checkbox", "textbox"].includes(role) && !name.trim());
    assert.deepEqual(nameless, []);
    await page.keyboard.press("m");
    await until("the change is said", async () => (await page.getByRole("status").innerText()).includes("Sound on"));
  },

  "a recording plays in the same player, and live comes back": async ({ browser, url }) => {
    const page = await open(browser, url);
    await playing(page);
    await page.getByRole("button", { name: "Last 5 min" }).click();
    const bar = page.getByRole("slider", { name: /Position/ });
    await bar.waitFor();
    await playing(page);
    const duration = Number(await until("its length", async () => (await bar.getAttribute("max")) > 5 && bar.getAttribute("max")));
    await bar.focus();
    await page.keyboard.press("End");
    await until("sought to the end", async () => (await facts(page)).currentTime > duration - 3);
    await page.keyboard.press("Home");
    await until("sought to the start", async () => (await facts(page)).currentTime < 3);
    await page.locator(".live").focus();
    await page.keyboard.press("Enter");
    await until("live again", async () => (await page.locator(".live").innerText()).startsWith("Live"));
    assert.equal(await page.evaluate(() => document.activeElement.className), "live");
    await playing(page);
    await page.getByRole("button", { name: "Last 5 min" }).click();
    await page.locator(".recordings").getByRole("button", { name: "Back to live" }).click();
    await until("live again", async () => (await page.locator(".live").innerText()).startsWith("Live"));
    assert.equal(await page.evaluate(() => document.activeElement.id), "recordings");
    await playing(page);
    assert.deepEqual(page.complaints, []);
  },

  "a still picture is saved under the camera's name": async ({ browser, url }) => {
    const page = await open(browser, url);
    await playing(page);
    const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("s")]);
    assert.match(download.suggestedFilename(), /^[a-z0-9-]+-\d{4}-\d\d-\d\dT[\d-]+Z\.jpg$/);
  },

  "a finger brings the controls before it can press one, and they stay": async ({ browser, url }) => {
    const page = await open(browser, url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await playing(page);
    const hidden = () => page.evaluate(() => getComputedStyle(document.querySelector(".controls")).opacity === "0");
    const { x, y, width, height } = await page.getByRole("button", { name: "Pause" }).boundingBox();
    await until("the controls step aside", hidden);
    for (const [tap, paused] of [["the first", false], ["the second", true]]) {
      await page.touchscreen.tap(x + width / 2, y + height / 2);
      await sleep(800);
      assert.equal(await hidden(), false, `after ${tap} tap the controls are there`);
      assert.equal((await facts(page)).paused, paused, `after ${tap} tap`);
    }
  },

  "nothing is wider than a phone of 360 pixels": async ({ browser, url }) => {
    const page = await open(browser, url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await playing(page);
    for (const source of ["live", "a recording"]) {
      if (source !== "live") {
        await page.getByRole("button", { name: "Last 5 min" }).click();
        await page.getByRole("slider", { name: /Position/ }).waitFor();
        await playing(page);
      }
      const { wide, small } = await page.evaluate(() => {
        const shown = [...document.querySelectorAll("button, input, a")].filter((one) => one.offsetWidth > 1);
        return {
          wide: document.documentElement.scrollWidth,
          small: shown.filter((one) => one.closest(".player") && one.offsetHeight < 24).map((one) => one.outerHTML),
        };
      });
      assert.ok(wide <= 360, `${source}: ${wide} pixels wide`);
      assert.deepEqual(small, [], source);
      const controls = await page.locator(".controls .row > *, .controls .row .control").evaluateAll((all) =>
        all.filter((one) => one.getBoundingClientRect().right > 360.5).map((one) => one.outerHTML),
      );
      assert.deepEqual(controls, [], source);
    }
  },

  "every quality can be pressed on a phone, upright and on its side": async ({ browser, url }) => {
    const page = await open(browser, url, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await playing(page);
    for (const size of [{ width: 360, height: 740 }, { width: 740, height: 360 }]) {
      await page.setViewportSize(size);
      await openQualities(page);
      await page.getByRole("menu").waitFor();
      const covered = await page.getByRole("menuitemradio").evaluateAll((all) =>
        all.filter((one) => {
          const { left, top, width, height } = one.getBoundingClientRect();
          return document.elementFromPoint(left + width / 2, top + height / 2)?.closest("[role=menuitemradio]") !== one;
        }).map((one) => one.textContent),
      );
      assert.deepEqual(covered, [], `at ${size.width} pixels`);
      await page.keyboard.press("Escape");
      await page.getByRole("menu").waitFor({ state: "hidden" });
    }
  },
};
