// Files and their uploads in words. Pure.
import { bytesWords } from "./forecast.js";
import type { Item, Upload } from "./items.js";
import { lengthWords } from "./moments.js";
import type { Sending } from "./uploads.js";
import { sentence, whenWords } from "./words.js";

const KINDS: Record<Item["media"], string> = { video: "Video", sound: "Sound", still: "Picture", other: "File" };

/** "Video, 1.2 GB, uploaded 14:02, Garden". `camera` is the name of the one that it belongs to; "" for none. */
export function itemWords({ media, bytes, new_bytes, source, made }: Item, camera: string, now: number): string {
  const came = `${source === "upload" ? "uploaded" : "imported"} ${whenWords(Date.parse(made), now)}`;
  const room = new_bytes === 0 && bytes > 0 ? "all of it was stored already" : "";
  return [KINDS[media], bytesWords(bytes), came, camera, room].filter(Boolean).join(", ");
}

/** "Yesterday 14:02, Video, 1.2 GB": of a file that lies on a timeline at that moment. */
export const importWords = ({ media, bytes }: Item, at: number, now: number): string => [whenWords(at, now), KINDS[media], bytesWords(bytes)].join(", ");

/** "Blackbird.flac", "Blackbird.flac and 2 more". */
export const nameWords = (names: string[]): string => (names.length > 1 ? `${names[0]} and ${names.length - 1} more` : (names[0] ?? ""));

/** What is wrong with a file, and what helps; "" while nothing is. */
export function damageWords({ damaged, damaged_bytes, bytes }: Pick<Item, "damaged" | "damaged_bytes" | "bytes">): string {
  if (!damaged) return "";
  return `Damaged on the disk: ${bytesWords(damaged_bytes)} of ${bytesWords(bytes)} cannot be read. Uploading the same file again mends it.`;
}

const share = (part: number, all: number): number => (all > 0 ? Math.min(100, Math.floor((part / all) * 100)) : 0);

/** Of what has arrived and cannot be stored, as when the disk is full. */
const waitingWords = (reason: string): string => `${sentence(`Not stored yet: ${reason}`)} It is tried again by itself.`;

/** How far an upload from this page is, and what is in its way. */
export function sendingWords({ phase, sent, bytes, reason, left }: Sending): string {
  const far = `${bytesWords(sent)} of ${bytesWords(bytes)}`;
  switch (phase) {
    case "queued":
      return sent > 0 ? `${far}; waits for its turn` : `${bytesWords(bytes)}; waits for its turn`;
    case "sending":
      return left === null ? far : `${far}, ${lengthWords(Math.max(1000, left))} left`;
    case "broken":
      return `${far}. The connection broke; it goes on by itself.`;
    case "paused":
      return `Paused at ${far}`;
    case "storing":
      return reason ? waitingWords(reason) : `Being stored, ${share(sent, bytes)} %`;
    case "failed":
      return sentence(reason);
    case "refused":
      return sentence(`Not stored: ${reason}`);
  }
}

/** The same of one that somebody else began, or this browser before the page was loaded again. */
export function otherWords({ state, bytes, length, reason, imported_bytes }: Upload, isMine: boolean): string {
  if (state === "refused") return sentence(`Not stored: ${reason ?? ""}`);
  if (state !== "uploading" && reason) return waitingWords(reason);
  if (state !== "uploading") return imported_bytes == null ? "Being stored" : `Being stored, ${share(imported_bytes, bytes)} %`;
  const far = length === null ? bytesWords(bytes) : `${bytesWords(bytes)} of ${bytesWords(length)}`;
  return isMine ? `${far} are there. Choose the same file again, and it goes on.` : `${far} are there, from another browser or program.`;
}
