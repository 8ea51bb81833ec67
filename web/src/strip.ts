// Strips of recorded pictures as the server makes them: which of them shows a moment, and at what address. Every strip
// lies on a grid, so that neighbouring views share them. Pure; times in milliseconds since 1970.
import type { Range } from "./range.js";

/** So many pictures come with one request. */
export const PICTURES = 20;
/** Keyframes are two seconds apart: nothing finer can be shown. */
export const STEP_MIN = 2000;

/** Pictures of a camera from `from` on, one for each `step`. */
export interface Strip {
  camera: string;
  from: number;
  step: number;
}

export const stripEnd = ({ from, step }: Strip): number => from + step * PICTURES;

/** The time between two pictures that is no shorter than wished: each is √2 times the one before. */
export function stepFor(wished: number): number {
  const doublings = Math.max(0, Math.ceil(2 * Math.log2(wished / STEP_MIN) - 1e-9));
  return Math.round(STEP_MIN * 2 ** (doublings / 2));
}

/** The strip that has the picture of a moment. */
export function stripAt(camera: string, step: number, time: number): Strip {
  return { camera, step, from: Math.floor(time / (step * PICTURES)) * step * PICTURES };
}

/** Every strip that meets the range, earliest first. */
export function stripsOver(camera: string, step: number, { from, to }: Range): Strip[] {
  const found: Strip[] = [];
  for (let strip = stripAt(camera, step, from); strip.from < to; strip = { ...strip, from: stripEnd(strip) }) found.push(strip);
  return found;
}

/** Which picture of a strip shows the moment. */
export const pictureAt = ({ from, step }: Strip, time: number): number =>
  Math.max(0, Math.min(PICTURES - 1, Math.floor((time - from) / step)));

/** The moment that a picture is taken of: the middle of its share. */
export const momentOf = ({ from, step }: Strip, picture: number): number => from + (picture + 0.5) * step;

/** What tells strips apart. */
export const stripKey = ({ camera, from, step }: Strip): string => `${camera} ${step} ${from}`;

/** `width` in pixels, of each picture. */
export function stripPath(strip: Strip, width: number): string {
  const query = new URLSearchParams({
    from: new Date(strip.from).toISOString(),
    to: new Date(stripEnd(strip)).toISOString(),
    count: String(PICTURES),
    width: String(width),
  });
  return `/recordings/${strip.camera}/strip.jpg?${query}`;
}
