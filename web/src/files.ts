// The files on the appliance and those on their way: what is listed, what is uploaded from here, what was left behind.
// Between the requests and the components; these only read and call.
import { computed, signal } from "@preact/signals";
import { say } from "./announce.js";
import { ASKED_AGAIN, reasonOf, Refusal } from "./archive.js";
import { deleteItem, deleteUpload, fetchItems, fetchUpload, fetchUploads, renewed, type Item, type ItemPage, type Upload } from "./items.js";
import { Listed } from "./listed.js";
import { remembered } from "./remembered.js";
import { carry } from "./tus.js";
import { Uploads } from "./uploads.js";

const POLL_MS = 10_000;
/** What is imported on the box itself, nobody tells. */
const RENEW_EVERY = 6;

const page = signal<ItemPage | null>(null);
/** Newest first; null until they are known. */
export const items = computed(() => page.value?.items ?? null);
export const hasMore = computed(() => page.value !== null && page.value.next !== null);
/** Why the list is not known, in the server's words; "" while all is well. */
export const trouble = signal("");

export const uploads = new Uploads({ carry, fetchUpload, deleteUpload: discard, say, stored });

const listed = new Listed(() => uploads.all.value.map(({ upload }) => upload));
export const { others } = listed;

/** Whether this browser began it: then the same file chosen again goes on with it. */
export const isRemembered = (id: string): boolean => remembered.ids().has(id);

async function renew(): Promise<void> {
  try {
    const newest = await fetchItems();
    page.value = page.peek() ? renewed(page.peek()!, newest) : newest;
    trouble.value = "";
  } catch (error) {
    trouble.value = reasonOf(error, ASKED_AGAIN);
  }
}

/** Those that came before the ones that are listed. */
export async function showMore(): Promise<void> {
  const known = page.peek();
  if (known?.next == null) return;
  try {
    const older = await fetchItems(known.next);
    const now = page.peek() ?? known;
    if (now.next === known.next) page.value = { items: [...now.items, ...older.items], next: older.next };
    trouble.value = "";
  } catch (error) {
    trouble.value = reasonOf(error, ASKED_AGAIN);
  }
}

/** What is gone already is deleted, too. */
const unlessGone = (error: unknown): void => {
  if (!(error instanceof Refusal && (error.status === 404 || error.status === 410))) throw error;
};

/** Fails with the server's reason. */
export async function removeItem(item: Item): Promise<void> {
  await deleteItem(item.id).catch(unlessGone);
  const known = page.peek();
  if (known) page.value = { ...known, items: known.items.filter(({ id }) => id !== item.id) };
  say(`${item.name} is deleted.`);
}

/** An upload from this page has become an item. */
function stored(id: string): void {
  listed.end(id);
  void renew();
}

/** Gives up an upload, on the appliance and in what this browser remembers. */
async function discard(id: string): Promise<void> {
  await deleteUpload(id).catch(unlessGone);
  remembered.forget(id);
  listed.end(id);
}

export const discardOther = (upload: Upload): Promise<void> => discard(upload.id);

/** Keeps the lists current until what it returns is called. */
export function watchFiles(): () => void {
  let round = 0;
  let done = "";
  const tick = async (): Promise<void> => {
    if (document.hidden) return;
    // What this leaves unanswered, the next round asks again.
    const all = await fetchUploads().catch(() => null);
    if (all) listed.take(all);
    const nowDone = (all ?? []).flatMap(({ item }) => item ?? []).join();
    if (round++ % RENEW_EVERY === 0 || trouble.peek() !== "" || (all && nowDone !== done)) await renew();
    if (all) done = nowDone;
  };
  const leave = (event: BeforeUnloadEvent): void => {
    if (uploads.busy) event.preventDefault();
  };
  const timer = window.setInterval(() => void tick(), POLL_MS);
  window.addEventListener("beforeunload", leave);
  void tick();
  return () => {
    window.clearInterval(timer);
    window.removeEventListener("beforeunload", leave);
  };
}
