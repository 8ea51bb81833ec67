// Which strips of pictures the timeline takes: for the film along the track, and around the pointer. None where nothing
// is recorded. Pure; times in milliseconds since 1970, widths in CSS pixels.
import type { Chart } from "./archive.js";
import { HOUR } from "./calendar.js";
import type { Range } from "./range.js";
import { holds, spanOf } from "./scale.js";
import { momentOf, pictureAt, PICTURES, stepFor, stripAt, stripEnd, stripsOver, type Strip } from "./strip.js";

/** Further away the amount of what is recorded says more than a picture of every quarter of an hour. */
const FILM_SPAN_MAX = 3 * HOUR;
/** A picture of the film is at least so wide. */
const FILM_EVERY_PX = 96;
/** One picture for so much of the timeline at least, so that a hand that moves asks for few. */
const PEEK_EVERY_PX = 7;

const stepOver = (view: Range, width: number, px: number): number => stepFor((spanOf(view) * px) / Math.max(1, width));

export const showsFilm = (view: Range): boolean => spanOf(view) <= FILM_SPAN_MAX;

export const filmStep = (view: Range, width: number): number => stepOver(view, width, FILM_EVERY_PX);

/** Whether a moment is recorded. */
export const isRecorded = ({ spans }: Pick<Chart, "spans">, time: number): boolean => spans.some((span) => holds(span, time));

/** Whether a strip has a picture of what is recorded within the range. */
export function hasPicture(chart: Pick<Chart, "spans">, strip: Strip, range: Range): boolean {
  const moments = Array.from({ length: PICTURES }, (_, picture) => momentOf(strip, picture));
  return moments.some((moment) => holds(range, moment) && isRecorded(chart, moment));
}

/** The strips that the film of a view takes; none from far away. */
export function filmStrips(chart: Chart, view: Range, width: number): Strip[] {
  if (!showsFilm(view)) return [];
  const step = filmStep(view, width);
  // A picture whose middle is just out of sight still has its edge on view.
  const range = { from: view.from - step / 2, to: view.to + step / 2 };
  return stripsOver(chart.camera, step, range).filter((strip) => hasPicture(chart, strip, range));
}

/** The strip around a moment, then the neighbour that it is nearer to. */
export function peekStrips(chart: Chart, at: number, view: Range, width: number): Strip[] {
  if (!isRecorded(chart, at)) return [];
  const strip = stripAt(chart.camera, stepOver(view, width, PEEK_EVERY_PX), at);
  const isEarly = pictureAt(strip, at) < PICTURES / 2;
  const next = { ...strip, from: isEarly ? strip.from - (stripEnd(strip) - strip.from) : stripEnd(strip) };
  return [strip, next].filter((one) => hasPicture(chart, one, { from: one.from, to: stripEnd(one) }));
}
