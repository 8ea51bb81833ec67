// Hours, days, weeks, months and years in the viewer's own zone, where a day may have 23 or 25 hours. Pure; times in
// milliseconds since 1970.
import type { Range } from "./range.js";

export type Unit = "hour" | "day" | "week" | "month" | "year";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The nominal length: of a day without a change of the clock, of a long month, of a leap year. */
export const UNIT_MS: Record<Unit, number> = { hour: HOUR, day: DAY, week: 7 * DAY, month: 31 * DAY, year: 366 * DAY };

/** When the unit began that `time` lies in. A week begins on Monday (ISO 8601). */
export function startOf(unit: Unit, time: number): number {
  const at = new Date(time);
  const [year, month, day] = [at.getFullYear(), at.getMonth(), at.getDate()];
  switch (unit) {
    case "hour":
      // Not by its number: an hour that comes twice has two beginnings.
      return time - at.getMinutes() * MINUTE - at.getSeconds() * SECOND - at.getMilliseconds();
    case "day":
      return new Date(year, month, day).getTime();
    case "week":
      return new Date(year, month, day - ((at.getDay() + 6) % 7)).getTime();
    case "month":
      return new Date(year, month, 1).getTime();
    case "year":
      return new Date(year, 0, 1).getTime();
  }
}

/** The beginning of the unit `count` after the one that begins at `start`; before it where `count` is negative. */
export function shifted(unit: Unit, start: number, count: number): number {
  const at = new Date(start);
  const [year, month, day] = [at.getFullYear(), at.getMonth(), at.getDate()];
  switch (unit) {
    case "hour":
      return start + count * HOUR;
    case "day":
      return new Date(year, month, day + count).getTime();
    case "week":
      return new Date(year, month, day + 7 * count).getTime();
    case "month":
      return new Date(year, month + count, 1).getTime();
    case "year":
      return new Date(year + count, 0, 1).getTime();
  }
}

/** The whole unit that `time` lies in. */
export function period(unit: Unit, time: number): Range {
  const from = startOf(unit, time);
  return { from, to: shifted(unit, from, 1) };
}

/** Which whole unit a range is, if it is one. */
export function unitOf({ from, to }: Range): Unit | null {
  for (const unit of ["hour", "day", "week", "month", "year"] as const) {
    if (startOf(unit, from) === from && shifted(unit, from, 1) === to) return unit;
  }
  return null;
}
