// Every figure and state in words. Pure; used by all components.
import type { Camera, Mode, Problem } from "./api.js";
import type { ClipFile } from "./archive.js";

/** The first letter large, the last full stop added: reasons from the server come as log lines do. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return "";
  const opened = trimmed[0]!.toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(opened) ? opened : `${opened}.`;
}

export function stateLabel(camera: Camera): string {
  switch (camera.state) {
    case "live":
      return "Live";
    case "starting":
      return "Starting";
    case "vanished":
      return "Unplugged";
    case "failed":
      return "Failed";
  }
}

export function recordingWords({ rungs, recording, reason }: Camera): string {
  switch (recording.state) {
    case "recording": {
      const kept = rungs.filter((rung) => recording.rungs.includes(rung.name)).map((rung) => heightWords(rung.height));
      return kept.length > 0 ? kept.join(", ") : "On";
    }
    case "waiting": {
      // Where it is the camera's own reason, that stands right above.
      const own = recording.reason && recording.reason !== reason ? sentence(recording.reason) : "";
      return `Waiting for the camera. ${own}`.trim();
    }
    case "off":
      return "Off";
    case "paused":
      return `Paused. ${sentence(recording.reason ?? "")}`.trim();
    case "failed":
      return `Failed. ${sentence(recording.reason ?? "")}`.trim();
  }
}

export interface Notice {
  title: string;
  detail: string;
}

/** What stands over the picture while a camera is not live; null while it is. */
export function cameraNotice(camera: Camera): Notice | null {
  const reason = camera.reason ? sentence(camera.reason) : "";
  switch (camera.state) {
    case "live":
      return null;
    case "starting":
      return { title: "Starting the camera", detail: reason || "The first picture is on its way." };
    case "vanished":
      return {
        title: "Waiting for the camera to come back",
        detail: `${reason || "It was unplugged or lost power."} The view returns by itself.`,
      };
    case "failed":
      return {
        title: "This camera cannot be used",
        detail: `${reason ? `${reason} ` : ""}It is tried again by itself; “perch doctor” on the box says what it needs.`,
      };
  }
}

export function modeWords(mode: Mode): string {
  const fps = Number.isInteger(mode.fps) ? String(mode.fps) : mode.fps.toFixed(2).replace(/\.?0+$/, "");
  return `${mode.width}×${mode.height}, ${fps} fps, ${mode.format}`;
}

/** "1080p": what people call a picture of so many rows. */
export const heightWords = (height: number): string => `${height}p`;

export function bitrateWords(bitsPerSecond: number): string {
  if (bitsPerSecond < 1_000_000) return `${Math.round(bitsPerSecond / 1000)} kb/s`;
  return `${(bitsPerSecond / 1_000_000).toFixed(1).replace(/\.0$/, "")} Mb/s`;
}

/** "1.2 s", "14 s", "3 min". Negative values, from a clock that is off, count as none. */
export function delayWords(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** The same in whole seconds: what does not change from moment to moment can be listened to. */
export const spokenDelay = (milliseconds: number): string =>
  milliseconds < 99_500 ? `${Math.round(Math.max(0, milliseconds) / 1000)} s` : delayWords(milliseconds);

/** "0:07", "12:30", "1:02:03". */
export function positionWords(seconds: number): string {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const two = (value: number): string => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const clockWithSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const clockOnly = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

export const clockWords = (time: number): string => clockWithSeconds.format(time);

/** The clock alone for today, with the day otherwise. */
export function whenWords(time: number, now: number): string {
  const sameDay = new Date(time).toDateString() === new Date(now).toDateString();
  return (sameDay ? clockOnly : dayAndClock).format(time);
}

/** "14:02 – 14:07", the day named once when it is not today. */
export function spanWords(from: number, to: number, now: number): string {
  const oneDay = new Date(from).toDateString() === new Date(to).toDateString();
  return `${whenWords(from, now)} – ${oneDay ? clockOnly.format(to) : whenWords(to, now)}`;
}

/** What a clip is called whose maker gave it no name. */
export const clipName = (from: number): string => `Clip of ${dayAndClock.format(from)}`;

/** What is to be known of a saved file that proves nothing; "" for one that does. */
export function proofWords({ proven, unproven }: ClipFile): string {
  if (proven !== false) return "";
  return sentence(`The file carries no proof that this box recorded it${unproven ? `: ${unproven}` : ""}`);
}

const REASONS: Record<string, string> = {
  camera_gone: "the camera was away",
  encoder_failed: "the encoder failed",
  rung_shed: "the machine could not keep up",
  disk_slow: "the disk was too slow",
  disk_full: "the disk was full",
  disk_failed: "the disk failed",
  refused: "the pictures could not be kept",
  stopped: "Perch was not running",
};

/** Why nothing was recorded, for a person. */
export const reasonWords = (reason: string): string => REASONS[reason] ?? reason.replaceAll("_", " ");

/**
 * The cameras `now` as a listener knows them: one that starts, as a broken one does again and again, is what it was
 * `told` to be.
 */
export const asTold = (told: Camera[], now: Camera[]): Camera[] =>
  now.map((camera) => (camera.state === "starting" && told.find(({ id }) => id === camera.id)) || camera);

/** So many changes at once are said as one. */
const CHANGES_MAX = 3;

/** What a screen reader should hear after the list of cameras changed from `before` to `after`, both as they were told. */
export function changeWords(before: Camera[], after: Camera[]): string[] {
  const known = new Map(before.map((camera) => [camera.id, camera]));
  const said: string[] = [];
  for (const camera of after) {
    const old = known.get(camera.id);
    known.delete(camera.id);
    if (!old) said.push(`New camera: ${camera.name}${camera.state === "starting" ? "" : `, ${stateLabel(camera).toLowerCase()}`}.`);
    else if (old.state !== camera.state) {
      const notice = cameraNotice(camera);
      said.push(notice ? `${camera.name}: ${notice.title}.` : `${camera.name} is live.`);
    }
  }
  for (const gone of known.values()) said.push(`${gone.name} is no longer listed.`);
  if (said.length <= CHANGES_MAX) return said;
  const live = after.filter(({ state }) => state === "live").length;
  return [`${said.length} cameras changed. ${live} of ${after.length} ${live === 1 ? "is" : "are"} live.`];
}

/** What is wrong with the box. What is wrong with a camera already stands on its picture, and is said with its state. */
export const boxProblems = (problems: Problem[]): Problem[] =>
  problems.filter((problem) => !problem.code.startsWith("camera_"));

/**
 * What a screen reader should hear of problems that were not there before; figures that change make no new one, but the
 * name of another quality does.
 */
export function problemWords(before: Problem[], after: Problem[]): string[] {
  const key = ({ code, detail }: Problem): string => `${code} ${detail.replaceAll(/\d+(?!\d*p\b)/g, "0")}`;
  const known = new Set(before.map(key));
  return boxProblems(after)
    .filter((problem) => !known.has(key(problem)))
    .map((problem) => sentence(problem.detail));
}
