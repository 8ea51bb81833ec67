// From fingers and mouse on the timeline to what they ask for. Pure: fed with places, answers with what to do; it keeps
// what was pressed until it is let go.
import type { Range } from "./range.js";
import { pan, pinch, placeOf, snap, spanOf, timeAt } from "./scale.js";

/** What lies below a press: the track, the axis below it, an edge of the chosen range, the playhead. */
export type Target = "track" | "axis" | "from" | "to" | "playhead";

export interface Ground {
  view: Range;
  limits: Range;
  width: number;
  selection: Range | null;
}

export type Wish = { view: Range } | { selection: Range } | { scrub: number } | { play: number };

/** A hand that only presses moves less than this, in CSS pixels. */
const STILL_PX = { mouse: 4, touch: 9 };

type Mode = "press" | "pan" | "select" | "pinch" | "edge" | "scrub" | "spent";

export class Gesture {
  private fingers = new Map<number, number>();
  private mode: Mode = "press";
  private target: Target = "track";
  private touch = false;
  private startX = 0;
  /** The times below the fingers when the mode began; for an edge, the one opposite. */
  private held: number[] = [];

  /** Whether a hand is at work. */
  get active(): boolean {
    return this.fingers.size > 0;
  }

  /** Whether it makes or changes a range or moves the playhead, so that its time is of interest. */
  get scrubs(): boolean {
    return this.active && (this.mode === "edge" || this.mode === "scrub" || this.mode === "select");
  }

  down(id: number, x: number, target: Target, touch: boolean, ground: Ground): void {
    if (this.fingers.size === 0) {
      Object.assign(this, { mode: "press", target, touch, startX: x, held: [timeAt(ground.view, x, ground.width)] });
      if (target === "playhead") this.mode = "scrub";
      const { selection } = ground;
      if (selection && (target === "from" || target === "to")) {
        this.mode = "edge";
        this.held = [target === "from" ? selection.to : selection.from];
      }
    }
    this.fingers.set(id, x);
    if (this.fingers.size === 2) {
      this.mode = "pinch";
      this.held = [...this.fingers.values()].map((place) => timeAt(ground.view, place, ground.width));
    } else if (this.fingers.size > 2) this.mode = "spent";
  }

  move(id: number, x: number, ground: Ground): Wish | null {
    if (!this.fingers.has(id)) return null;
    this.fingers.set(id, x);
    const { view, limits, width } = ground;
    if (this.mode === "press") {
      if (Math.abs(x - this.startX) < STILL_PX[this.touch ? "touch" : "mouse"]) return null;
      this.mode = this.touch || this.target === "axis" ? "pan" : "select";
    }
    switch (this.mode) {
      case "pan":
        return { view: pan(view, this.held[0]! - timeAt(view, x, width), limits) };
      case "pinch": {
        const [ax, bx] = [...this.fingers.values()];
        return { view: pinch(this.held[0]!, ax!, this.held[1]!, bx!, width, limits) };
      }
      case "select":
      case "edge":
        return this.range(x, ground);
      case "scrub":
        return { scrub: this.time(x, ground) };
      default:
        return null;
    }
  }

  up(id: number, x: number, ground: Ground): Wish | null {
    if (!this.fingers.delete(id)) return null;
    if (this.mode === "pinch") {
      // The finger that stays goes on panning.
      this.mode = "pan";
      this.held = [...this.fingers.values()].map((place) => timeAt(ground.view, place, ground.width));
      return null;
    }
    if (this.mode === "press" || this.mode === "scrub") return { play: this.time(x, ground) };
    return null;
  }

  /** The browser took the finger for itself, as for scrolling the page. */
  cancel(id: number): void {
    this.fingers.delete(id);
    if (this.fingers.size > 0) this.mode = "spent";
  }

  private time(x: number, { view, width, limits }: Ground): number {
    const time = snap(timeAt(view, Math.max(0, Math.min(width, x)), width), spanOf(view) / Math.max(1, width));
    return Math.max(limits.from, Math.min(limits.to, time));
  }

  /** From where the hand began to where it is; at least as long as can be seen. */
  private range(x: number, ground: Ground): Wish {
    const here = this.time(x, ground);
    const there = this.time(placeOf(ground.view, this.held[0]!, ground.width), ground);
    // An edge out of sight stays where it is.
    const fixed = this.mode === "edge" ? this.held[0]! : there;
    return { selection: here < fixed ? { from: here, to: fixed } : { from: fixed, to: Math.max(here, fixed + 100) } };
  }
}
