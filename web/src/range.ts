// Which span of a recording to play: the offered ones, and one typed in. Pure; times in milliseconds since 1970.

export interface Range {
  from: number;
  to: number;
}

const MINUTE = 60_000;
/** A chosen range is no shorter. */
const CHOSEN_MIN = 100;

export const PRESETS = [
  { id: "5m", label: "Last 5 min", span: 5 * MINUTE },
  { id: "30m", label: "Last 30 min", span: 30 * MINUTE },
  { id: "1h", label: "Last hour", span: 60 * MINUTE },
  { id: "6h", label: "Last 6 hours", span: 360 * MINUTE },
] as const;

/** The longest span that is asked for at once: a playlist of a day has 43,200 segments. */
export const SPAN_MAX = 24 * 60 * MINUTE;

export const presetRange = (span: number, now: number): Range => ({ from: now - span, to: now });

/** The range with one edge elsewhere: within the limits, and not past the other edge. */
export function withEdge({ from, to }: Range, edge: "from" | "to", at: number, limits: Range): Range {
  if (edge === "from") return { from: Math.min(Math.max(at, limits.from), to - CHOSEN_MIN), to };
  return { from, to: Math.min(Math.max(at, from + CHOSEN_MIN), limits.to) };
}

/** Reads two `datetime-local` values (local time). Returns the range, or what is wrong with it in words. */
export function typedRange(from: string, to: string, now: number): Range | string {
  const range = { from: new Date(from).getTime(), to: new Date(to).getTime() };
  if (Number.isNaN(range.from)) return "Choose when it starts.";
  if (Number.isNaN(range.to)) return "Choose when it ends.";
  if (range.from >= now) return "The start lies in the future.";
  if (range.to <= range.from) return "The end has to be after the start.";
  if (range.to - range.from > SPAN_MAX) return "At most 24 hours at a time.";
  return { from: range.from, to: Math.min(range.to, now) };
}

/** A time as `datetime-local` wants it, in local time, no longer than it has to be: as browsers write it themselves. */
export function inputValue(time: number): string {
  const date = new Date(time);
  const local = new Date(time - date.getTimezoneOffset() * MINUTE);
  return local.toISOString().slice(0, time % 1000 !== 0 ? 23 : time % MINUTE !== 0 ? 19 : 16);
}
