// What is below the mouse, the finger or the mark of the keyboard: its time, what there is, a small picture.
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { nameWords } from "./filewords.js";
import { importsNear, momentWords, stateAt } from "./moments.js";
import { arrived, pictureOf, wantPeek } from "./pictures.js";
import { holds, placeOf, spanOf } from "./scale.js";
import type { Picture } from "./strips.js";
import { chart, now, view } from "./timeline.js";

/** So near to its mark a file is meant, in CSS pixels. */
export const MARK_PX = 8;

export function Peek({ at, width }: { at: number | null; width: number }) {
  const known = chart.value;
  const shown = view.value;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => wantPeek(known, at, shown, width), [known, at, shown, width, now.value]);
  // At its moment, as far as all of it stays on the timeline: how wide it is depends on its words and its picture.
  useLayoutEffect(() => {
    if (!box.current || at === null) return;
    const half = box.current.offsetWidth / 2;
    box.current.style.left = `${Math.max(half, Math.min(width - half, placeOf(shown, at, width)))}px`;
  });
  if (at === null || width === 0 || !holds(shown, at)) return null;
  const state = stateAt(known, at, now.value);
  // Another number when a picture has come: then there may be a finer one.
  void arrived.value;
  const files = known ? importsNear(known, at, (MARK_PX * spanOf(shown)) / width) : [];
  const picture = known && pictureOf(known, at);
  return (
    <div class="peek" ref={box} aria-hidden="true">
      {picture && <Still picture={picture} />}
      {files.length > 0 && <span class="peek-name">{nameWords(files.map(({ item }) => item.name))}</span>}
      <span class="peek-time">{momentWords(Math.floor(at / 1000) * 1000)}</span>
      {state && state !== "recorded" && <span class="peek-state">{state}</span>}
    </div>
  );
}

/** As many pixels as the picture has; the style sheet says how large they are. */
function Still({ picture }: { picture: Picture }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { image, x, width, height } = picture;
  useLayoutEffect(() => {
    canvas.current!.getContext("2d")?.drawImage(image, x, 0, width, height, 0, 0, width, height);
  }, [image, x]);
  return <canvas ref={canvas} width={width} height={height} />;
}
