// What the timeline is at: the part of time on view, the mark of the keyboard, the chosen range, what is known of it.
// Between the loader and the player; the components only read and call.
import { batch, computed, effect, signal, untracked } from "@preact/signals";
import { say } from "./announce.js";
import { fetchTimeline } from "./archive.js";
import { DAY, HOUR, MINUTE, UNIT_MS, type Unit } from "./calendar.js";
import { isBeyond, nextRecorded } from "./density.js";
import { Loader } from "./loader.js";
import { viewWords } from "./moments.js";
import { presetRange, withEdge, type Range } from "./range.js";
import { fit, holds, lag, limitsAt, lookAt, pan, reveal, snap, spanOf, turn, zoom } from "./scale.js";
import { serverNow } from "./server.js";
import { camera, engine, goLive, playRange, recording } from "./view.js";

/** How much a press on the timeline hands the player at once; it goes on with the next by itself. */
const PLAY_SPAN = HOUR;
/** So close to now there is nothing recorded yet to play. */
const LIVE_MS = 5000;
const TICK_MS = 1000;

/** The server's clock, by the second. */
export const now = signal(serverNow());
export const view = signal<Range>(lookAt("day", { from: now.peek() - DAY, to: now.peek() }, now.peek(), limitsAt(null, now.peek())));
/** The range that is being chosen, to be played or kept; null while none is. */
export const selection = signal<Range | null>(null);
/** Where the keyboard is, before it plays from there. */
export const mark = signal<number | null>(null);

const loader = new Loader(fetchTimeline, serverNow);
export const { chart, trouble } = loader;

const oldest = computed(() => chart.value?.oldest ?? null);
export const limits = computed(() => limitsAt(oldest.value, now.value));

/** The moment on screen: of the recording, or now. */
export const playhead = computed(() => (recording.value ? (engine.value?.pictureTime.value ?? recording.value.from) : now.value));

/** Where keys and buttons act. */
export const cursor = computed(() => mark.value ?? playhead.value);

/** The view goes along with the time while now is on it. */
let follows = true;
/** Nobody has chosen what to see yet, and it is not known what there is. */
let isUndecided = true;

export function setView(to: Range): void {
  isUndecided = false;
  view.value = to;
  follows = holds(to, serverNow());
}

/** Zooms around the moment that the viewer is at, if it is on view. */
export function zoomBy(factor: number, anchor?: number): void {
  const shown = view.peek();
  const around = holds(shown, cursor.peek()) ? cursor.peek() : (shown.from + shown.to) / 2;
  setView(zoom(shown, factor, anchor ?? around, limits.peek()));
}

export const panBy = (by: number): void => setView(pan(view.peek(), by, limits.peek()));

export function turnPage(pages: 1 | -1): void {
  setView(turn(view.peek(), pages, limits.peek()));
  sayView();
}

export function showUnit(unit: Unit): void {
  const shown = view.peek();
  const around = holds(shown, cursor.peek()) ? cursor.peek() : (shown.from + shown.to) / 2;
  setView(lookAt(unit, shown, around, limits.peek()));
  sayView();
}

export const sayView = (): void => say(`The timeline shows ${viewWords(view.peek(), serverNow())}.`);

/** Whether that unit is what is seen, for the buttons to say so. */
export function showsUnit(unit: Unit, shown: Range): boolean {
  const share = spanOf(shown) / UNIT_MS[unit];
  return share > 0.88 && share < 1.06;
}

/** A range with something around it. */
export function showRange({ from, to }: Range): void {
  const room = Math.max(1000, (to - from) * 0.4);
  setView(fit({ from: from - room, to: to + room }, limits.peek()));
}

/** Moves the mark of the keyboard, and the view no further than it has to. */
export function moveMark(to: number): void {
  const { from, to: end } = limits.peek();
  const time = snap(Math.min(end, Math.max(from, to)), spanOf(view.peek()) / 1000);
  mark.value = time;
  setView(reveal(view.peek(), time, limits.peek()));
}

/** Chooses a range, or none; the mark stays, to go on from. */
export const choose = (range: Range | null): void => {
  selection.value = range;
};

/** Moves an edge of the chosen range by hand, and the view no further than it has to. */
export function moveEdge(edge: "from" | "to", by: number): void {
  const range = selection.peek();
  if (!range) return;
  const moved = withEdge(range, edge, snap(range[edge] + by, spanOf(view.peek()) / 1000), limits.peek());
  choose(moved);
  setView(reveal(view.peek(), moved[edge], limits.peek()));
}

/** One edge of the chosen range at the moment that the viewer is at. */
export function chooseEdge(edge: "from" | "to"): void {
  const at = Math.round(cursor.peek());
  const other = selection.peek() ?? { from: at, to: at };
  const span = Math.max(1000, spanOf(view.peek()) * 0.05);
  if (edge === "from") choose({ from: at, to: other.to > at ? other.to : Math.min(at + span, Math.max(at + 1000, serverNow())) });
  else choose({ from: other.from < at ? other.from : at - span, to: at });
  say(edge === "from" ? "The range begins here." : "The range ends here.");
}

/** What “choose a range” begins with: the last quarter of an hour, seen closely, or the middle of what is seen. */
export function startChoosing(): void {
  const shown = view.peek();
  if (holds(shown, serverNow())) {
    const range = presetRange(Math.min(15 * MINUTE, spanOf(shown) / 4), Math.floor(serverNow() / 1000) * 1000);
    if (spanOf(range) < spanOf(shown) / 8) showRange(range);
    return choose(range);
  }
  const [middle, room] = [(shown.from + shown.to) / 2, spanOf(shown) / 8];
  const perPixel = spanOf(shown) / 1000;
  choose({ from: snap(middle - room, perPixel), to: snap(middle + room, perPixel) });
}

/** The range that goes on by itself when it ends. */
let open: Range | null = null;

/** In seconds, fine enough to tell apart what is further from each other than is played at once. */
const COARSE_S = HOUR / 1000 / 4;

/** The question for what is recorded next, while it is under way. */
let seeking: AbortController | null = null;

/** Plays from a moment on, or from the next that is recorded; live where that is now. */
export function playFrom(at: number): void {
  seeking?.abort();
  seeking = null;
  mark.value = null;
  const known = chart.peek();
  if (isBeyond(known, at)) void playBeyond(known!.camera, at);
  else play(nextRecorded(known, at) ?? at);
}

/** The same where what is recorded next lies past what is known, as after a long absence: that is asked for first. */
async function playBeyond(id: string, at: number): Promise<void> {
  const control = new AbortController();
  seeking = control;
  const before = recording.peek();
  const answer = fetchTimeline(id, { from: at, to: serverNow() }, COARSE_S, control.signal);
  // Without an answer the player says what there is.
  const next = await answer.then((found) => nextRecorded(found, at) ?? at).catch(() => at);
  // The viewer may have gone elsewhere meanwhile.
  if (!control.signal.aborted && recording.peek() === before && camera.peek()?.id === id) play(next);
}

function play(start: number): void {
  const time = serverNow();
  if (start > time - LIVE_MS) return goLive();
  open = { from: start, to: Math.min(start + PLAY_SPAN, time) };
  playRange(open);
}

export function forgetTimeline(): void {
  loader.forget();
}

/** Starts what goes on by itself: the clock, the requests, the view that follows, the next hour. */
export function watchTimeline(): void {
  window.setInterval(() => {
    if (document.hidden) return;
    const before = now.peek();
    batch(() => {
      // It may jump by years: a box without a clock of its own begins where it stopped, and the page with its own.
      now.value = serverNow();
      const shown = view.peek();
      const by = lag(shown, now.peek());
      if (follows && holds(shown, before) && by !== 0) view.value = pan(shown, by, limits.peek());
    });
  }, TICK_MS);
  effect(() => {
    const id = camera.value?.id;
    // The clock asks too: what is now grows old.
    void now.value;
    if (id !== undefined) loader.want(id, view.value);
  });
  // A box that is new has nothing to show in a day.
  effect(() => {
    const first = oldest.value;
    if (!isUndecided || first === null) return;
    if (now.peek() - first < UNIT_MS.hour) {
      view.value = lookAt("hour", view.peek(), now.peek(), limits.peek());
    }
    isUndecided = false;
  });
  // A recording that plays takes the view along when it leaves it by itself.
  let before = playhead.peek();
  effect(() => {
    const at = playhead.value;
    const shown = view.peek();
    if (recording.value && before <= shown.to && at > shown.to && at - before < 5000) view.value = pan(shown, at - shown.from - spanOf(shown) * 0.1, limits.peek());
    before = at;
  });
  effect(() => {
    if (!engine.value?.ended.value) return;
    const range = recording.peek();
    if (range && range === open) untracked(() => playFrom(range.to));
  });
}
