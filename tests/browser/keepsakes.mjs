// What lies on the timeline beside recordings, and what a viewer makes of these: clips, saved files, files that were
// brought for a moment. Against the stand-in.
import assert from "node:assert/strict";
import { until } from "./browser.mjs";
import { testCamera } from "./standin.mjs";
import { HOUR, opened, placeOf, played } from "./timeline-page.mjs";

export const cases = {
  "timeline: a range is dragged out, corrected, kept as a clip, played and deleted": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const [from, to] = [await placeOf(page, 4 * HOUR), await placeOf(page, 3 * HOUR)];
    await page.mouse.move(from.x, from.y);
    await page.mouse.down();
    await page.mouse.move(to.x, to.y, { steps: 6 });
    await page.mouse.up();
    const start = page.getByRole("slider", { name: "Start of the range" });
    await start.waitFor();
    const before = Number(await start.getAttribute("aria-valuenow"));
    assert.ok(Math.abs(before * 1000 - (Date.now() - 4 * HOUR)) < 4 * 60_000);
    await start.focus();
    await page.keyboard.press("ArrowLeft");
    await until("it moved", async () => Number(await start.getAttribute("aria-valuenow")) < before);
    // Past the edge of what is seen, which goes along, and back: the focus stays on it.
    for (const key of ["ArrowLeft", "ArrowRight"]) for (let press = 0; press < 10; press++) await page.keyboard.press(`Shift+${key}`);
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Start of the range");
    await until("it is back", async () => Number(await start.getAttribute("aria-valuenow")) === before - 900);

    await page.getByLabel("Name of the clip").fill("taken");
    await page.getByRole("button", { name: "Keep as a clip" }).click();
    await until("the refusal", async () => (await page.getByRole("alert").innerText()).includes("A clip of that name is there already."));
    await page.getByLabel("Name of the clip").fill("The hedgehog");
    await page.keyboard.press("Enter");
    const row = page.getByRole("listitem").filter({ hasText: "The hedgehog" });
    await row.waitFor();
    assert.equal(standin.archive.clips.length, 2);
    await until("the range is let go of", async () => (await start.count()) === 0);

    const asked = played(page);
    await row.getByRole("button", { name: "Play the clip The hedgehog" }).click();
    await until("it plays", () => asked.length > 0 && asked.at(-1).from === standin.archive.clips[1].from);
    assert.match(await row.getByRole("link", { name: "Download the clip The hedgehog" }).getAttribute("href"), /clip\.mp4$/);

    const remove = row.getByRole("button", { name: "Delete the clip The hedgehog" });
    await remove.click();
    await page.getByRole("dialog").getByRole("button", { name: "Keep it" }).click();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    assert.equal(standin.archive.clips.length, 2);
    await remove.click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await row.waitFor({ state: "hidden" });
    assert.equal(standin.archive.clips.length, 1);
  },

  "timeline: a range is saved as a file, and what is refused or proves nothing says why": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const { archive } = standin;
    await page.getByRole("button", { name: "Choose a range…" }).click();
    const form = page.locator(".chosen-range");
    const saved = async (name) => {
      const [download] = await Promise.all([page.waitForEvent("download"), form.getByRole("link", { name }).click()]);
      return download.suggestedFilename();
    };
    assert.equal(await saved("Save as a file"), "test-clip.mp4");
    assert.equal(await form.getByText("no proof").count(), 0);
    archive.unproven = "its last minute is not signed yet";
    assert.equal(await saved("Save as a file"), "test-clip.mp4");
    await form.getByText("The file carries no proof that this box recorded it: its last minute is not signed yet.").waitFor();
    assert.equal(await saved("Time-lapse"), "test-timelapse.mp4");
    await form.getByText("A time-lapse carries no proof").waitFor();
    assert.deepEqual(page.complaints, []);

    const downloads = [];
    page.on("download", (download) => downloads.push(download));
    for (const [name, status, detail] of [
      ["Save as a file", 400, "The range is longer than a day"],
      ["Time-lapse", 503, "Four files are being made already"],
    ]) {
      archive.saveTrouble = [status, detail];
      await form.getByRole("link", { name }).click();
      await until("the refusal", async () => (await form.getByRole("alert").innerText()) === `Nothing was saved: ${detail}.`);
    }
    assert.deepEqual(downloads, []);
  },

  "timeline: a clip that is made elsewhere appears, and a list that was refused comes by itself": async ({ browser, standin }) => {
    const { archive } = standin;
    archive.clipsTrouble = "the index is being made again";
    const page = await opened(browser, standin);
    await page.getByText("The clips are not known: The index is being made again.").waitFor();
    archive.clipsTrouble = null;
    await page.getByRole("button", { name: "Play the clip The fox at the bins" }).waitFor();
    archive.addClip("The owl", Date.now() - 10 * HOUR, 60_000);
    await page.getByRole("button", { name: "Week", exact: true }).click();
    await page.getByRole("button", { name: "Play the clip The owl" }).waitFor();
  },

  "timeline: of many clips the newest are listed, and earlier ones when they are asked for": async ({ browser, standin }) => {
    standin.cameras = [testCamera(), testCamera({ id: "garden", name: "Garden" })];
    for (let n = 0; n < 60; n++) standin.archive.addClip(`Visit ${n}`, Date.now() - (30 + n) * HOUR, 60_000);
    const page = await opened(browser, standin);
    const listed = () => page.getByRole("button", { name: /^Play the clip/ }).count();
    const earlier = page.getByRole("button", { name: "Earlier clips" });
    await earlier.waitFor();
    assert.equal(await listed(), 50);
    await earlier.press("Enter");
    await until("all of them", async () => (await listed()) === 61);
    await until("there are no more", async () => (await earlier.count()) === 0);
    // The focus stays where the list went on.
    assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "Play the clip Visit 48");
    // Another camera has no clips: the focus is not lost with them.
    await page.keyboard.press("2");
    await until("they are gone", async () => (await listed()) === 0);
    assert.equal(await page.evaluate(() => document.activeElement.id), "recordings");
  },

  "timeline: files that were brought for a moment lie there, are listed and shown": async ({ browser, standin }) => {
    const at = (ago) => new Date(Date.now() - ago).toISOString();
    standin.files.addItem({ name: "Blackbird.mp4", camera: "test", at: at(6 * HOUR) });
    standin.files.addItem({ name: "notes.pdf", media: "other", camera: "test", at: at(12 * HOUR) });
    standin.files.addItem({ name: "elsewhere.mp4", camera: "other", at: at(6 * HOUR) });
    standin.files.addItem({ name: "long ago.mp4", camera: "test", at: at(90 * HOUR) });
    const page = await opened(browser, standin);
    const list = page.getByRole("region", { name: "Files of this time" });
    await list.waitFor();
    assert.equal(await list.getByRole("listitem").count(), 2);
    assert.match(await list.getByRole("listitem").first().innerText(), /Blackbird\.mp4\s+.*\d:\d\d.*, Video, /);
    assert.equal(await list.getByRole("button").count(), 1);

    // On the track, where a clip's name would be.
    const six = await placeOf(page, 6 * HOUR);
    await page.mouse.move(six.x, six.y - 40);
    await page.locator(".peek-name", { hasText: "Blackbird.mp4" }).waitFor();
    const dialog = page.getByRole("dialog", { name: "Blackbird.mp4" });
    await page.mouse.click(six.x, six.y - 40);
    await until("it plays", () => dialog.locator("video").evaluate((video) => video.currentTime > 0.1));
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    await list.getByRole("button", { name: "Play Blackbird.mp4" }).click();
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });

    // Beside it and below it the recording is played.
    const asked = played(page);
    await page.locator(".timeline").scrollIntoViewIfNeeded();
    const below = await placeOf(page, 6 * HOUR);
    await page.mouse.click(below.x, below.y);
    await until("the recording", () => asked.some(({ from }) => Math.abs(from - (Date.now() - 6 * HOUR)) < 4 * 60_000));
    assert.equal(await dialog.count(), 0);
    await page.getByRole("button", { name: "Delete Blackbird.mp4" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await until("it is gone there, too", async () => (await list.getByRole("listitem").count()) === 1);
    assert.deepEqual(page.complaints, []);
  },
};
