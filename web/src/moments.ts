// Moments and stretches of time in words, and what was recorded then. Pure; in the viewer's own zone and language.
import type { Chart, Import } from "./archive.js";
import { DAY, HOUR, MINUTE, unitOf } from "./calendar.js";
import type { Range } from "./range.js";
import { holds, spanOf } from "./scale.js";
import { reasonWords } from "./words.js";

const day: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short", year: "numeric" };
const minutes: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
const seconds: Intl.DateTimeFormatOptions = { ...minutes, second: "2-digit" };
const made = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => new Intl.DateTimeFormat(undefined, options);

const exact = made({ ...day, ...seconds });
const exactWithZone = made({ ...day, ...seconds, timeZoneName: "short" });
const finest = made({ ...day, ...seconds, fractionalSecondDigits: 1 });
const toTheMinute = made({ ...day, ...minutes });
const wholeDay = made({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const wholeMonth = made({ month: "long", year: "numeric" });
const wholeYear = made({ year: "numeric" });
const { year, ...sameYear } = day;
/** For a stretch of time; the year is named where it is not the present one. */
const stretches = [sameYear, day].map((date) => ({
  days: made({ day: "numeric", month: "short", ...("year" in date ? { year } : {}) }),
  minutes: made({ ...date, ...minutes }),
  seconds: made({ ...date, ...seconds }),
}));

/** Whether the clocks change within the hours around `time`, so that what they show may come twice. */
const clockChanges = (time: number): boolean =>
  new Date(time - 2 * HOUR).getTimezoneOffset() !== new Date(time + 2 * HOUR).getTimezoneOffset();

/** "Sat, 21 Nov 2026, 14:02:07"; with the zone in the hours around a change of the clock. */
export function momentWords(time: number): string {
  if (clockChanges(time)) return exactWithZone.format(time);
  return (time % 1000 === 0 ? exact : finest).format(time);
}

/** To the minute: what is said of a picture that moves on. */
export const minuteWords = (time: number): string => toTheMinute.format(time);

/** "Sunday, 25 October 2026 (25 hours)", "November 2026", "Sat, 21 Nov, 14:00 – 15:00". What is to come is not named. */
export function viewWords(range: Range, now: number): string {
  const span = spanOf(range);
  const yearOf = (time: number): number => new Date(time).getFullYear();
  const thisYear = yearOf(range.from) === yearOf(now);
  const as = stretches[thisYear ? 0 : 1]!;
  switch (unitOf(range)) {
    case "day": {
      const hours = span / HOUR;
      return `${wholeDay.format(range.from)}${hours === 24 ? "" : ` (${hours} hours: the clocks change)`}`;
    }
    case "week":
      return as.days.formatRange(range.from, range.to - 1);
    case "month":
      return wholeMonth.format(range.from);
    case "year":
      return wholeYear.format(range.from);
  }
  const words = span > 3 * DAY ? as.days : span > 3 * MINUTE ? as.minutes : as.seconds;
  return words.formatRange(range.from, Math.max(range.from, Math.min(range.to, now)));
}

/** "0.4 s", "12 s", "3 min", "2 h 5 min", "3 days". */
export function lengthWords(ms: number): string {
  if (ms < 9950) return `${(Math.round(ms / 100) / 10).toString()} s`;
  if (ms < 99_500) return `${Math.round(ms / 1000)} s`;
  if (ms < HOUR - 30_000) return `${Math.round(ms / MINUTE)} min`;
  const whole = Math.round(ms / MINUTE);
  if (whole < 48 * 60) return `${Math.floor(whole / 60)} h${whole % 60 ? ` ${whole % 60} min` : ""}`;
  return `${Math.round(ms / DAY)} days`;
}

/** What there is of a moment: "recorded", "no recording: the camera was away". */
export function stateAt(chart: Chart | null, time: number, now: number): string {
  if (time >= now - 5000) return "now";
  if (!chart || !holds(chart, time)) return "";
  if (chart.losses.some((loss) => holds(loss, time))) return "damaged on the disk";
  const gap = chart.gaps.find((one) => holds(one, time));
  if (gap) return `no recording: ${reasonWords(gap.reason)}`;
  return chart.spans.some((span) => holds(span, time)) ? "recorded" : "no recording";
}

export interface Mark extends Range {
  kind: "gap" | "loss";
  words: string;
}

/** The gaps and losses that a view meets, newest first. */
export function marksIn(chart: Chart, view: Range): Mark[] {
  const meets = ({ from, to }: Range): boolean => from < view.to && to > view.from;
  const gaps = chart.gaps.filter(meets).map((gap): Mark => ({ ...gap, kind: "gap", words: reasonWords(gap.reason) }));
  const losses = chart.losses.filter(meets).map((loss): Mark => ({ ...loss, kind: "loss", words: "damaged on the disk" }));
  return [...gaps, ...losses].sort((a, b) => b.from - a.from);
}

/** The files that lie within a view, newest first. */
export const importsIn = ({ imports }: Pick<Chart, "imports">, view: Range): Import[] =>
  imports.filter(({ at }) => holds(view, at)).sort((a, b) => b.at - a.at);

/** The files that lie no further than `reach` from a moment, in milliseconds; the nearest first. */
export const importsNear = ({ imports }: Pick<Chart, "imports">, time: number, reach: number): Import[] =>
  imports.filter(({ at }) => Math.abs(at - time) <= reach).sort((a, b) => Math.abs(a.at - time) - Math.abs(b.at - time));
