// The disk in words and figures: what is used, what fits, when it is full, how far recordings reach back. Pure.
import type { Store } from "./archive.js";
import { DAY } from "./calendar.js";
import { sentence } from "./words.js";

/** "640 kB", "1.3 GB": decimal units, as disks are sold. */
export function bytesWords(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 9.95 && unit > 1 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value)} ${units[unit]}`;
}

/** "5 hours", "12 days", "3 months". */
export function daysWords(days: number): string {
  const [value, unit] = days < 2 ? [days * 24, "hour"] : days < 90 ? [days, "day"] : days < 700 ? [days / 30.4, "month"] : [days / 365.25, "year"];
  const rounded = Math.max(0, Math.round(value));
  return `${rounded} ${unit}${rounded === 1 ? "" : "s"}`;
}

const dayOnly = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long" });
const dayAndYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** "today at 18:00", "on 24 November", the year only where it is another. */
function onDay(time: number, now: number): string {
  const day = new Date(time).toDateString();
  if (day === new Date(now).toDateString()) return `today at ${clock.format(time)}`;
  const sameYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  return `on ${(sameYear ? dayOnly : dayAndYear).format(time)}`;
}

/** How many bytes of recordings there can be: the quota, or what the disk has left for them. */
export const roomOf = ({ disk, recordings }: Store): number =>
  Math.min(recordings.quota_bytes ?? Infinity, recordings.bytes + Math.max(0, disk.free_bytes - disk.keep_free_bytes));

/** What files and clips take beside recordings, and what storing everything once saves; null while there are none. */
export function storedWords({ sources }: Store): string | null {
  const others = sources.filter(({ source }) => source !== "recordings");
  const sum = (of: "logical_bytes" | "unique_bytes"): number => others.reduce((bytes, one) => bytes + one[of], 0);
  const [seen, stored] = [sum("logical_bytes"), sum("unique_bytes")];
  if (seen === 0) return null;
  if (stored === 0) return `${bytesWords(seen)} of clips take no room of their own.`;
  // Rounded down: all is never saved where something is stored.
  const saved = Math.floor((1 - stored / seen) * 100);
  const words = `${bytesWords(seen)} of clips and files take ${bytesWords(stored)}`;
  return saved < 1 ? `${words}.` : `${words}: ${saved} % saved by storing everything once.`;
}

/** What stands below the drawing: what is to come, then how far back recordings reach. */
export function forecastWords(store: Store, now: number): string[] {
  const { forecast, recordings } = store;
  const said: string[] = [];
  if (store.state !== "recording") {
    said.push(`Recording ${store.state === "paused" ? "is paused" : "has failed"}${store.reason ? `: ${sentence(store.reason)}` : "."}`);
  }
  const full = recordings.quota_bytes !== null && roomOf(store) === recordings.quota_bytes ? "the space for recordings" : "the disk";
  const reach = forecast.reach_days === null ? null : daysWords(forecast.reach_days);
  switch (forecast.state) {
    case "full":
      said.push(`${sentence(`${full} is full`).slice(0, -1)}: the oldest recordings go to make room.`);
      if (reach) said.push(`Recordings reach back ${reach}.`);
      break;
    case "steady":
      said.push(`The oldest recordings go as their cameras' limits say; ${full} does not fill.`);
      if (reach) said.push(`Recordings reach back ${reach}.`);
      break;
    case "filling":
      if (forecast.full_at === null) said.push(`At this rate ${full} does not fill.`);
      else said.push(`At this rate ${full} is full ${onDay(Date.parse(forecast.full_at), now)}; from then on the oldest recordings go.`);
      if (recordings.oldest) said.push(`Recordings reach back ${daysWords((now - Date.parse(recordings.oldest)) / DAY)}${reach ? `, and will reach back ${reach}` : ""}.`);
      break;
    case "unknown":
      said.push("There is no forecast: it takes ten minutes of recording within the last day.");
  }
  return said;
}

export interface Plot {
  /** Days from now to the right edge. */
  days: number;
  /** Corners of the line, each 0 to 1: `x` of the days, `y` of the room. */
  line: { x: number; y: number }[];
  /** Where the room is used up, if it is on the plot. */
  full: number | null;
}

/** The line of what recordings take from now on; null where nothing is known of it. */
export function plotOf(store: Store): Plot | null {
  const room = roomOf(store);
  if (store.forecast.state === "unknown" || room <= 0) return null;
  const used = Math.min(1, store.recordings.bytes / room);
  const left = store.forecast.state === "full" ? 0 : store.forecast.days_left;
  if (left === null) return { days: 7, line: [{ x: 0, y: used }, { x: 1, y: used }], full: null };
  if (left <= 0) return { days: 7, line: [{ x: 0, y: used }, { x: 1, y: used }], full: 0 };
  const full = 0.72;
  return { days: left / full, line: [{ x: 0, y: used }, { x: full, y: 1 }, { x: 1, y: 1 }], full };
}
