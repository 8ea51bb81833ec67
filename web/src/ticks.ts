// The axis: which moments get a line and which a label at a given scale, in the viewer's own zone. Pure.
import { DAY, HOUR, MINUTE, SECOND, shifted, startOf, type Unit } from "./calendar.js";
import type { Range } from "./range.js";
import { holds, spanOf } from "./scale.js";

export interface Tick {
  /** Of its line. */
  time: number;
  /** Of the middle of its label: that of the day or the month, where the line is its beginning. */
  middle: number;
  label: string;
}

/** A larger unit above the ticks: a day above its hours. */
export interface Band extends Range {
  label: string;
}

export interface Axis {
  ticks: Tick[];
  /** Lines without labels, between those. */
  minor: number[];
  bands: Band[];
}

interface Step {
  /** Nominal length. */
  ms: number;
  /** What is counted, for steps of whole days and more; below, the clock is divided. */
  unit: Unit | null;
  count: number;
  /** What a label takes, in CSS pixels. */
  room: number;
  label: (time: number) => string;
  /** Whether the label names all of what follows, not only the moment. */
  middle: boolean;
  band: Unit;
}

const format = (options: Intl.DateTimeFormatOptions): ((time: number) => string) => {
  const made = new Intl.DateTimeFormat(undefined, options);
  return (time) => made.format(time);
};
const clock = format({ hour: "numeric", minute: "2-digit" });
const clockSeconds = format({ hour: "numeric", minute: "2-digit", second: "2-digit" });
const dayOfMonth = format({ day: "numeric" });
const weekday = format({ weekday: "short", day: "numeric" });
const monthShort = format({ month: "short" });
const dayLong = format({ weekday: "short", day: "numeric", month: "long", year: "numeric" });
const monthLong = format({ month: "long", year: "numeric" });
const yearOnly = format({ year: "numeric" });
const tenths = (time: number): string => `${((time / 1000) % 60).toFixed(1)} s`;

const divided = (ms: number, room: number, label: Step["label"]): Step => ({ ms, unit: null, count: 1, room, label, middle: false, band: "day" });
const counted = (unit: Unit, count: number, ms: number, room: number, label: Step["label"], band: Unit): Step => ({
  ...{ unit, count, ms: ms * count, room, label, middle: count === 1 && unit !== "week", band },
});

/** Finest first. Below a day every step divides the half hour or is made of whole ones: clocks change by half hours. */
const STEPS: Step[] = [
  ...[100, 200, 500].map((ms) => divided(ms, 56, tenths)),
  ...[1, 2, 5, 10, 15, 30].map((s) => divided(s * SECOND, 92, clockSeconds)),
  ...[1, 2, 5, 10, 15, 30].map((min) => divided(min * MINUTE, 70, clock)),
  ...[1, 2, 3, 6, 12].map((h) => divided(h * HOUR, 70, clock)),
  counted("day", 1, DAY, 60, weekday, "month"),
  counted("day", 1, DAY, 26, dayOfMonth, "month"),
  counted("week", 1, 7 * DAY, 34, dayOfMonth, "month"),
  counted("month", 1, 30 * DAY, 44, monthShort, "year"),
  counted("month", 3, 30 * DAY, 44, monthShort, "year"),
  counted("year", 1, 365 * DAY, 50, yearOnly, "year"),
];

const BAND_LABEL: Record<string, (time: number) => string> = { day: dayLong, month: monthLong, year: yearOnly };

export function axisOf(view: Range, width: number): Axis {
  const perPixel = spanOf(view) / Math.max(1, width);
  const at = STEPS.findIndex((step) => step.ms / perPixel >= step.room);
  const step = STEPS[at === -1 ? STEPS.length - 1 : at]!;
  const finer = STEPS.findLast((one) => one.ms < step.ms && (step.ms / one.ms) % 1 < 0.3 && one.ms / perPixel >= 7 && one.ms / perPixel < 30);
  const moments = momentsOf(step, view);
  const middleOf = (time: number): number => (step.middle && step.unit ? (time + shifted(step.unit, time, 1)) / 2 : time);
  const labelled = new Set(moments);
  return {
    ticks: moments.map((time) => ({ time, middle: middleOf(time), label: step.label(time) })).filter(({ middle }) => holds(view, middle)),
    minor: finer ? momentsOf(finer, view).filter((time) => !labelled.has(time)) : [],
    bands: bandsOf(step.band, view),
  };
}

function momentsOf(step: Step, view: Range): number[] {
  return step.unit ? countedMoments(step.unit, step.count, view) : dividedMoments(step.ms, view);
}

/** From the unit that the view begins in. */
function countedMoments(unit: Unit, count: number, { from, to }: Range): number[] {
  const found: number[] = [];
  for (let time = startOf(unit, from); time <= to; time = shifted(unit, time, 1)) {
    if (count === 1 || new Date(time).getMonth() % count === 0) found.push(time);
  }
  return found;
}

/** The moments at which the clock on the wall shows a multiple of `ms`: one that it shows twice comes twice. */
function dividedMoments(ms: number, { from, to }: Range): number[] {
  const found: number[] = [];
  const stride = Math.min(ms, 30 * MINUTE);
  for (let day = startOf("day", from); day <= to; day = shifted("day", day, 1)) {
    const end = Math.min(to, shifted("day", day, 1) - 1);
    const first = day + Math.max(0, Math.floor((from - day) / stride)) * stride;
    for (let time = first; time <= end; time += stride) if (time >= from && clockOf(time) % ms === 0) found.push(time);
  }
  return found;
}

/** Milliseconds since midnight as the clock shows them. */
function clockOf(time: number): number {
  const at = new Date(time);
  return at.getHours() * HOUR + at.getMinutes() * MINUTE + at.getSeconds() * SECOND + at.getMilliseconds();
}

function bandsOf(unit: Unit, { from, to }: Range): Band[] {
  const bands: Band[] = [];
  for (let start = startOf(unit, from); start < to; ) {
    const end = shifted(unit, start, 1);
    bands.push({ from: start, to: end, label: BAND_LABEL[unit]!(start) });
    start = end;
  }
  return bands;
}
