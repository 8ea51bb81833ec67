// The quality menu as data: which rungs can be chosen and what to call what plays. Pure; knows no hls.js.
import type { Rung } from "./api.js";
import { bitrateWords, heightWords } from "./words.js";

/** A variant of the multivariant playlist as the player sees it. */
export interface Level {
  /** The rung's name, from its address. */
  name: string;
  height: number;
  bitrate: number;
}

export interface QualityChoice {
  /** A rung's name, or "auto". */
  value: string;
  label: string;
  detail: string;
  disabled: boolean;
}

/** `/live/test/very_low/index.m3u8` → `very_low`; the query does not matter. */
export function rungOfAddress(address: string): string {
  const path = address.split(/[?#]/, 1)[0]!.split("/");
  return path[path.length - 2] ?? "";
}

/** Highest first, Auto on top. A rung that the machine shed stays visible, and says so. */
export function qualityChoices(levels: Level[], rungs: Rung[], playing: Level | null): QualityChoice[] {
  const shed = new Set(rungs.filter((rung) => !rung.running).map((rung) => rung.name));
  const ordered = [...levels].sort((a, b) => b.height - a.height || b.bitrate - a.bitrate);
  return [
    { value: "auto", label: "Auto", detail: playing ? heightWords(playing.height) : "", disabled: false },
    ...ordered.map((level) => ({
      value: level.name,
      label: heightWords(level.height),
      detail: shed.has(level.name) ? "paused" : bitrateWords(level.bitrate),
      disabled: shed.has(level.name),
    })),
  ];
}

/** Rungs that run but that the player has never heard of: the playlist has to be read again. */
export function unknownRungs(levels: Level[], rungs: Rung[]): string[] {
  const known = new Set(levels.map((level) => level.name));
  return rungs.filter((rung) => rung.running && !known.has(rung.name)).map((rung) => rung.name);
}
