// Draws the film on the timeline: recorded pictures side by side, where the view is close enough for them to tell
// something.
import { filmStep } from "./needs.js";
import type { Range } from "./range.js";
import { holds, placeOf } from "./scale.js";
import type { Picture } from "./strips.js";

/** A picture is about so wide, in CSS pixels. */
const WIDE = 112;
/** Between two pictures. */
const EDGE = 2;

export interface Film {
  context: CanvasRenderingContext2D;
  view: Range;
  /** Of the timeline, in CSS pixels. */
  width: number;
  top: number;
  height: number;
  picture: (time: number) => Picture | null;
}

/** Draws the pictures of a recorded span; each fills its place, what is too much of it is cut off. */
export function drawFilm({ context, view, width, top, height, picture }: Film, span: Range): void {
  const step = filmStep(view, width);
  const place = (time: number): number => placeOf(view, time, width);
  const [from, to] = [Math.max(view.from, span.from), Math.min(view.to, span.to)];
  context.save();
  context.beginPath();
  context.rect(place(from), top, place(to) - place(from), height);
  context.clip();
  context.imageSmoothingQuality = "high";
  for (let start = Math.floor(from / step) * step; start < to; start += step) {
    const found = holds(span, start + step / 2) ? picture(start + step / 2) : null;
    if (!found) continue;
    // Very close, where one picture lasts for more than its width, it is seen again and again.
    const copies = Math.max(1, Math.round((place(start + step) - place(start)) / WIDE));
    const wide = (place(start + step) - place(start)) / copies;
    for (let copy = 0; copy < copies; copy++) {
      const left = place(start) + copy * wide;
      if (left < width && left + wide > 0) fill(context, found, left, top, wide, height);
    }
  }
  context.restore();
}

/** Puts a picture into a place that it fills, its middle in the middle, with a thin edge to the next. */
function fill(context: CanvasRenderingContext2D, picture: Picture, left: number, top: number, wide: number, high: number): void {
  const scale = Math.max(wide / picture.width, high / picture.height);
  const [w, h] = [wide / scale, high / scale];
  const [x, y] = [picture.x + (picture.width - w) / 2, (picture.height - h) / 2];
  context.drawImage(picture.image, x, y, w, h, left, top, Math.max(1, wide - EDGE), high);
}
