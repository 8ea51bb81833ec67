// What the appliance says about files: the types of /api/v1/items and /api/v1/uploads, and the requests for them.
// Sending a file is tus.ts's business. Knows no page.
import { ask, askJson } from "./archive.js";

/** An imported or uploaded file, of `GET /api/v1/items`. */
export interface Item {
  id: string;
  name: string;
  media: "video" | "sound" | "still" | "other";
  source: "import" | "upload";
  /** Whose timeline it lies on, and where, if that was told. */
  camera: string | null;
  at: string | null;
  /** RFC 3339. */
  made: string;
  bytes: number;
  /** Of its bytes, those that were not stored before. */
  new_bytes: number;
  /** Whether the disk has damaged some of its bytes, and how many: these cannot be had. */
  damaged: boolean;
  damaged_bytes: number;
}

/** One answer of `GET /api/v1/items`, newest first. */
export interface ItemPage {
  items: Item[];
  /** What to ask for as `before` to get those that came earlier; null at the end. */
  next: string | null;
}

/** A file on its way in, of `GET /api/v1/uploads`. */
export interface Upload {
  id: string;
  /** `uploaded`: a part that waits for others. */
  state: "uploading" | "uploaded" | "importing" | "done" | "refused";
  /** Why it was refused; beside `importing`, what keeps it from being imported. */
  reason?: string | null;
  /** What it has become. */
  item?: string;
  /** While it is imported, if that is known: bytes that are dealt with. */
  imported_bytes?: number | null;
  kind: "single" | "partial" | "final";
  name: string | null;
  /** Received so far. */
  bytes: number;
  length: number | null;
}

export const UPLOADS = "/api/v1/uploads";
const PAGE = 50;

export function fetchItems(before?: string): Promise<ItemPage> {
  const query = new URLSearchParams({ limit: String(PAGE), ...(before === undefined ? {} : { before }) });
  return askJson(`/api/v1/items?${query}`);
}

export async function deleteItem(id: string): Promise<void> {
  await ask(`/api/v1/items/${id}`, { method: "DELETE" });
}

/** The file itself, in whole or in part. */
export const itemPath = (id: string): string => `/api/v1/items/${id}/content`;

export const fetchUploads = async (): Promise<Upload[]> => (await askJson<{ uploads: Upload[] }>(UPLOADS)).uploads;

export const fetchUpload = (id: string): Promise<Upload> => askJson(`${UPLOADS}/${id}`);

export async function deleteUpload(id: string): Promise<void> {
  await ask(`${UPLOADS}/${id}`, { method: "DELETE", headers: { "tus-resumable": "1.0.0" } });
}

/** The newest page in place of what it covers of what is known; what is older stays as far as it was seen. */
export function renewed(known: ItemPage, newest: ItemPage): ItemPage {
  const last = newest.items.at(-1);
  const at = last ? known.items.findIndex(({ id }) => id === last.id) : -1;
  if (newest.next === null || at < 0) return newest;
  const older = known.items.slice(at + 1);
  return { items: [...newest.items, ...older], next: older.length > 0 || known.next === null ? known.next : newest.next };
}
