// Short ways to the timeline on the page, for the cases that work it. Against the stand-in.
import { open } from "./browser.mjs";

export const HOUR = 3_600_000;

export const slider = (page) => page.getByRole("slider", { name: /^Timeline/ });
export const words = (page) => page.locator(".view-words").innerText();
export const valueText = (page) => slider(page).getAttribute("aria-valuetext");
export const last = (standin) => standin.archive.asked.at(-1);
export const spanAsked = (standin) => Date.parse(last(standin).to) - Date.parse(last(standin).from);

/** A page whose timeline has its data. */
export async function opened(browser, standin, options) {
  const page = await open(browser, standin.url, options);
  await page.locator(".timeline").scrollIntoViewIfNeeded();
  await page.getByRole("heading", { name: /on view$/ }).waitFor({ timeout: 20_000 });
  return page;
}

/** Where on the page a moment lies while the last day is on view. */
export async function placeOf(page, ago) {
  const { x, y, width } = await page.locator(".timeline").boundingBox();
  return { x: x + width * (1 - ago / (24 * HOUR)) / 1.03, y: y + 50, left: x, width };
}

/** The colour of a canvas at a share of its width and so many CSS pixels from its top; in its middle without them. */
export const colourIn = (canvas, share, top) =>
  canvas.evaluate(
    (one, [share, top]) => {
      const y = top === null ? one.height / 2 : (top * one.height) / one.clientHeight;
      const [r, g, b, a] = one.getContext("2d").getImageData(one.width * share, y, 1, 1).data;
      return a === 0 ? null : `${r} ${g} ${b}`;
    },
    [share, top ?? null],
  );

/** The addresses of recordings that are asked for from now on. */
export function played(page) {
  const found = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (/^\/recordings\/.*master/.test(url.pathname)) found.push(Object.fromEntries([...url.searchParams].map(([k, v]) => [k, Date.parse(v)])));
  });
  return found;
}
