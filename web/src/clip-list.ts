// The clips of the camera on view: asked for again when the timeline knows of others, and while there is no answer.
// Driven by clips.tsx; the request itself is handed in.
import { signal } from "@preact/signals";
import { ASKED_AGAIN, reasonOf, type Chart, type Clip } from "./archive.js";

const RETRY_MS = 4000;
/** A chart has no more clips than this, the first of its time. */
const CHARTED_MAX = 1000;

export class ClipList {
  /** Newest first; null until they are known. */
  readonly clips = signal<Clip[] | null>(null);
  /** Why they are not known, in the server's words; "" while all is well. */
  readonly trouble = signal("");

  private camera: string | null = null;
  /** Another number whenever an answer that is under way would be outdated. */
  private turn = 0;
  private timer = 0;

  constructor(private readonly fetch: (camera: string) => Promise<Clip[]>) {}

  /** Begins with the clips of a camera, or with none. */
  watch(camera: string | null): void {
    this.camera = camera;
    this.take(null);
    this.trouble.value = "";
    if (camera !== null) void this.ask();
  }

  /** Asks again if the chart shows other clips than the list has for that time. */
  compare(chart: Chart | null): void {
    const known = this.clips.peek();
    if (!chart || chart.camera !== this.camera || known === null) return;
    const listed = known
      .filter(({ from, to }) => Date.parse(from) < chart.to && Date.parse(to) > chart.from)
      .sort((a, b) => Date.parse(a.from) - Date.parse(b.from) || a.id - b.id)
      .slice(0, CHARTED_MAX);
    const ids = (clips: { id: number }[]): string => clips.map(({ id }) => id).sort((a, b) => a - b).join();
    if (ids(listed) !== ids(chart.clips)) void this.ask();
  }

  /** One that was just made; another camera may be on view by then. */
  add(clip: Clip): void {
    if (clip.camera !== this.camera) return;
    this.take([clip, ...(this.clips.peek() ?? []).filter(({ id }) => id !== clip.id)]);
  }

  remove(clip: Clip): void {
    this.take(this.clips.peek()?.filter(({ id }) => id !== clip.id) ?? null);
  }

  private take(clips: Clip[] | null): void {
    this.turn++;
    window.clearTimeout(this.timer);
    this.clips.value = clips && [...clips].sort((a, b) => Date.parse(b.from) - Date.parse(a.from));
  }

  private async ask(): Promise<void> {
    const mine = ++this.turn;
    window.clearTimeout(this.timer);
    try {
      const clips = await this.fetch(this.camera!);
      if (mine !== this.turn) return;
      this.take(clips);
      this.trouble.value = "";
    } catch (error) {
      if (mine !== this.turn) return;
      this.trouble.value = reasonOf(error, ASKED_AGAIN);
      this.timer = window.setTimeout(() => void this.ask(), RETRY_MS);
    }
  }
}
