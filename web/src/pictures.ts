// The pictures on the timeline: those below the pointer and the film along the track, out of one store of strips.
// The components say what is on view; what they find is drawn again when more has come.
import type { Chart } from "./archive.js";
import { filmStrips, isRecorded, peekStrips } from "./needs.js";
import type { Range } from "./range.js";
import { serverNow } from "./server.js";
import { loadStrip, Strips, type Picture } from "./strips.js";
import { chart as known } from "./timeline.js";

/** In CSS pixels, as the picture below the pointer is shown. */
const PICTURE_WIDTH = 160;
/** So long after it was, a moment can be had; longer where the box is slow. */
const LATE_MS = 5000;

const pixelRatio = (): number => Math.min(2, Math.ceil(window.devicePixelRatio || 1));
const recordedUntil = (): number => Math.min(serverNow() - LATE_MS, known.peek()?.newest ?? Infinity);
const strips = new Strips(loadStrip, serverNow, recordedUntil, () => PICTURE_WIDTH * pixelRatio());

export const { arrived } = strips;

/** The finest picture of a moment that is here already. */
export const pictureOf = (chart: Chart, time: number): Picture | null =>
  strips.find(chart.camera, time, (moment) => isRecorded(chart, moment));

/** What the pointer is at; null where it is at nothing. */
export function wantPeek(chart: Chart | null, at: number | null, view: Range, width: number): void {
  strips.want("peek", chart && at !== null ? peekStrips(chart, at, view, width) : []);
}

/** What the film takes; null while nobody sees it. */
export function wantFilm(chart: Chart | null, view: Range, width: number): void {
  strips.want("film", chart && width > 0 ? filmStrips(chart, view, width) : []);
}
