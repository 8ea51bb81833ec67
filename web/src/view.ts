// What the page shows: which camera, live or which recording, and the commands on it. Between the server's
// state and the engine; components only read and call.
import { batch, computed, effect, signal } from "@preact/signals";
import { livePath, recordingPath, STILL_WIDTH_MAX, stillPath, type Camera } from "./api.js";
import { say } from "./announce.js";
import { askBlob, reasonOf } from "./archive.js";
import { cameraOfHash, choose } from "./choice.js";
import { Engine, type Phase } from "./engine.js";
import { unknownParts } from "./quality.js";
import type { Range } from "./range.js";
import { cameras, reachable, serverNow } from "./server.js";
import { volume } from "./settings.js";
import { cameraNotice, heightWords, sentence, spanWords, type Notice } from "./words.js";

/** Null until the player is on the page. */
export const engine = signal<Engine | null>(null);

/** The camera that the viewer asked for, by the address or a press. */
const wanted = signal(cameraOfHash(location.hash));

/** The camera that the view stays with; "" until one is live. */
const chosen = signal("");

/** The span of recording that is played; null for the live view. */
export const recording = signal<Range | null>(null);

/** A recording stays with its camera whatever the list says meanwhile. */
const choice = computed(() =>
  recording.value ? chosen.value : choose(cameras.value ?? [], wanted.value, chosen.value),
);

/** The camera watched large; before one is live the first. */
export const camera = computed<Camera | null>(() => {
  const all = cameras.value ?? [];
  return all.find((c) => c.id === choice.value) ?? all[0] ?? null;
});

export const muted = signal(true);

/** What plays the picture could not be had, and this browser does not ask for it again while the page is open. */
export const isIncomplete = signal(false);

/** Why no still picture was saved, as a sentence; "" while all is well. */
export const stillTrouble = signal("");

/** What stands over the picture; null when the picture speaks for itself. */
export const notice = computed<(Notice & { kind: "server" | "camera" | "player" | "page" }) | null>(() => {
  const phase: Phase = engine.value?.phase.value ?? "idle";
  // As long as pictures come, or one was stopped to be looked at, whoever watches does not care that a question went
  // unanswered.
  if (!reachable.value && phase !== "playing" && phase !== "paused") {
    return {
      kind: "server",
      title: "Perch cannot be reached",
      detail: "Trying again by itself. Check that the box has power and that you are on its network.",
    };
  }
  if (isIncomplete.value) {
    return {
      kind: "page",
      title: "A part of this page is missing",
      detail: "It could not be had when it was needed. The page has to be loaded again.",
    };
  }
  if (phase === "unsupported") {
    return {
      kind: "player",
      title: "This browser cannot play the picture",
      detail: "It needs H.264 with Media Source Extensions. Use a current Chrome, Edge, Firefox or Safari.",
    };
  }
  if (recording.value) {
    if (phase !== "missing") return null;
    return {
      kind: "player",
      title: "Nothing was recorded then",
      detail: `There is no recording of ${spanWords(recording.value.from, recording.value.to, serverNow())}. Choose another time.`,
    };
  }
  const own = camera.value && cameraNotice(camera.value);
  if (own) return { kind: "camera", ...own };
  if (cameras.value?.length === 0) {
    return {
      kind: "camera",
      title: "No camera yet",
      detail: "Plug one into the box: it appears here within three seconds.",
    };
  }
  return null;
});

const source = computed(() => {
  const range = recording.value;
  // A recording plays on though its camera is no longer listed.
  if (range) return recordingPath(chosen.value, range.from, range.to);
  const id = camera.value?.id;
  return id === undefined ? null : livePath(id);
});

/** Hands the engine its video element, once. */
export function attach(video: HTMLVideoElement): void {
  const player = new Engine(video);
  engine.value = player;
  effect(() => {
    chosen.value = choice.value;
  });
  // The camera or the range changed.
  effect(() => {
    const address = source.value;
    stillTrouble.value = "";
    if (address === null) player.stop();
    else player.play({ address, live: recording.peek() === null });
  });
  effect(() => {
    const there = reachable.value && (recording.value !== null || camera.value?.state === "live");
    player.hold(!there);
  });
  effect(() => {
    isIncomplete.value = false;
    if (!player.lacksLibrary.value || !reachable.value) return;
    const timer = window.setTimeout(() => (isIncomplete.value = true), INCOMPLETE_MS);
    return () => window.clearTimeout(timer);
  });
  // A rung or the sound came up that the playlist did not list when it was read: read it again, once. Not while the
  // viewer looks at a picture that they stopped.
  const stopped = computed(() => player.phase.value === "paused");
  let sought = "";
  effect(() => {
    const levels = player.levels.value;
    if (recording.value || stopped.value || levels.length === 0) return;
    const one = camera.value;
    const parts = one ? unknownParts(levels, one) : [];
    if (parts.length === 0) sought = "";
    const unknown = parts.length > 0 ? [one?.id, ...parts].join() : "";
    if (unknown === sought) return;
    const timer = window.setTimeout(() => {
      sought = unknown;
      player.reload();
    }, RUNG_SETTLES_MS);
    return () => window.clearTimeout(timer);
  });
  effect(() => {
    video.muted = muted.value;
    video.volume = volume.value;
  });
  effect(() => {
    document.title = camera.value ? `${camera.value.name} · Perch` : "Perch";
  });
}

/** A rung that comes up is given this long to stay, so that one that flaps does not interrupt the view. */
const RUNG_SETTLES_MS = 4000;

/** By then the engine has tried several times again. */
const INCOMPLETE_MS = 6000;

export function watch(id: string): void {
  batch(() => {
    recording.value = null;
    wanted.value = id;
    chosen.value = id;
  });
  history.replaceState(null, "", `#${id}`);
  const name = camera.value?.name;
  if (name) say(`Watching ${name}.`);
}

window.addEventListener("hashchange", () => {
  const id = cameraOfHash(location.hash);
  if (cameras.peek()?.some((c) => c.id === id)) watch(id);
});

export function playRange(range: Range): void {
  const id = camera.peek()?.id;
  if (id === undefined) return;
  batch(() => {
    chosen.value = id;
    recording.value = range;
  });
  say(`Playing the recording of ${spanWords(range.from, range.to, serverNow())}.`);
}

export function goLive(): void {
  if (recording.peek()) {
    recording.value = null;
    say("Back to live.");
  } else engine.peek()?.goLive();
}

export function toggleMuted(): void {
  if (muted.value && volume.peek() === 0) volume.value = 0.5;
  muted.value = !muted.value;
  say(muted.value ? "Sound off." : "Sound on.");
}

export function setVolume(to: number): void {
  batch(() => {
    volume.value = Math.min(1, Math.max(0, to));
    muted.value = volume.value === 0;
  });
}

/** Louder or quieter than what is heard now: what is silent cannot be quieter, and starts from nothing. */
export function changeVolume(by: number): void {
  if (muted.peek() && by < 0) return;
  // Rounded, so that ten steps down end at silence.
  setVolume(Math.round(((muted.peek() ? 0 : volume.peek()) + by) * 100) / 100);
  say(muted.peek() ? "Sound off." : `Volume ${Math.round(volume.peek() * 100)} %.`);
}

export function chooseQuality(name: string): void {
  const player = engine.peek();
  if (!player) return;
  player.choose(name === "auto" ? null : name);
  const level = player.levels.peek().find((l) => l.name === name);
  say(level ? `Quality ${heightWords(level.height)}.` : "Quality chosen by itself.");
}

/** Whether there is a picture to save. */
export const stillThere = computed(() => recording.value !== null || camera.value?.state === "live");

/** Saves the camera's present picture in its own full size, whatever plays; of a recording the one on screen. */
export async function saveStill(): Promise<void> {
  const id = camera.peek()?.id;
  if (id === undefined || !stillThere.peek()) return;
  const isRecorded = recording.peek() !== null;
  const taken = isRecorded ? engine.peek()?.pictureTime.peek() : null;
  stillTrouble.value = "";
  try {
    const picture = isRecorded ? await shownPicture() : await askBlob(stillPath(id, STILL_WIDTH_MAX));
    download(URL.createObjectURL(picture), stillName(id, new Date(taken ?? serverNow())));
  } catch (error) {
    stillTrouble.value = `The picture was not saved: ${sentence(isRecorded ? "none is on view" : reasonOf(error))}`;
  }
}

/** What is on screen as a JPEG; fails where nothing is. */
async function shownPicture(): Promise<Blob> {
  const { video } = engine.peek()!;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const picture = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  if (!picture) throw new Error("there is no picture");
  return picture;
}

/** Without a name it gets the server's. */
export function download(address: string, name = ""): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // Some browsers read it only after this.
  if (address.startsWith("blob:")) window.setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

export const stillName = (id: string, at: Date): string =>
  `${id}-${at.toISOString().slice(0, 19).replaceAll(":", "-")}Z.jpg`;
