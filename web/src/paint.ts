// Draws the timeline on a canvas, sharp at any pixel ratio, in the page's colours. Knows nothing of pointers or state.
import type { Chart } from "./archive.js";
import { DAY } from "./calendar.js";
import { barsOf, columnsOf } from "./density.js";
import { drawFilm } from "./film.js";
import type { Range } from "./range.js";
import { placeOf, spanOf } from "./scale.js";
import type { Picture } from "./strips.js";
import { axisOf } from "./ticks.js";
import { reasonWords } from "./words.js";

/** In CSS pixels from the top. The style sheet gives the canvas its height. */
export const TRACK = { clips: 3, clipHeight: 16, top: 23, film: 77, bottom: 91, ticks: 106, bands: 122 } as const;

/** From the middle of a file's mark to its corners. */
const FILE_PX = 6.5;

export interface Scene {
  view: Range;
  limits: Range;
  chart: Chart | null;
  /** The pictures of the film; null where none is shown. */
  picture: ((time: number) => Picture | null) | null;
}

type Colours = Record<"text" | "soft" | "line" | "ground" | "surface" | "accent" | "span" | "warn" | "gap" | "loss", string>;

const NAMES: Record<keyof Colours, string> = {
  ...{ text: "--text", soft: "--soft", line: "--line", ground: "--ground", surface: "--surface" },
  ...{ accent: "--accent", span: "--accent-ground", warn: "--warn", gap: "--warn-ground", loss: "--live" },
};

function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const read = ([name, property]: [string, string]): [string, string] => [name, style.getPropertyValue(property).trim()];
  return Object.fromEntries(Object.entries(NAMES).map(read)) as Colours;
}

/** Fits the canvas to its place on the page and draws all of it. */
export function paint(canvas: HTMLCanvasElement, scene: Scene): void {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext("2d");
  if (!context || width === 0) return;
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  new Painter(context, scene, width, ratio, coloursOf(canvas)).all();
}

class Painter {
  constructor(
    private readonly context: CanvasRenderingContext2D,
    private readonly scene: Scene,
    private readonly width: number,
    private readonly ratio: number,
    private readonly colours: Colours,
  ) {}

  all(): void {
    const { chart } = this.scene;
    this.ground();
    if (chart) {
      this.spans(chart);
      for (const gap of chart.gaps) this.gap(gap, reasonWords(gap.reason));
      for (const loss of chart.losses) this.loss(loss);
    }
    this.axis();
    if (!chart) return;
    for (const clip of chart.clips) this.clip(clip, clip.name);
    for (const { at } of chart.imports) this.file(at);
  }

  /** The left edge and the width in CSS pixels, on whole device pixels; null out of sight. Never thinner than `least`. */
  private place({ from, to }: Range, least: number): [number, number] | null {
    const { view } = this.scene;
    if (to < view.from || from > view.to) return null;
    const sharp = (x: number): number => Math.round(x * this.ratio) / this.ratio;
    const left = sharp(Math.max(-8, placeOf(view, from, this.width)));
    const right = sharp(Math.min(this.width + 8, placeOf(view, to, this.width)));
    return right - left < least ? [(left + right - least) / 2, least] : [left, right - left];
  }

  /** What has been; what is to come stays empty. */
  private ground(): void {
    const place = this.place({ from: -Infinity, to: this.scene.limits.to }, 0);
    if (place) this.fill(place, TRACK.top, TRACK.bottom, this.colours.ground);
  }

  private spans(chart: Chart): void {
    const { context, ratio, colours, scene, width } = this;
    const { view, picture } = scene;
    const film = picture && { context, view, width, top: TRACK.top, height: TRACK.film - TRACK.top, picture };
    for (const span of chart.spans) {
      const place = this.place(span, 1 / ratio);
      if (!place) continue;
      this.fill(place, TRACK.top, TRACK.bottom, colours.span);
      if (film) drawFilm(film, span);
    }
    const high = TRACK.bottom - (film ? TRACK.film + 2 : TRACK.top + 4);
    context.fillStyle = colours.accent;
    for (const { at, width: wide, height } of barsOf(columnsOf(chart, view, Math.round(width * ratio)))) {
      context.fillRect(at / ratio, TRACK.bottom - high * height, wide / ratio, high * height);
    }
  }

  private gap(gap: Range, words: string): void {
    const place = this.place(gap, 2);
    if (!place) return;
    const { warn, gap: ground, surface } = this.colours;
    this.fill(place, TRACK.top, TRACK.bottom, surface);
    this.fill(place, TRACK.top, TRACK.bottom, place[1] > 4 ? ground : warn);
    if (place[1] > 4) this.hatch(place, warn, 6, false);
    this.fill(place, TRACK.bottom - 3, TRACK.bottom, warn);
    this.words(words, place, (TRACK.top + TRACK.bottom) / 2, warn, ground);
  }

  private loss(loss: Range): void {
    const place = this.place(loss, 3);
    if (!place) return;
    const { loss: red, surface } = this.colours;
    this.fill(place, TRACK.top, TRACK.bottom, place[1] > 4 ? surface : red);
    if (place[1] > 4) this.hatch(place, red, 5, true);
    this.fill(place, TRACK.top - 3, TRACK.top, red);
    this.fill(place, TRACK.bottom - 3, TRACK.bottom, red);
    this.words("damaged", place, (TRACK.top + TRACK.bottom) / 2, red, surface);
  }

  private clip(clip: Range, name: string): void {
    const place = this.place(clip, 4);
    if (!place) return;
    const { context, colours } = this;
    const [left, width] = place;
    context.fillStyle = colours.accent;
    context.beginPath();
    context.roundRect(left, TRACK.clips, width, TRACK.clipHeight, Math.min(4, width / 2));
    context.fill();
    context.globalAlpha = 0.14;
    context.fillRect(left, TRACK.top, width, TRACK.bottom - TRACK.top);
    context.globalAlpha = 1;
    this.words(name, place, TRACK.clips + TRACK.clipHeight / 2 + 0.5, colours.surface, null);
  }

  private file(at: number): void {
    const place = this.place({ from: at, to: at }, 1);
    if (!place) return;
    const { context, colours } = this;
    const [x, y] = [place[0] + place[1] / 2, TRACK.clips + TRACK.clipHeight / 2];
    context.globalAlpha = 0.45;
    this.fill(place, y, TRACK.bottom, colours.text);
    context.globalAlpha = 1;
    context.beginPath();
    context.moveTo(x, y - FILE_PX);
    for (const [across, down] of [[1, 0], [0, 1], [-1, 0]] as const) context.lineTo(x + across * FILE_PX, y + down * FILE_PX);
    context.closePath();
    context.fillStyle = colours.text;
    context.strokeStyle = colours.surface;
    context.lineWidth = 1.5;
    context.fill();
    context.stroke();
  }

  private fill([left, width]: [number, number], top: number, bottom: number, colour: string): void {
    this.context.fillStyle = colour;
    this.context.fillRect(left, top, width, bottom - top);
  }

  private hatch([left, width]: [number, number], colour: string, apart: number, crossed: boolean): void {
    const { context } = this;
    const high = TRACK.bottom - TRACK.top;
    context.save();
    context.beginPath();
    context.rect(left, TRACK.top, width, high);
    context.clip();
    context.strokeStyle = colour;
    context.globalAlpha = crossed ? 0.75 : 0.4;
    context.lineWidth = 1;
    context.beginPath();
    // Fixed to the page, so that it stands still while the view moves below it.
    const first = Math.floor((left - high) / apart) * apart;
    for (let x = first; x < left + width + high; x += apart) {
      context.moveTo(x, TRACK.bottom);
      context.lineTo(x + high, TRACK.top);
      if (!crossed) continue;
      context.moveTo(x, TRACK.top);
      context.lineTo(x + high, TRACK.bottom);
    }
    context.stroke();
    context.restore();
  }

  /** In the middle of what is seen of a place, where there is room for it. */
  private words(text: string, [left, width]: [number, number], y: number, colour: string, behind: string | null): void {
    const { context } = this;
    const [from, to] = [Math.max(0, left), Math.min(this.width, left + width)];
    context.font = "500 11px system-ui, sans-serif";
    const room = to - from - 14;
    const wide = context.measureText(text).width;
    if (wide > room) return;
    const x = (from + to - wide) / 2;
    if (behind) {
      context.fillStyle = behind;
      context.fillRect(x - 4, y - 8, wide + 8, 16);
    }
    context.fillStyle = colour;
    context.textBaseline = "middle";
    context.fillText(text, x, y);
  }

  private axis(): void {
    const { context, colours, width, scene } = this;
    const { ticks, minor, bands } = axisOf(scene.view, width);
    const sharp = (time: number): number => (Math.floor(placeOf(scene.view, time, width) * this.ratio) + 0.5) / this.ratio;
    const line = (time: number, top: number, bottom: number, colour: string): void => {
      context.strokeStyle = colour;
      context.lineWidth = 1 / this.ratio;
      context.beginPath();
      context.moveTo(sharp(time), top);
      context.lineTo(sharp(time), bottom);
      context.stroke();
    };
    context.textBaseline = "alphabetic";
    for (const time of minor) line(time, TRACK.bottom + 1, TRACK.bottom + 4, colours.soft);
    context.font = "11px system-ui, sans-serif";
    let taken = -Infinity;
    for (const { time, middle, label } of ticks) {
      line(time, TRACK.bottom + 1, TRACK.bottom + 6, colours.soft);
      const wide = context.measureText(label).width;
      // At the edges moved in, as far as nothing else is there.
      const x = Math.max(0, Math.min(width - wide, placeOf(scene.view, middle, width) - wide / 2));
      if (x < taken + 8) continue;
      context.fillStyle = colours.soft;
      context.fillText(label, x, TRACK.ticks + 3);
      taken = x + wide;
    }
    // The larger unit, held at the left edge while its beginning is out of sight.
    context.font = "600 11px system-ui, sans-serif";
    for (const band of bands) {
      if (band.from > scene.view.from) line(band.from, TRACK.top, TRACK.bands + 4, spanOf(scene.view) > DAY / 2 ? colours.soft : colours.line);
      const [from, to] = [Math.max(0, placeOf(scene.view, band.from, width) + 5), placeOf(scene.view, band.to, width)];
      if (context.measureText(band.label).width > Math.min(to, width) - from - 4) continue;
      context.fillStyle = colours.text;
      context.fillText(band.label, band.from <= scene.view.from ? 0 : from, TRACK.bands + 3);
    }
  }
}
