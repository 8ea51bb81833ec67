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
/** Negative where `a` is listed before `b`. */
const order = (a: Clip, b: Clip): number => start(b) - start(a) || b.id - a.id;

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
  private reached = Infinity;
  /** Another number whenever a camera comes on view. */
  private visit = 0;
  /** Another number whenever something is made or deleted here, which an answer that is under way may not know. */
  private changes = 0;
  /** Another number whenever all is asked for again. */
  private round = 0;
  private timer = 0;

  constructor(private readonly fetch: Fetch) {}

  /** Begins with the clips of a camera, or with none. */
  watch(camera: string | null): void {
    this.visit++;
    window.clearTimeout(this.timer);
    this.camera = camera;
    this.clips.value = null;
    this.trouble.value = "";
    this.next.value = null;
    this.reached = Infinity;
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
    this.changes++;
    this.take([clip, ...this.others([clip])]);
  }

  remove(clip: Clip): void {
    this.changes++;
    if (this.clips.peek()) this.take(this.others([clip]));
  }

  /** Takes those of earlier recordings, too. Fails with the server's reason. */
  async more(): Promise<void> {
    let before = this.next.peek();
    while (before !== null) {
      const page = await this.answer(PAGE, before);
      if (!page) return;
      if (this.next.peek() === before) {
        this.take([...this.others(page.clips), ...page.clips]);
        this.end(page);
        return;
      }
      // All was asked for again meanwhile, and the list goes on elsewhere.
      before = this.next.peek();
    }
  }

  /** Those that are known, without some. */
  private others(some: Clip[]): Clip[] {
    const ids = new Set(some.map(({ id }) => id));
    return (this.clips.peek() ?? []).filter(({ id }) => !ids.has(id));
  }

  private take(clips: Clip[]): void {
    this.clips.value = [...clips].sort(order);
  }

  /** The list goes as far as this answer. */
  private end({ clips, next }: ClipPage): void {
    const last = next === null ? undefined : clips.at(-1);
    this.reached = last ? start(last) : -Infinity;
    this.next.value = next;
  }

  /** An answer that knows of all that is made and deleted here; null if another camera is on view by then. */
  private async answer(limit: number, before: string | null): Promise<ClipPage | null> {
    const visit = this.visit;
    try {
      for (;;) {
        const changes = this.changes;
        const page = await this.fetch(this.camera!, limit, before);
        if (visit !== this.visit) return null;
        if (changes === this.changes) return page;
      }
    } catch (error) {
      if (visit !== this.visit) return null;
      throw error;
    }
  }

  /** Asks for as many as there are on view. */
  private async ask(): Promise<void> {
    const mine = ++this.round;
    window.clearTimeout(this.timer);
    try {
      const page = await this.answer(Math.min(PAGE_MAX, Math.max(PAGE, this.clips.peek()?.length ?? 0)), null);
      if (!page || mine !== this.round) return;
      const last = page.clips.at(-1);
      if (page.next === null || !last) {
        this.take(page.clips);
        this.end(page);
      } else {
        // What comes behind it stays as far as it was seen.
        this.take([...page.clips, ...this.others(page.clips).filter((clip) => order(last, clip) < 0)]);
        if (start(last) < this.reached) this.end(page);
      }
      this.trouble.value = "";
    } catch (error) {
      if (mine !== this.round) return;
      this.trouble.value = reasonOf(error, ASKED_AGAIN);
      this.timer = window.setTimeout(() => void this.ask(), RETRY_MS);
    }
  }
}
