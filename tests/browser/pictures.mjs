// The page as pictures, for the README and for a person to look at. They land in target/browser/.
import path from "node:path";
import { open, openQualities, playing, sleep } from "./browser.mjs";
import { testCamera } from "./standin.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const DESKTOP = { viewport: { width: 1360, height: 800 } };

async function picture(browser, url, file, options, before = async () => undefined) {
  const page = await open(browser, url, options);
  await playing(page);
  await sleep(1500);
  await before(page);
  await page.screenshot(file.endsWith(".jpg") ? { path: file, type: "jpeg", quality: 84 } : { path: file });
  await page.context().close();
}

/** So that the controls are on the picture. */
const pointAt = async (page) => {
  await page.mouse.move(400, 300, { steps: 3 });
  await sleep(400);
};

export const cases = {
  "pictures of the page": async ({ browser, url, out }) => {
    const at = (name) => path.join(out, `${name}.png`);
    for (const colorScheme of ["light", "dark"]) {
      await picture(browser, url, at(`phone-${colorScheme}`), { ...PHONE, colorScheme });
      await picture(browser, url, at(`desktop-${colorScheme}`), { ...DESKTOP, colorScheme }, pointAt);
    }
    // A camera's noise makes a PNG of megabytes, and this one is kept in the repository.
    await picture(browser, url, path.join(out, "readme.jpg"), { ...DESKTOP, colorScheme: "dark", deviceScaleFactor: 1.5 }, pointAt);
  },

};

export const standinCases = {
  "pictures of what only the stand-in shows": async ({ browser, standin, out }) => {
    standin.cameras = [
      testCamera({
        id: "drive",
        name: "Drive",
        gaps: [{ from: new Date(Date.now() - 7_300_000).toISOString(), to: new Date(Date.now() - 7_288_000).toISOString(), reason: "unplugged" }],
        rungs: testCamera().rungs.map((rung) => ({ ...rung, running: rung.name !== "high" })),
      }),
      testCamera({ id: "garden", name: "Garden" }),
      testCamera({ id: "door", name: "Front door, by the mat", state: "vanished", reason: "unplugged at 14:02" }),
    ];
    standin.problems = [{ code: "rungs_shed", detail: "drive: 1080p paused, since the machine cannot encode every quality in time" }];
    const at = (name) => path.join(out, `${name}.png`);
    const menu = async (page) => {
      await openQualities(page);
      await sleep(400);
    };
    await picture(browser, standin.url, at("several-light"), { ...DESKTOP, colorScheme: "light" }, menu);
    await picture(browser, standin.url, at("several-phone"), { ...PHONE, colorScheme: "light" }, menu);
    await picture(browser, standin.url, at("unplugged"), { ...DESKTOP, colorScheme: "dark" }, async (page) => {
      await page.keyboard.press("3");
      await sleep(1000);
    });
    await picture(browser, standin.url, at("recording"), { ...DESKTOP, colorScheme: "dark" }, async (page) => {
      await page.getByRole("button", { name: "Choose a range…" }).click();
      await page.getByRole("button", { name: "Last 5 min" }).click();
      await playing(page);
      await page.evaluate(() => window.scrollTo(0, 0));
      await pointAt(page);
      await sleep(400);
    });
    await picture(browser, standin.url, at("help"), { ...DESKTOP, colorScheme: "light" }, (page) => page.keyboard.press("?"));
  },
};
