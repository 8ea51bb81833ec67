// The quality menu as data: which rungs can be chosen and what to call what plays. Pure; knows no hls.js.
import type { Camera, Rung } from "./api.js";
import { bitrateWords, heightWords } from "./words.js";

/** A variant of the multivariant playlist as the player sees it. */
export interface Level {
  /** The rung's name, from its address. */
  name: string;
  height: number;
  bitrate: number;
  /** Whether it comes with sound. */
  sound: boolean;
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
  const known = new Map(rungs.map((rung) => [rung.name, rung]));
  const choices = levels.map((level) => {
    const rung = known.get(level.name);
    known.delete(level.name);
    return choice(level.name, level.height, rung?.bitrate_bps ?? level.bitrate, rung?.running ?? true);
  });
  for (const rung of known.values()) {
    if (!rung.running) choices.push(choice(rung.name, rung.height, rung.bitrate_bps, false));
  }
  choices.sort((a, b) => b.height - a.height);
  const auto = { value: "auto", label: "Auto", detail: playing ? heightWords(playing.height) : "", disabled: false };
  return [auto, ...choices.map(({ height: _, ...rest }) => rest)];
}

function choice(value: string, height: number, bitrate: number, running: boolean): QualityChoice & { height: number } {
  const detail = running ? bitrateWords(bitrate) : "paused";
  return { value, label: heightWords(height), detail, disabled: !running, height };
}

/** The viewer's choice where it can be had; null, as in Auto, where it is not listed: a recording keeps but some rungs. */
export const listedChoice = (levels: Level[], chosen: string | null): string | null =>
  levels.some((level) => level.name === chosen) ? chosen : null;

/** Rungs that run, and sound, that the player has never heard of: the playlist has to be read again. */
export function unknownParts(levels: Level[], { rungs, sound }: Camera): string[] {
  const known = new Set(levels.map((level) => level.name));
  const unknown = rungs.filter((rung) => rung.running && !known.has(rung.name)).map((rung) => rung.name);
  return sound && levels.every((level) => !level.sound) ? [...unknown, "sound"] : unknown;
}
