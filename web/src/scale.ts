// Which part of time is on view, and how it is moved: zoom, pan, pinch, whole days. Pure; times in milliseconds
// since 1970, places in CSS pixels from the left edge.
import { DAY, period, shifted, unitOf, UNIT_MS, type Unit } from "./calendar.js";
import type { Range } from "./range.js";

export const VIEW_MIN = 1000;
export const VIEW_MAX = 366 * DAY;
/** This share of the view may lie beyond what there is, so that its end is seen as one. */
const EDGE = 0.03;

export const spanOf = ({ from, to }: Range): number => to - from;
export const timeAt = (view: Range, x: number, width: number): number => view.from + (spanOf(view) * x) / Math.max(1, width);
export const placeOf = (view: Range, time: number, width: number): number => ((time - view.from) / spanOf(view)) * width;
export const holds = ({ from, to }: Range, time: number): boolean => from <= time && time <= to;

/** What can be looked at: a year back at least, all that is recorded, up to now. */
export const limitsAt = (oldest: number | null, now: number): Range => ({ from: Math.min(oldest ?? now, now - VIEW_MAX), to: now });

/** The view nearest to `view` that is neither too long nor too short and keeps to the limits. Whole units stay whole. */
export function fit(view: Range, limits: Range): Range {
  const middle = (view.from + view.to) / 2;
  const span = Math.min(VIEW_MAX, Math.max(VIEW_MIN, spanOf(view)));
  let from = span === spanOf(view) ? view.from : middle - span / 2;
  // A whole day, week or month that has begun may be seen to its end.
  const end = unitOf(view) && holds(view, limits.to) ? view.to : limits.to + span * EDGE;
  from = Math.max(limits.from - span * EDGE, Math.min(end - span, from));
  return { from, to: from + span };
}

/** Makes the span `factor` times as long; `anchor` stays where it is. */
export function zoom(view: Range, factor: number, anchor: number, limits: Range): Range {
  const span = Math.min(VIEW_MAX, Math.max(VIEW_MIN, spanOf(view) * factor));
  const share = (anchor - view.from) / spanOf(view);
  const from = anchor - span * share;
  return fit({ from, to: from + span }, limits);
}

/** `by` in milliseconds; positive towards later. */
export const pan = (view: Range, by: number, limits: Range): Range => fit({ from: view.from + by, to: view.to + by }, limits);

/** The view in which the times `a` and `b` lie below two fingers at `ax` and `bx`. */
export function pinch(a: number, ax: number, b: number, bx: number, width: number, limits: Range): Range {
  // Two fingers as good as one above the other say nothing about the scale.
  const apart = Math.abs(bx - ax) < 8 ? 8 * Math.sign(bx - ax || 1) : bx - ax;
  const perPixel = Math.abs((b - a) / apart);
  const span = Math.min(VIEW_MAX, Math.max(VIEW_MIN, perPixel * width));
  const from = (a + b) / 2 - (span * (ax + bx)) / (2 * Math.max(1, width));
  return fit({ from, to: from + span }, limits);
}

/** The last hour, day and so on while now is on view; else the one in the calendar that `around` lies in. */
export function lookAt(unit: Unit, view: Range, around: number, limits: Range): Range {
  if (!holds(view, limits.to)) return fit(period(unit, around), limits);
  const span = UNIT_MS[unit];
  return fit({ from: limits.to - span, to: limits.to + span * EDGE }, limits);
}

/** Earlier or later by most of what is on view; a whole day, week or month by one of them. */
export function turn(view: Range, pages: 1 | -1, limits: Range): Range {
  const unit = unitOf(view);
  if (!unit) return pan(view, pages * 0.8 * spanOf(view), limits);
  const from = shifted(unit, view.from, pages);
  return fit({ from, to: shifted(unit, from, 1) }, limits);
}

/** The view moved no further than it takes to have `time` on it, with some room around. */
export function reveal(view: Range, time: number, limits: Range): Range {
  const room = spanOf(view) * 0.08;
  if (time < view.from + room) return pan(view, time - room - view.from, limits);
  if (time > view.to - room) return pan(view, time + room - view.to, limits);
  return view;
}

/**
 * How far a view that goes along with the time is to be moved when it has become `now`; 0 where it need not be. By whole
 * pixels of a wide screen: less is not seen. Where the clock was set back, the view goes back with it.
 */
export function lag(view: Range, now: number): number {
  const late = now + spanOf(view) * EDGE - view.to;
  return late > spanOf(view) / 1500 || now < view.from ? late : 0;
}

/** Where a time chosen by hand is put: on whole seconds, finer only where single ones can be told apart. */
export function snap(time: number, perPixel: number): number {
  const step = perPixel > 20 ? 1000 : 100;
  return Math.round(time / step) * step;
}
