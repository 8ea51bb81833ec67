// The one live region: what changed, said politely to screen readers.
import { signal } from "@preact/signals";

/** The same words again are news, too: `turn` is another number each time. */
export const announced = signal({ words: "", turn: 0 });

let waiting: string[] = [];
let timer = 0;

/** Gathers what is said within a short moment, so that one sentence does not cut off another. */
export function say(words: string): void {
  waiting.push(words);
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    announced.value = { words: waiting.join(" "), turn: announced.peek().turn + 1 };
    waiting = [];
  }, 150);
}
