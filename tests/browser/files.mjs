// What a viewer does with files: look at them, bring them, take them away. Against the stand-in.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { open, sleep, until } from "./browser.mjs";

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const MB = 1e6;

const panel = (page) => page.getByRole("region", { name: "Files" });
const row = (page, name) => panel(page).getByRole("listitem").filter({ hasText: name });
const says = (page, words) => until(`“${words}” is said`, async () => (await page.getByRole("status").innerText()).includes(words));
const shows = (one, words) => until(`“${words}” is shown`, async () => words.test(await one.innerText()));

async function opened(browser, standin, options) {
  const page = await open(browser, standin.url, options);
  await panel(page).scrollIntoViewIfNeeded();
  return page;
}

/** A file on this machine, so that it is the same one when it is chosen again. */
async function fileOf(out, name, bytes) {
  const file = path.join(out, "upload", name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, randomBytes(bytes));
  return file;
}

const choose = (page, files) => page.getByLabel("Files to upload").setInputFiles(files);

export const cases = {
  "files: are listed, played with ranges, saved and deleted": async ({ browser, standin }) => {
    for (let index = 0; index < 60; index++) standin.files.addItem({ name: `old ${index}.bin`, media: "other", bytes: 5 * MB });
    standin.files.addItem({ name: "The fox.mp4", camera: "test", new_bytes: 0 });
    const page = await opened(browser, standin);
    const fox = row(page, "The fox.mp4");
    await shows(fox, /Video, .*, imported .*, Test scene, all of it was stored already/);
    assert.equal(await panel(page).getByRole("listitem").count(), 50);
    await panel(page).getByRole("button", { name: "Earlier files" }).click();
    await until("all", async () => (await panel(page).getByRole("listitem").count()) === 61);
    assert.equal(await page.evaluate(() => !!document.activeElement.closest(".files li")), true);
    assert.equal(await row(page, "old 3.bin").getByRole("button", { name: /^(Play|Show)/ }).count(), 0);

    const asked = [];
    page.on("request", (request) => request.url().includes("/content") && asked.push(request.headers().range ?? ""));
    await fox.getByRole("button", { name: "Play The fox.mp4" }).click();
    const dialog = page.getByRole("dialog", { name: "The fox.mp4" });
    await until("it plays", () => dialog.locator("video").evaluate((video) => video.currentTime > 0.2 && video.videoWidth > 0));
    assert.ok(asked.some((range) => range.startsWith("bytes=")), String(asked));
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });

    const [download] = await Promise.all([page.waitForEvent("download"), fox.getByRole("link", { name: "Download The fox.mp4" }).click()]);
    assert.equal(download.suggestedFilename(), "The fox.mp4");
    await fox.getByRole("button", { name: "Delete The fox.mp4" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Keep it" }).click();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    assert.equal(standin.files.items.length, 61);
    await fox.getByRole("button", { name: "Delete The fox.mp4" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await fox.waitFor({ state: "hidden" });
    await says(page, "The fox.mp4 is deleted.");
    assert.equal(standin.files.items.length, 60);
    assert.deepEqual(page.complaints, []);
  },

  "files: several are uploaded, two at a time, and become items": async ({ browser, standin, out }) => {
    const page = await opened(browser, standin);
    await shows(panel(page), /There are no files yet\. Drop/);
    const { files } = standin;
    files.holdAt = 1 * MB;
    const chosen = await Promise.all(["one.mp4", "two.jpg", "three.bin"].map((name) => fileOf(out, name, 2 * MB)));
    await choose(page, chosen);
    await says(page, "3 files are being uploaded.");
    await until("two are on their way", () => files.uploads.size === 2 && [...files.uploads.values()].every(({ bytes }) => bytes >= 1 * MB));
    await shows(row(page, "three.bin"), /waits for its turn/);
    await shows(row(page, "one.mp4"), /MB of 2 MB/);
    assert.ok((await row(page, "one.mp4").getByRole("progressbar", { name: "one.mp4" }).evaluate((bar) => bar.value)) > 0);
    files.holdAt = Infinity;
    await until("all are items", () => files.items.length === 3);
    await says(page, "is stored.");
    await until("nothing is on its way", async () => (await panel(page).getByRole("progressbar").count()) === 0);
    await row(page, "one.mp4").getByRole("button", { name: "Play one.mp4" }).waitFor();
    await row(page, "two.jpg").getByRole("button", { name: "Show two.jpg" }).waitFor();
    assert.equal(files.received, 6 * MB);
    assert.deepEqual(page.complaints, []);
  },

  "files: an upload that was listed while it was sent is gone when it is stored": async ({ browser, standin, out }) => {
    const page = await opened(browser, standin);
    const { files } = standin;
    files.holdAt = 1 * MB;
    await choose(page, [await fileOf(out, "slow.mp4", 2 * MB)]);
    await until("it is listed", () => files.listed > 0, 30_000);
    await sleep(500);
    files.holdAt = Infinity;
    await says(page, "slow.mp4 is stored.");
    for (let looks = 0; looks < 20; looks++) {
      assert.equal(await panel(page).getByRole("button", { name: "Give up: slow.mp4" }).count(), 0);
      await sleep(50);
    }
    await row(page, "slow.mp4").getByRole("button", { name: "Play slow.mp4" }).waitFor();
    assert.deepEqual(page.complaints, []);
  },

  "files: an upload is paused, goes on, and outlives a broken connection and another load of the page": async ({ browser, standin, out }) => {
    const page = await opened(browser, standin);
    const { files } = standin;
    const chosen = await fileOf(out, "long.mp4", 8 * MB);
    files.holdAt = 1 * MB;
    await choose(page, [chosen]);
    const long = row(page, "long.mp4");
    const [upload] = await until("it begins", () => files.uploads.size === 1 && [...files.uploads.values()]);
    await until("it is held", () => upload.bytes >= 1 * MB);
    await long.getByRole("button", { name: "Pause: long.mp4" }).click();
    await shows(long, /Paused at/);
    files.holdAt = 3 * MB;
    await sleep(500);
    const before = upload.bytes;
    await sleep(500);
    assert.equal(upload.bytes, before);
    await long.getByRole("button", { name: "Go on: long.mp4" }).click();
    await until("it goes on", () => upload.bytes >= 3 * MB);

    standin.silent = true;
    files.cut();
    await shows(long, /The connection broke; it goes on by itself\./);
    await says(page, "The connection broke");
    files.holdAt = 5 * MB;
    standin.silent = false;
    await until("it is back by itself", () => upload.bytes >= 5 * MB, 30_000);

    page.on("dialog", (dialog) => void dialog.accept());
    await page.reload();
    await shows(long, /are there\. Choose the same file again, and it goes on\./);
    files.holdAt = Infinity;
    await choose(page, [chosen]);
    await until("it is stored", () => files.items.length === 1);
    assert.equal(files.uploads.size, 1);
    assert.ok(files.received < 11 * MB, `${files.received} bytes for 8 MB`);
    await row(page, "long.mp4").getByRole("button", { name: "Play long.mp4" }).waitFor();
    assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("perch.upload")).length), 0);
  },

  "files: an upload goes on where it was though nothing may be remembered, and though the server is busy": async ({ browser, standin, out }) => {
    const page = await open(browser, standin.url);
    await page.addInitScript(() => {
      Storage.prototype.setItem = () => {
        throw new DOMException("full", "QuotaExceededError");
      };
    });
    await page.reload();
    const { files } = standin;
    files.holdAt = 3 * MB;
    const chosen = await fileOf(out, "forgetful.mp4", 6 * MB);
    await choose(page, [chosen]);
    const forgetful = row(page, "forgetful.mp4");
    const [upload] = await until("it begins", () => files.uploads.size === 1 && [...files.uploads.values()]);
    await until("it is held", () => upload.bytes >= 3 * MB);
    await forgetful.getByRole("button", { name: "Pause: forgetful.mp4" }).click();
    await shows(forgetful, /Paused at/);
    files.holdAt = 5 * MB;
    files.headStatus = 503;
    await sleep(300);
    await forgetful.getByRole("button", { name: "Go on: forgetful.mp4" }).click();
    await shows(forgetful, /The connection broke; it goes on by itself\./);
    files.headStatus = null;
    await until("it goes on", () => upload.bytes >= 5 * MB);
    await forgetful.getByRole("button", { name: "Pause: forgetful.mp4" }).click();
    files.holdAt = Infinity;
    await sleep(300);
    await choose(page, [chosen]);
    await until("it is stored", () => files.items.length === 1);
    assert.equal(files.uploads.size, 1);
    assert.ok(files.received < 8 * MB, `${files.received} bytes for 6 MB`);
  },

  "files: what is refused says why, and can be tried again or given up": async ({ browser, standin, out }) => {
    const page = await opened(browser, standin);
    const { files } = standin;
    files.refuse = [507, "the disk has no room for this upload: 12 MB are left"];
    const chosen = await fileOf(out, "big.mp4", 1 * MB);
    await choose(page, [chosen]);
    const big = row(page, "big.mp4");
    await shows(big, /The disk has no room for this upload: 12 MB are left\./);
    await says(page, "big.mp4 was not uploaded: the disk has no room");
    files.refuse = null;
    files.refuseImport = "it is no media, and storage.accept is \"media\"";
    await big.getByRole("button", { name: "Try again: big.mp4" }).click();
    await shows(big, /Not stored: it is no media/);
    await big.getByRole("button", { name: "Take off the list: big.mp4" }).click();
    await until("gone", () => files.uploads.size === 0);

    files.addUpload({ name: "elsewhere.mov" });
    await page.reload();
    const other = row(page, "elsewhere.mov");
    await shows(other, /3 MB of 10 MB are there, from another browser or program\./);
    await other.getByRole("button", { name: "Give up: elsewhere.mov" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Give up" }).click();
    await until("gone", () => files.uploads.size === 0);
    await other.waitFor({ state: "hidden" });
    assert.deepEqual(page.complaints.filter((words) => !words.includes("507")), []);
  },

  "files: what waits for the disk says so, is stored when it can be, and can be given up": async ({ browser, standin, out }) => {
    const page = await opened(browser, standin);
    const { files } = standin;
    files.importTrouble = "the disk is full: 12 MB are left";
    await choose(page, [await fileOf(out, "patient.mp4", 1 * MB)]);
    const patient = row(page, "patient.mp4");
    await shows(patient, /Not stored yet: the disk is full: 12 MB are left\. It is tried again by itself\./);
    await says(page, "patient.mp4 is not stored yet: the disk is full");
    files.importTrouble = null;
    await says(page, "patient.mp4 is stored.");

    files.importTrouble = "the disk is full: 11 MB are left";
    await choose(page, [await fileOf(out, "unwanted.mp4", 1 * MB)]);
    const unwanted = row(page, "unwanted.mp4");
    await shows(unwanted, /11 MB are left/);
    await unwanted.getByRole("button", { name: "Give up: unwanted.mp4" }).click();
    await page.getByRole("dialog").getByText("It was uploaded whole").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Give up" }).click();
    await unwanted.waitFor({ state: "hidden" });
    files.addUpload({ name: "theirs.mov", state: "importing", bytes: 5 * MB, length: 5 * MB, reason: "the disk is full" });
    files.addUpload({ name: "going.mov", state: "importing", bytes: 5 * MB, length: 5 * MB, imported_bytes: 2 * MB });
    await page.reload();
    await shows(row(page, "theirs.mov"), /Not stored yet: the disk is full\./);
    await row(page, "theirs.mov").getByRole("button", { name: "Give up: theirs.mov" }).waitFor();
    await shows(row(page, "going.mov"), /Being stored, 40 %/);
    assert.equal(await row(page, "going.mov").getByRole("progressbar").evaluate((bar) => bar.position), 0.4);
    assert.deepEqual(page.complaints, []);
  },

  "files: what the disk has damaged says so, in the list and when it is shown": async ({ browser, standin }) => {
    standin.files.addItem({ name: "whole.mp4" });
    standin.files.addItem({ name: "hurt.mp4", damaged: true, damaged_bytes: 64_000 });
    const page = await opened(browser, standin);
    const words = /Damaged on the disk: 64 kB of .* cannot be read\. Uploading the same file again mends it\./;
    await shows(row(page, "hurt.mp4"), words);
    assert.equal(await panel(page).getByText(words).count(), 1);
    await row(page, "hurt.mp4").getByRole("button", { name: "Play hurt.mp4" }).click();
    const dialog = page.getByRole("dialog", { name: "hurt.mp4" });
    await until("it fails", async () => (await dialog.locator("video").count()) === 0);
    await shows(dialog.getByRole("alert"), words);
    assert.equal(await dialog.getByText("This browser cannot").count(), 0);
  },

  "files: are dropped anywhere on the page": async ({ browser, standin }) => {
    const page = await opened(browser, standin);
    const drop = (type) =>
      page.evaluate((type) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([new Uint8Array(70_000)], "dropped.mp4", { type: "video/mp4" }));
        document.querySelector(".bar").dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
      }, type);
    await drop("dragover");
    await page.getByText("Drop them to upload them").waitFor();
    await drop("drop");
    await until("it is there", () => standin.files.items.length === 1);
    await row(page, "dropped.mp4").getByRole("button", { name: "Play dropped.mp4" }).waitFor();
    assert.equal(await page.getByText("Drop them to upload them").count(), 0);
    assert.deepEqual(page.complaints, []);
  },

  "files: fit a phone, and the keyboard reaches all of them": async ({ browser, standin, out }) => {
    const { files } = standin;
    files.addItem({ name: "A film with a name that is longer than a phone is wide, by far.mp4", camera: "test" });
    files.addUpload({ name: "An upload with a name that is longer than a phone is wide, by far.mp4" });
    files.holdAt = 0.5 * MB;
    const page = await opened(browser, standin, PHONE);
    await choose(page, [await fileOf(out, "phone.mp4", 1 * MB)]);
    await shows(row(page, "phone.mp4"), /kB of 1 MB|MB of 1 MB/);
    const outside = await page.evaluate(() =>
      [...document.querySelectorAll(".files *")].filter((one) => one.getBoundingClientRect().right > 360.5).map((one) => one.outerHTML.slice(0, 120)),
    );
    assert.deepEqual(outside, []);
    const reached = [];
    await panel(page).getByRole("button", { name: "Upload files…" }).focus();
    for (let press = 0; press < 6; press++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => document.activeElement.getAttribute("aria-label")));
    }
    assert.deepEqual(
      reached.map((name) => name?.split(/[ :]/)[0]),
      ["Pause", "Give", "Give", "Play", "Download", "Delete"],
    );
  },

  "files: pictures of them": async ({ browser, standin, out }) => {
    const { files } = standin;
    const at = (name) => path.join(out, `files-${name}.png`);
    for (const colorScheme of ["light", "dark"]) {
      Object.assign(files, { items: [], holdAt: 3 * MB, refuseImport: null });
      files.uploads.clear();
      const page = await opened(browser, standin, { viewport: { width: 1360, height: 900 }, colorScheme });
      await shows(panel(page), /There are no files yet/);
      await panel(page).screenshot({ path: at(`empty-${colorScheme}`) });
      const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString();
      files.addItem({ name: "notes of the neighbour.pdf", media: "other", bytes: 412_000, made: day(30), source: "upload" });
      files.addItem({ name: "Blackbird at dawn.flac", media: "sound", bytes: 31e6, made: day(3) });
      files.addItem({ name: "IMG_2041.jpeg", media: "still", bytes: 3.4e6, made: day(1), new_bytes: 0, source: "upload" });
      files.addItem({ name: "The fox at the bins, from the other camera.mp4", bytes: 1.24e9, made: day(0.1), camera: "test" });
      files.addUpload({ name: "Holiday 2019.mov", bytes: 1.9e9, length: 4.7e9 });
      files.addUpload({ name: "setup.exe", state: "refused", reason: "it is no media, and only media is taken here" });
      await page.reload();
      await choose(page, await Promise.all(["hedgehog.mp4", "owl.mp4", "waiting.mp4"].map((name) => fileOf(out, name, 5 * MB))));
      await sleep(4000);
      await row(page, "owl.mp4").getByRole("button", { name: /^Pause/ }).click();
      await sleep(1500);
      await panel(page).screenshot({ path: at(`list-${colorScheme}`) });
      await page.getByRole("button", { name: /^Play The fox/ }).click();
      await sleep(2000);
      await page.screenshot({ path: at(`shown-${colorScheme}`) });
      await page.context().close();
      const phone = await opened(browser, standin, { ...PHONE, colorScheme });
      await row(phone, "Holiday").waitFor();
      await panel(phone).screenshot({ path: at(`phone-${colorScheme}`) });
      await phone.context().close();
    }
  },
};
