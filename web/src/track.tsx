// The timeline itself: the canvas, hands and keys on it, the playhead, the edges of the chosen range.
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Gesture, type Ground, type Target } from "./gesture.js";
import { bringPlayer } from "./in-sight.js";
import { keyStep, timelineCommand } from "./keys.js";
import type { Item } from "./items.js";
import { importsNear, lengthWords, minuteWords, momentWords, stateAt } from "./moments.js";
import { showsFilm } from "./needs.js";
import { paint, TRACK } from "./paint.js";
import { MARK_PX, Peek } from "./peek.js";
import { arrived, pictureOf, wantFilm } from "./pictures.js";
import { placeOf, spanOf, timeAt, holds } from "./scale.js";
import { useSeen } from "./seen.js";
import { theme } from "./settings.js";
import { isShowable, show } from "./shown.js";
import {
  chart,
  choose,
  chooseEdge,
  cursor,
  limits,
  mark,
  moveEdge,
  moveMark,
  now,
  panBy,
  playFrom,
  playhead,
  sayView,
  selection,
  setView,
  view,
  zoomBy,
} from "./timeline.js";

const WHEEL_LINE_PX = 16;
/** How much a turn of the wheel by a pixel zooms; a pinch on a touchpad turns it less. */
const WHEEL_ZOOM = 0.0022;
const PINCH_ZOOM = 0.012;

export function Track({ name }: { name: string }) {
  const root = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  /** The moment below the mouse, or the one that a finger drags. */
  const hover = useSignal<number | null>(null);
  /** Whether the mouse is on the mark of a file that can be shown. */
  const onFile = useSignal(false);
  /** Whether keys move the mark now. */
  const hasFocus = useSignal(false);
  const gesture = useRef(new Gesture());
  const pressed = useRef<Item | null>(null);

  const isSeen = useSeen(root);
  usePainting(canvas, width);
  useEffect(() => wantFilm(isSeen.value ? chart.value : null, view.value, width.value), [isSeen.value, chart.value, view.value, width.value, now.value]);
  useWheel(root);

  const ground = (): Ground => ({ view: view.peek(), limits: limits.peek(), width: width.peek(), selection: selection.peek() });
  const placeIn = (event: PointerEvent): number => event.clientX - root.current!.getBoundingClientRect().left;
  const carryOut = (wish: ReturnType<Gesture["move"]>): void => {
    if (!wish) return;
    if ("view" in wish) setView(wish.view);
    else if ("selection" in wish) choose(wish.selection);
    else if ("scrub" in wish) mark.value = wish.scrub;
    else {
      playFrom(wish.play);
      bringPlayer();
    }
  };
  const heightIn = (event: PointerEvent): number => event.clientY - root.current!.getBoundingClientRect().top;
  /** The file whose mark is pressed or pointed at. */
  const fileBelow = (event: PointerEvent): Item | null => {
    const known = chart.peek();
    if (!known || heightIn(event) >= TRACK.top) return null;
    const reach = ((event.pointerType === "mouse" ? 1 : 2) * MARK_PX * spanOf(view.peek())) / Math.max(1, width.peek());
    const near = importsNear(known, timeAt(view.peek(), placeIn(event), width.peek()), reach);
    return near.find(({ item }) => isShowable(item))?.item ?? null;
  };
  const look = (event: PointerEvent): void => {
    const at = timeAt(view.peek(), placeIn(event), width.peek());
    const seen = gesture.current.scrubs || (event.pointerType === "mouse" && !gesture.current.active);
    hover.value = seen && at <= limits.peek().to ? at : null;
    onFile.value = event.pointerType === "mouse" && !gesture.current.active && fileBelow(event) !== null;
  };
  const onPointerDown = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    const grip = (event.target as HTMLElement).closest<HTMLElement>("[data-grip]")?.dataset.grip as Target | undefined;
    pressed.current = grip ? null : fileBelow(event);
    gesture.current.down(event.pointerId, placeIn(event), grip ?? (heightIn(event) > TRACK.bottom ? "axis" : "track"), event.pointerType !== "mouse", ground());
    root.current!.setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent): void => {
    carryOut(gesture.current.move(event.pointerId, placeIn(event), ground()));
    look(event);
  };
  const onPointerUp = (event: PointerEvent): void => {
    const wish = gesture.current.up(event.pointerId, placeIn(event), ground());
    if (wish && "play" in wish && pressed.current) show(pressed.current);
    else carryOut(wish);
    look(event);
  };
  const onPointerCancel = (event: PointerEvent): void => {
    gesture.current.cancel(event.pointerId);
    hover.value = null;
  };
  const step = (by: number): void => moveMark(cursor.peek() + by);
  const onKeyDown = (event: KeyboardEvent): void => {
    const command = timelineCommand(event);
    // Space pauses, as everywhere on the page, until the keyboard has a moment of its own to play from.
    if (!command || (event.key === " " && mark.peek() === null)) return;
    event.preventDefault();
    switch (command.do) {
      case "zoom":
        zoomBy(command.factor);
        return sayView();
      case "step":
        return step(command.by * keyStep(spanOf(view.peek())));
      case "move":
        return step(command.by * spanOf(view.peek()));
      case "oldest":
        return moveMark(chart.peek()?.oldest ?? limits.peek().from);
      case "now":
        return moveMark(limits.peek().to);
      case "play":
        playFrom(cursor.peek());
        return bringPlayer();
      case "begin":
        return chooseEdge("from");
      case "end":
        return chooseEdge("to");
      case "leave":
        if (mark.peek() !== null) mark.value = null;
        else choose(null);
    }
  };

  const peeked = useComputed(() => hover.value ?? (hasFocus.value ? mark.value : null));
  return (
    <div
      class="timeline"
      ref={root}
      data-on-file={onFile.value || undefined}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={onPointerCancel}
      onPointerLeave={() => !gesture.current.active && (hover.value = null)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      <Scrubber name={name} onKeyDown={onKeyDown} onFocus={(is) => (hasFocus.value = is)} />
      <p class="unseen" id="timeline-keys">
        Arrow keys move, Enter plays from there, plus and minus zoom, I and O begin and end a range.
      </p>
      <Playhead width={width.value} />
      <Edges width={width.value} />
      <Peek at={peeked.value} width={width.value} />
    </div>
  );
}

/** Draws again, once a frame at most, whatever changed. */
function usePainting(canvas: { current: HTMLCanvasElement | null }, width: { value: number }): void {
  const frame = useRef(0);
  const draw = (): void => {
    window.cancelAnimationFrame(frame.current);
    frame.current = window.requestAnimationFrame(() => {
      const known = chart.peek();
      const picture = known && showsFilm(view.peek()) ? (time: number) => pictureOf(known, time) : null;
      if (canvas.current) paint(canvas.current, { view: view.peek(), limits: limits.peek(), chart: known, picture });
    });
  };
  // Each of them changes the drawing.
  useEffect(draw, [view.value, chart.value, arrived.value, theme.value, width.value, Math.floor((now.value * 1000) / spanOf(view.value))]);
  useEffect(() => {
    const sized = new ResizeObserver(() => {
      width.value = canvas.current?.clientWidth ?? 0;
      draw();
    });
    sized.observe(canvas.current!);
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      sized.disconnect();
      dark.removeEventListener("change", draw);
      window.cancelAnimationFrame(frame.current);
    };
  }, []);
}

/** Not as an attribute: those listeners may not keep the page from scrolling. */
function useWheel(root: { current: HTMLElement | null }): void {
  useEffect(() => {
    const element = root.current!;
    const turn = (event: WheelEvent): void => {
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : WHEEL_LINE_PX;
      const sideways = event.shiftKey ? event.deltaX || event.deltaY : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
      const before = view.peek();
      const { left, width } = element.getBoundingClientRect();
      if (sideways !== 0) panBy((sideways * unit * spanOf(before)) / width);
      else zoomBy(Math.exp(event.deltaY * unit * (event.ctrlKey ? PINCH_ZOOM : WHEEL_ZOOM)), timeAt(before, event.clientX - left, width));
      // At the end of what can be seen the page scrolls on.
      const { from, to } = view.peek();
      if (event.ctrlKey || Math.abs(from - before.from) + Math.abs(to - before.to) > spanOf(before) * 1e-6) event.preventDefault();
    };
    element.addEventListener("wheel", turn, { passive: false });
    return () => element.removeEventListener("wheel", turn);
  }, []);
}

/** What a screen reader and the keyboard meet: a slider over all that can be played. */
function Scrubber({ name, onKeyDown, onFocus }: { name: string; onKeyDown: (event: KeyboardEvent) => void; onFocus: (is: boolean) => void }) {
  const moved = mark.value !== null;
  // By the minute while it runs by itself: each change is said to whoever is here.
  const at = moved ? cursor.value : Math.floor(cursor.value / 60_000) * 60_000;
  const state = stateAt(chart.value, cursor.value, now.value);
  const words = [moved ? momentWords(at) : minuteWords(at), state].filter(Boolean).join(", ");
  const seconds = (time: number): number => Math.floor(time / 60_000) * 60;
  return (
    <div
      class="scrubber"
      role="slider"
      tabIndex={0}
      aria-label={`Timeline of ${name}`}
      aria-describedby="timeline-keys"
      aria-valuemin={seconds(limits.value.from)}
      aria-valuemax={seconds(limits.value.to) + 60}
      aria-valuenow={Math.floor(at / 1000)}
      aria-valuetext={words}
      onKeyDown={onKeyDown}
      onFocus={() => onFocus(true)}
      onBlur={() => onFocus(false)}
    />
  );
}

function Playhead({ width }: { width: number }) {
  const at = cursor.value;
  const shown = view.value;
  return (
    <>
      {mark.value !== null && holds(shown, playhead.value) && (
        <div class="playhead" data-still aria-hidden="true" style={{ transform: `translateX(${placeOf(shown, playhead.value, width)}px)` }} />
      )}
      {holds(shown, at) && (
        <div class="playhead" aria-hidden="true" style={{ transform: `translateX(${placeOf(shown, at, width)}px)` }}>
          <span class="playhead-grip" data-grip="playhead" />
        </div>
      )}
    </>
  );
}

/** The chosen range and its two edges, each a slider of its own. */
function Edges({ width }: { width: number }) {
  const range = selection.value;
  if (!range) return null;
  const shown = view.value;
  const place = (time: number): number => Math.max(-20, Math.min(width + 20, placeOf(shown, time, width)));
  return (
    <>
      <div class="chosen" aria-hidden="true" style={{ left: `${place(range.from)}px`, width: `${place(range.to) - place(range.from)}px` }}>
        <span>{lengthWords(range.to - range.from)}</span>
      </div>
      {(["from", "to"] as const).map((edge) => (
        <div
          key={edge}
          class="edge"
          data-grip={edge}
          role="slider"
          tabIndex={0}
          aria-label={edge === "from" ? "Start of the range" : "End of the range"}
          aria-valuemin={Math.floor(limits.value.from / 1000)}
          aria-valuemax={Math.ceil(limits.value.to / 1000)}
          aria-valuenow={Math.round(range[edge] / 1000)}
          aria-valuetext={momentWords(range[edge])}
          hidden={!holds(shown, range[edge])}
          style={{ transform: `translateX(${place(range[edge])}px)` }}
          onKeyDown={(event) => {
            const command = timelineCommand(event);
            if (command?.do === "step") moveEdge(edge, command.by * keyStep(spanOf(shown)));
            else if (command?.do === "leave") {
              // The edge goes: the keyboard goes on at the timeline.
              document.querySelector<HTMLElement>(".scrubber")?.focus({ preventScroll: true });
              choose(null);
            } else return;
            event.preventDefault();
          }}
        />
      ))}
    </>
  );
}
