// What is below the mouse, the finger or the mark of the keyboard: its time, what there is, a small picture.
import { useEffect, useRef } from "preact/hooks";
import { recordedStillPath } from "./archive.js";
import { momentWords, stateAt } from "./moments.js";
import { holds, placeOf, spanOf } from "./scale.js";
import { loadPicture, Stills } from "./stills.js";
import { chart, now, view } from "./timeline.js";

const STILL_WIDTH = 160;
/** One picture for so many pixels of the timeline, so that a hand that moves asks for few. */
const STILL_EVERY_PX = 5;

export function Peek({ at, width }: { at: number | null; width: number }) {
  const stills = useRef(new Stills(loadPicture)).current;
  useEffect(() => stills.want(at === null ? "" : stillAt(at, width)), [at, chart.value]);
  if (at === null || width === 0 || !holds(view.value, at)) return null;
  const half = STILL_WIDTH / 2;
  const left = Math.max(half, Math.min(width - half, placeOf(view.value, at, width)));
  const state = stateAt(chart.value, at, now.value);
  return (
    <div class="peek" aria-hidden="true" style={{ left: `${left}px` }}>
      {stills.shown.value && <img src={stills.shown.value} alt="" />}
      <span class="peek-time">{momentWords(Math.floor(at / 1000) * 1000)}</span>
      {state && state !== "recorded" && <span class="peek-state">{state}</span>}
    </div>
  );
}

/** The address of the picture of a moment; "" where nothing is recorded. */
function stillAt(at: number, width: number): string {
  const known = chart.peek();
  const span = known?.spans.find((one) => holds(one, at));
  if (!known || !span) return "";
  const every = Math.max(2000, (spanOf(view.peek()) / Math.max(1, width)) * STILL_EVERY_PX);
  const rounded = Math.max(span.from, Math.floor(at / every) * every);
  return recordedStillPath(known.camera, Math.round(rounded), STILL_WIDTH * Math.min(2, Math.ceil(window.devicePixelRatio || 1)));
}
