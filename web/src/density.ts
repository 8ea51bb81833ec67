// From buckets of bytes to the heights that are drawn: the area of a bar is what was recorded. Pure.
import type { Chart } from "./archive.js";
import type { Range } from "./range.js";
import { spanOf } from "./scale.js";

/**
 * Bytes a millisecond for each of `count` columns of equal width over `view`. A bucket's bytes lie where its part of
 * the spans does, evenly; where no span meets it, as where they are coarser than it, over the whole bucket.
 */
export function columnsOf({ density, spans, resolution }: Pick<Chart, "density" | "spans" | "resolution">, view: Range, count: number): Float64Array {
  const columns = new Float64Array(count);
  const width = spanOf(view) / count;
  let first = 0;
  for (const { from, bytes } of density) {
    const bucket = { from, to: from + resolution };
    if (bucket.to <= view.from || from >= view.to) continue;
    while (first < spans.length && spans[first]!.to <= from) first++;
    const pieces: Range[] = [];
    for (let at = first; at < spans.length && spans[at]!.from < bucket.to; at++) {
      pieces.push({ from: Math.max(from, spans[at]!.from), to: Math.min(bucket.to, spans[at]!.to) });
    }
    if (pieces.length === 0) pieces.push(bucket);
    const covered = pieces.reduce((sum, piece) => sum + spanOf(piece), 0);
    for (const piece of pieces) spread(columns, (piece.from - view.from) / width, (piece.to - view.from) / width, bytes / covered);
  }
  return columns;
}

/** Adds `rate` to the columns from `from` to `to`, by the share of each that is met. */
function spread(columns: Float64Array, from: number, to: number, rate: number): void {
  const last = Math.min(columns.length - 1, Math.ceil(to) - 1);
  for (let at = Math.max(0, Math.floor(from)); at <= last; at++) {
    columns[at]! += rate * (Math.min(at + 1, to) - Math.max(at, from));
  }
}

export interface Bar {
  /** Columns: the first, and how many. */
  at: number;
  width: number;
  /** Above 0, at most 1. */
  height: number;
}

/** What is recorded is seen, however little it is. */
const HEIGHT_MIN = 0.08;
const LEVELS = 64;

/** Neighbours of the same height as one bar; the tallest fills. */
export function barsOf(columns: Float64Array): Bar[] {
  const most = columns.reduce((a, b) => Math.max(a, b), 0);
  const bars: Bar[] = [];
  columns.forEach((rate, at) => {
    if (rate <= 0) return;
    const height = Math.max(HEIGHT_MIN, Math.ceil((rate / most) * LEVELS) / LEVELS);
    const last = bars.at(-1);
    if (last && last.height === height && last.at + last.width === at) last.width++;
    else bars.push({ at, width: 1, height });
  });
  return bars;
}

/** Whether something is recorded after `at`, of which the chart does not say where it begins. */
export const isBeyond = (chart: Pick<Chart, "from" | "spans" | "newest"> | null, at: number): boolean =>
  chart?.newest != null && chart.newest > at && nextRecorded(chart, at) === null;

/** The first moment from `at` on that is recorded; null where the chart knows of none. */
export function nextRecorded(chart: Pick<Chart, "from" | "spans"> | null, at: number): number | null {
  if (!chart || at < chart.from) return null;
  const span = chart.spans.find(({ to }) => to > at);
  return span ? Math.max(span.from, at) : null;
}
