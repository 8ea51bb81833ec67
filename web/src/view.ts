// What the page shows: which camera, live or which recording, and the commands on it. Between the server's
// state and the engine; components only read and call.
import { batch, computed, effect, signal } from "@preact/signals";
import { livePath, recordingPath, STILL_WIDTH_MAX, stillPath, type Camera } from "./api.js";
import { say } from "./announce.js";
import { cameraOfHash, choose } from "./choice.js";
import { Engine, type Phase } from "./engine.js";
import { unknownParts } from "./quality.js";
import type { Range } from "./range.js";
import { cameras, reachable, serverNow } from "./server.js";
import { volume } from "./settings.js";
import { cameraNotice, heightWords, spanWords, type Notice } from "./words.js";

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

/** What stands over the picture; null when the picture speaks for itself. */
export const notice = computed<(Notice & { kind: "server" | "camera" | "player" }) | null>(() => {
  const phase: Phase = engine.value?.phase.value ?? "idle";
  // As long as pictures come, whoever watches does not care that a question went unanswered.
  if (!reachable.value && phase !== "playing") {
    return {
      kind: "server",
      title: "Perch cannot be reached",
      detail: "Trying again by itself. Check that the box has power and that you are on its network.",
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
      detail: `There is no recording of ${spanWords(recording.value.from, recording.value.to, Date.now())}. Choose another time.`,
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
    if (address === null) player.stop();
    else player.play({ address, live: recording.peek() === null });
  });
  effect(() => {
    const there = reachable.value && (recording.value !== null || camera.value?.state === "live");
    player.hold(!there);
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
  say(`Playing the recording of ${spanWords(range.from, range.to, Date.now())}.`);
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
export function saveStill(): void {
  const id = camera.peek()?.id;
  if (id === undefined || !stillThere.peek()) return;
  if (recording.peek()) return saveShown(id);
  download(stillPath(id, STILL_WIDTH_MAX), stillName(id, new Date(serverNow())));
}

function saveShown(id: string): void {
  const player = engine.peek();
  const canvas = document.createElement("canvas");
  canvas.width = player?.video.videoWidth ?? 0;
  canvas.height = player?.video.videoHeight ?? 0;
  if (!player || canvas.width === 0) return;
  canvas.getContext("2d")?.drawImage(player.video, 0, 0);
  const name = stillName(id, new Date(player.pictureTime.peek() ?? serverNow()));
  canvas.toBlob((picture) => picture && download(URL.createObjectURL(picture), name), "image/jpeg", 0.95);
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
