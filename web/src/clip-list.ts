// The clips of the camera on view: asked for again when the timeline knows of others, and while there is no answer.
// Driven by clips.tsx; the request itself is handed in.
import { computed, signal } from "@preact/signals";
import { ASKED_AGAIN, reasonOf, type Chart, type Clip, type ClipPage } from "./archive.js";

const RETRY_MS = 4000;
/** A chart has no more clips than this, the first of its time. */
const CHARTED_MAX = 1000;
const PAGE = 50;
/** The server gives no more at once. */
const PAGE_MAX = 1000;

type Fetch = (camera: string, limit: number, before: string | null) => Promise<ClipPage>;

const start = ({ from }: Clip): number => Date.parse(from);

export class ClipList {
  /** Those of the newest recordings first; null until they are known. */
  readonly clips = signal<Clip[] | null>(null);
  /** Why they are not known, in the server's words; "" while all is well. */
  readonly trouble = signal("");
  /** Where the list goes on; null where all of it is known. */
  private readonly next = signal<string | null>(null);
  readonly hasMore = computed(() => this.next.value !== null);

  private camera: string | null = null;
  /** Clips that start later than this are known. */
  private reached = -Infinity;
  /** Another number whenever an answer that is under way would be outdated. */
  private turn = 0;
  private timer = 0;

  constructor(private readonly fetch: Fetch) {}

  /** Begins with the clips of a camera, or with none. */
  watch(camera: string | null): void {
    this.camera = camera;
    window.clearTimeout(this.timer);
    this.take(null);
    this.end(null, []);
    this.trouble.value = "";
    if (camera !== null) void this.ask();
  }

  /** Asks again if the chart shows other clips than the list has for that time, as far as both go. */
  compare(chart: Chart | null): void {
    const known = this.clips.peek();
    if (!chart || chart.camera !== this.camera || known === null) return;
    const until = chart.clips.length < CHARTED_MAX ? Infinity : Math.max(...chart.clips.map(({ from }) => from));
    const isCompared = (from: number): boolean => from > this.reached && from < until;
    const listed = known.filter((clip) => isCompared(start(clip)) && start(clip) < chart.to && Date.parse(clip.to) > chart.from);
    const charted = chart.clips.filter(({ from }) => isCompared(from));
    const ids = (clips: { id: number }[]): string => clips.map(({ id }) => id).sort((a, b) => a - b).join();
    if (ids(listed) !== ids(charted)) void this.ask();
  }

  /** One that was just made; another camera may be on view by then. */
  add(clip: Clip): void {
    if (clip.camera !== this.camera) return;
    this.take([clip, ...(this.clips.peek() ?? []).filter(({ id }) => id !== clip.id)]);
  }

  remove(clip: Clip): void {
    this.take(this.clips.peek()?.filter(({ id }) => id !== clip.id) ?? null);
  }

  /** Takes those of earlier recordings, too. Fails with the server's reason. */
  async more(): Promise<void> {
    const [before, mine] = [this.next.peek(), this.turn];
    if (before === null) return;
    const page = await this.fetch(this.camera!, PAGE, before);
    if (mine !== this.turn) return;
    const earlier = new Set(page.clips.map(({ id }) => id));
    this.take([...(this.clips.peek() ?? []).filter(({ id }) => !earlier.has(id)), ...page.clips]);
    this.end(page.next, page.clips);
  }

  private take(clips: Clip[] | null): void {
    this.turn++;
    this.clips.value = clips && [...clips].sort((a, b) => start(b) - start(a) || b.id - a.id);
  }

  /** How far the list goes: up to the last of `clips`. */
  private end(next: string | null, clips: Clip[]): void {
    const last = clips.at(-1);
    this.reached = next !== null && last ? start(last) : -Infinity;
    this.next.value = next;
  }

  /** Asks for as many as there are on view. */
  private async ask(): Promise<void> {
    const mine = ++this.turn;
    window.clearTimeout(this.timer);
    try {
      const limit = Math.min(PAGE_MAX, Math.max(PAGE, this.clips.peek()?.length ?? 0));
      const { clips, next } = await this.fetch(this.camera!, limit, null);
      if (mine !== this.turn) return;
      this.take(clips);
      this.end(next, clips);
      this.trouble.value = "";
    } catch (error) {
      if (mine !== this.turn) return;
      this.trouble.value = reasonOf(error, ASKED_AGAIN);
      this.timer = window.setTimeout(() => void this.ask(), RETRY_MS);
    }
  }
}
