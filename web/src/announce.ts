// The one live region: what changed, said politely to screen readers.
import { signal } from "@preact/signals";

export const announced = signal("");

let waiting: string[] = [];
let timer = 0;

/** Gathers what is said within a short moment, so that one sentence does not cut off another. */
export function say(words: string): void {
  waiting.push(words);
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    announced.value = waiting.join(" ");
    waiting = [];
  }, 150);
}
