// The pictures on the timeline: those below the pointer and the film along the track, out of one store of strips.
// The components say what is on view; what they find is drawn again when more has come.
import type { Chart } from "./archive.js";
import { filmStrips, hasPicture, isRecorded } from "./film.js";
import type { Range } from "./range.js";
import { spanOf } from "./scale.js";
import { serverNow } from "./server.js";
import { pictureAt, PICTURES, stepFor, stripAt, stripEnd, type Strip } from "./strip.js";
import { loadStrip, Strips, type Picture } from "./strips.js";
import { chart as known } from "./timeline.js";

/** In CSS pixels, as the picture below the pointer is shown. */
export const PICTURE_WIDTH = 160;
/** One picture for so many pixels of the timeline at least, so that a hand that moves asks for few. */
const PEEK_EVERY_PX = 7;
/** So long after it was, a moment can be had; longer where the box is slow. */
const LATE_MS = 5000;

const pixelRatio = (): number => Math.min(2, Math.ceil(window.devicePixelRatio || 1));
const recordedUntil = (): number => Math.min(serverNow() - LATE_MS, known.peek()?.newest ?? Infinity);
const strips = new Strips(loadStrip, serverNow, recordedUntil, () => PICTURE_WIDTH * pixelRatio());

export const { arrived } = strips;

/** The finest picture of a moment that is here already. */
export const pictureOf = (chart: Chart, time: number): Picture | null =>
  strips.find(chart.camera, time, (moment) => isRecorded(chart, moment));

/** The strip around a moment, then the neighbour that it is nearer to; none where nothing is recorded. */
export function peekStrips(chart: Chart, at: number, view: Range, width: number): Strip[] {
  if (!isRecorded(chart, at)) return [];
  const strip = stripAt(chart.camera, stepFor((spanOf(view) / Math.max(1, width)) * PEEK_EVERY_PX), at);
  const isEarly = pictureAt(strip, at) < PICTURES / 2;
  const next = { ...strip, from: isEarly ? strip.from - (stripEnd(strip) - strip.from) : stripEnd(strip) };
  return [strip, next].filter((one) => hasPicture(chart, one, { from: one.from, to: stripEnd(one) }));
}

/** What the pointer is at; null where it is at nothing. */
export function wantPeek(chart: Chart | null, at: number | null, view: Range, width: number): void {
  strips.want("peek", chart && at !== null ? peekStrips(chart, at, view, width) : []);
}

/** What the film takes; null while nobody sees it. */
export function wantFilm(chart: Chart | null, view: Range, width: number): void {
  strips.want("film", chart && width > 0 ? filmStrips(chart, view, width) : []);
}
