// What the appliance says about itself: the types of /api/v1 and the requests for them. Knows no page.

export type CameraState = "starting" | "live" | "vanished" | "failed";

/** One camera as `GET /api/v1/cameras` gives it. */
export interface Camera {
  /** 1 to 64 of a-z, 0-9 and "-": safe in an address. */
  id: string;
  /** The device's own description. */
  name: string;
  state: CameraState;
  /** Why it is not live, in words for a person. */
  reason?: string | null;
  /** What the camera delivers; null until it has been opened. */
  mode: Mode | null;
  /** The encoder of the top rung; null until one runs. */
  encoder: string | null;
  /** Lowest first; those that the camera's picture is large enough for. */
  rungs: Rung[];
  recording: Recording;
  sound: boolean;
}

export interface Mode {
  width: number;
  height: number;
  /** FourCC as people write it: YUYV, NV12, MJPG, H264. */
  format: string;
  /** Nominal. */
  fps: number;
}

export interface Rung {
  name: string;
  width: number;
  height: number;
  /** Video bits a second, as configured. */
  bitrate_bps: number;
  /** False while it is shed because the machine cannot keep up. */
  running: boolean;
  encoder: string | null;
}

export interface Recording {
  /** `waiting`: it is on, and goes on once the camera is live. */
  state: "recording" | "waiting" | "off" | "paused" | "failed";
  /** Why nothing is recorded. */
  reason?: string | null;
  /** Names of the rungs that are kept. */
  rungs: string[];
}

/** `GET /healthz`: answered with 200 while live, 503 with the same body otherwise. */
export interface Health {
  live: boolean;
  ready: boolean;
  problems: Problem[];
}

export interface Problem {
  code: string;
  detail: string;
}

const TIMEOUT_MS = 4000;

async function getJson<T>(path: string, statuses: number[] = []): Promise<T> {
  const response = await fetch(path, {
    headers: { accept: "application/json" },
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok && !statuses.includes(response.status)) throw new Error(`${path}: ${response.status}`);
  return (await response.json()) as T;
}

export const fetchCameras = async (): Promise<Camera[]> =>
  (await getJson<{ cameras: Camera[] }>("/api/v1/cameras")).cameras;

export const fetchHealth = (): Promise<Health> => getJson<Health>("/healthz", [503]);

/** The server's clock in milliseconds since 1970. */
export const fetchServerTime = async (): Promise<number> =>
  Date.parse((await getJson<{ now: string }>("/api/v1/time")).now);

export const livePath = (camera: string): string => `/live/${camera}/master.m3u8`;

/** The widest still that the server makes; a camera's own picture is never enlarged. */
export const STILL_WIDTH_MAX = 3840;

/** The camera's present picture, at most `width` pixels wide. */
export const stillPath = (camera: string, width: number): string =>
  `/api/v1/cameras/${camera}/still.jpg?width=${width}`;

/** `from` and `to` in milliseconds since 1970. */
export function recordingPath(camera: string, from: number, to: number): string {
  const query = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  return `/recordings/${camera}/master.m3u8?${query}`;
}
