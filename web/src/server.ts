// What the server says, kept current: cameras, problems, the clock's offset, whether it answers at all.
// Polls by itself from `watchServer`; everything else reads the signals.
import { signal } from "@preact/signals";
import { fetchCameras, fetchHealth, fetchServerTime, type Camera, type Problem } from "./api.js";
import { ServerClock } from "./clock.js";
import { say } from "./announce.js";
import { asTold, changeWords, problemWords } from "./words.js";

const POLL_MS = 2000;
const POLL_HIDDEN_MS = 10_000;
const HEALTH_EVERY = 5;
const CLOCK_EVERY = 15;

/** Null until the first answer. */
export const cameras = signal<Camera[] | null>(null);
export const problems = signal<Problem[]>([]);
/** False from the first unanswered request to the next answer. */
export const reachable = signal(true);

const clock = new ServerClock();

/** The server's clock now, in milliseconds since 1970; this machine's until the server has said its own. */
export const serverNow = (): number => Date.now() + (clock.offset ?? 0);

async function askClock(): Promise<void> {
  const sent = Date.now();
  const server = await fetchServerTime();
  clock.sample(sent, Date.now(), server);
}

/** The cameras as they were last spoken of. */
let told: Camera[] = [];

function takeCameras(next: Camera[]): void {
  const before = cameras.peek();
  const now = asTold(told, next);
  if (before) for (const words of changeWords(told, now)) say(words);
  told = now;
  // The same answer keeps the same object: nothing is drawn again.
  if (JSON.stringify(before) !== JSON.stringify(next)) cameras.value = next;
}

function takeProblems(next: Problem[]): void {
  for (const words of problemWords(problems.peek(), next)) say(words);
  problems.value = next;
}

async function poll(round: number): Promise<void> {
  // What these leave unanswered, the next round asks again. No camera is told of before they are answered: what it
  // shows is asked for by the server's clock.
  const asked = round % CLOCK_EVERY < 3 ? askClock().catch(() => undefined) : null;
  const [all] = await Promise.all([fetchCameras(), asked]);
  if (!reachable.peek()) say("Perch answers again.");
  reachable.value = true;
  takeCameras(all);
  if (round % HEALTH_EVERY === 0) takeProblems((await fetchHealth().catch(() => null))?.problems ?? problems.peek());
}

/** Starts polling; never ends, as the page never does. */
export function watchServer(): void {
  let round = 0;
  let timer = 0;
  const tick = async (): Promise<void> => {
    try {
      await poll(round++);
    } catch (error) {
      // A request that was refused with a status was answered: only silence is "unreachable".
      const silent = error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError");
      if (silent && reachable.peek()) {
        reachable.value = false;
        say("Perch cannot be reached. Trying again.");
      }
    }
    // A round that the page's return began may have ended meanwhile: one timer is enough.
    window.clearTimeout(timer);
    timer = window.setTimeout(tick, document.hidden ? POLL_HIDDEN_MS : POLL_MS);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    window.clearTimeout(timer);
    void tick();
  });
  void tick();
}
