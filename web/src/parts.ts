// What the page fetches only when it is needed, and that could not be had: some browsers keep to that for as long as the
// page is open, so that only the whole page, loaded again, brings it.
import { effect } from "@preact/signals";
import { uploads } from "./files.js";
import { selection } from "./timeline.js";
import { isIncomplete } from "./view.js";

/** Loads the page again by itself where that takes nothing from anybody, and once: the button on the notice is left. */
export function watchParts(): void {
  effect(() => {
    if (!isIncomplete.value) return;
    const [arrival] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
    const isIdle = !uploads.busy && selection.peek() === null && !document.querySelector("dialog[open]");
    if (isIdle && arrival?.type !== "reload") location.reload();
  });
}
