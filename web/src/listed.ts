// The uploads that the appliance lists, without those whose end this page has seen: a list may be older than that.
// Asks nothing; fed by files.ts.
import { computed, signal } from "@preact/signals";
import type { Upload } from "./items.js";

export class Listed {
  private readonly told = signal<Upload[]>([]);
  /** Stored or given up here, by their ids; kept until the page is closed. */
  private readonly ended = new Set<string>();

  /** `mine` says the ids of those that are under way from this page. */
  constructor(private readonly mine: () => readonly (string | null)[]) {}

  /** Uploads that are not from this page, or from before it was loaded, and are not done. */
  readonly others = computed(() => {
    const mine = new Set(this.mine());
    return this.told.value.filter(({ id, kind, state }) => !mine.has(id) && kind !== "partial" && state !== "done");
  });

  /** What the appliance answered. */
  take(all: Upload[]): void {
    this.told.value = all.filter(({ id }) => !this.ended.has(id));
  }

  /** It is stored or given up, whatever a list still says. */
  end(id: string): void {
    this.ended.add(id);
    this.take(this.told.peek());
  }
}
