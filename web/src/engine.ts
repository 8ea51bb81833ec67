// Plays one source in one <video>: hls.js where Media Source Extensions are, the browser's own HLS otherwise.
// Recovers by itself; says how it fares in signals. Knows addresses, not cameras or buttons.
import { batch, signal } from "@preact/signals";
import type Hls from "hls.js";
import type { ErrorData, HlsConfig } from "hls.js";
import { Margin, pace } from "./pace.js";
import { listedChoice, rungOfAddress, type Level } from "./quality.js";

export interface Source {
  address: string;
  live: boolean;
}

/** `missing`: the server has nothing there. `unsupported`: this browser cannot decode it. */
export type Phase = "idle" | "loading" | "playing" | "paused" | "waiting" | "missing" | "unsupported";

const RETRY_MS = [500, 1000, 2000, 4000];
const TICK_MS = 250;
/** Live pictures that stand still for this long are sought past, and for the longer time loaded afresh. */
const STUCK_SEEK_MS = 5000;
const STUCK_RELOAD_MS = 10_000;
/** Pictures that moved on for so long count as playing: what failed before them is forgotten. */
const PLAYED_S = 1;
/** A recording that stands still so close to its end, for so long, is at its end, whether the browser says so or not. */
const END_S = 0.5;
const STUCK_END_MS = 1500;
/** Further behind than this, a follower jumps to the edge: catching up by speed would take minutes. */
const LATENCY_JUMP_S = 6;

/**
 * A start this far behind the wanted distance, with as much to spare in the buffer, is put right by a jump; so long after
 * its first picture, since what is to spare may come only then.
 */
const FRESH_JUMP_S = 0.3;
const FRESH_MS = 5000;
/**
 * A recording is sought no closer to its end than this, a picture or so: pictures end a rounding error before the time
 * that the playlist has, and a seek to where there is none may wait for it for ever.
 */
const LAST_PICTURE_S = 0.1;
/** A live view that nobody has seen or heard for so long is not fetched any more. */
const UNSEEN_MS = 60_000;
/** Where the browser plays HLS by itself, the edge is this far before the end of what can be sought. */
const NATIVE_HOLD_BACK_S = 3;

const CODECS = 'video/mp4; codecs="avc1.42E01E,mp4a.40.2"';

function hasMediaSource(): boolean {
  const globals = window as unknown as { ManagedMediaSource?: typeof MediaSource; MediaSource?: typeof MediaSource };
  const source = globals.ManagedMediaSource ?? globals.MediaSource;
  return !!source && source.isTypeSupported(CODECS);
}

/** hls.js, fetched when it is needed first; null where the server does not answer. */
const fetchLibrary = (): Promise<typeof Hls | null> => import("hls.js").then((module) => module.default).catch(() => null);

function config(live: boolean): Partial<HlsConfig> {
  return {
    lowLatencyMode: live,
    enableWorker: false,
    // A LAN starts at the top: the first seconds are sharp, and a slow link steps down within a segment.
    startLevel: -1,
    testBandwidth: false,
    abrEwmaDefaultEstimate: 12_000_000,
    abrEwmaDefaultEstimateMax: 12_000_000,
    capLevelToPlayerSize: true,
    // A rung that was shed comes back: it is tried again after this time.
    errorPenaltyExpireMs: 20_000,
    // It would never take back what stops have added: the margin does.
    liveSyncOnStallIncrease: 0,
    backBufferLength: live ? 20 : 60,
    maxBufferLength: live ? 10 : 30,
    enableInterstitialPlayback: false,
    enableID3MetadataCues: false,
    enableEmsgMetadataCues: false,
    enableDateRangeMetadataCues: false,
  };
}

export class Engine {
  readonly phase = signal<Phase>("idle");
  readonly levels = signal<Level[]>([]);
  /** What is on screen now. */
  readonly playing = signal<Level | null>(null);
  /** The rung chosen by the viewer; null lets the player choose, as does one that is not listed. */
  readonly chosen = signal<string | null>(null);
  /** When the picture on screen was taken, in milliseconds since 1970. */
  readonly pictureTime = signal<number | null>(null);
  /** Seconds into a recording; kept over a reload, which goes on from here. */
  readonly position = signal(0);
  readonly duration = signal(0);
  /** A recording was played to its end. */
  readonly ended = signal(false);
  /** False when the viewer paused or went back, so that nothing pulls them to the edge. */
  readonly following = signal(true);
  /** hls.js could not be fetched the last time that it was needed. */
  readonly lacksLibrary = signal(false);

  private hls: Hls | null = null;
  private source: Source | null = null;
  private attempt = 0;
  private retryTimer = 0;
  /** Counts loads, so that one that is overtaken while hls.js arrives does nothing. */
  private loads = 0;
  private movedAt = 0;
  /** Where the picture was last, and how far it moved on by itself since it was loaded, in seconds. */
  private lastTime = 0;
  private played = 0;
  private soughtAt = 0;
  /** Until when pictures count as the first of a source, in which a jump is hardly seen. */
  private freshUntil = Infinity;
  private margin = new Margin();
  private held = false;
  /** A load to be made up for, once the source is there and somebody wants more than the last picture. */
  private owed = false;
  /** When the live view was last seen or heard, and whether nothing is fetched for that. */
  private seenAt = performance.now();
  private resting = false;
  /** The viewer paused: what is loaded again stays so. */
  private stopped = false;

  constructor(
    readonly video: HTMLVideoElement,
    private readonly library: () => Promise<typeof Hls | null> = fetchLibrary,
  ) {
    for (const [event, phase] of [["playing", "playing"], ["pause", "paused"], ["waiting", "waiting"]] as const) {
      video.addEventListener(event, () => this.settle(phase));
    }
    video.addEventListener("timeupdate", () => {
      this.movedAt = performance.now();
      this.countPlayed();
      if (!video.paused) this.settle("playing");
    });
    video.addEventListener("seeking", () => {
      this.movedAt = performance.now();
      this.lastTime = video.currentTime;
      this.ended.value = false;
    });
    video.addEventListener("ended", () => this.finish());
    video.addEventListener("error", () => this.native() && this.retry());
    video.addEventListener("loadedmetadata", () => {
      if (this.native() && !this.source?.live) video.currentTime = this.position.peek();
    });
    video.addEventListener("resize", () => this.native() && this.showNativeLevel());
    window.setInterval(() => this.tick(), TICK_MS);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      if (this.resting) this.goOn();
      else this.catchUp(LATENCY_JUMP_S / 2);
    });
  }

  /** Starts from anew, whatever played before. */
  play(source: Source): void {
    this.source = source;
    this.attempt = 0;
    this.margin = new Margin();
    this.stopped = false;
    batch(() => {
      this.following.value = source.live;
      this.position.value = 0;
      this.duration.value = 0;
    });
    void this.load();
  }

  stop(): void {
    this.source = null;
    this.unload();
    this.phase.value = "idle";
  }

  /**
   * While the source is known to be away nothing is tried, so that its last picture stays; once it is there again
   * it is read at once, unless it plays, was paused, or nobody sees it.
   */
  hold(away: boolean): void {
    const returned = this.held && !away;
    this.held = away;
    if (!returned || !this.source || this.stopped || this.resting) return;
    if (this.owed || performance.now() - this.movedAt > 1500) this.reload();
  }

  reload(): void {
    this.attempt = 0;
    void this.load();
  }

  togglePlay(): void {
    if (this.video.paused) {
      // A short pause leaves nobody behind, least of all the two presses of a double click.
      if (this.behindEdge() < LATENCY_JUMP_S) this.following.value = true;
      this.start();
      return;
    }
    this.video.pause();
    // Said here, not when the <video> says so: its word counts for nothing while it loads.
    this.stopped = true;
    this.phase.value = "paused";
    this.following.value = false;
  }

  /** Moves by seconds, within what can be played. */
  seekBy(seconds: number): void {
    const { seekable, currentTime } = this.video;
    if (!seekable.length) return;
    if (this.source?.live && seconds >= this.behindEdge()) return this.goLive();
    this.following.value = false;
    this.seekTo(Math.max(seekable.start(0), Math.min(seekable.end(seekable.length - 1), currentTime + seconds)));
  }

  /** Moves to a time of the source, in seconds; what is later than its last picture is that. */
  seekTo(seconds: number): void {
    const duration = this.source?.live ? 0 : this.duration.peek();
    const to = duration > 0 ? Math.min(seconds, Math.max(0, duration - LAST_PICTURE_S)) : seconds;
    this.video.currentTime = to;
    this.position.value = to;
    // The picture there may not be fetched yet, though the one before was to be kept.
    if (this.owed && !this.held && !this.source?.live) this.reload();
  }

  goLive(): void {
    if (!this.source?.live) return;
    this.following.value = true;
    this.catchUp(0);
    this.start();
  }

  /** A rung's name, or null for the player's own choice. Changes with the next segment, without a stop. */
  choose(name: string | null): void {
    this.chosen.value = name;
    this.applyChoice();
  }

  private applyChoice(): void {
    if (!this.hls) return;
    const name = this.chosen.peek();
    const index = name === null ? -1 : this.levels.peek().findIndex((level) => level.name === name);
    // `loadLevel` itself reads as the level that Auto plays: choosing that one has to leave Auto too.
    if (this.hls.manualLevel !== index) this.hls.loadLevel = index;
  }

  private start(): void {
    this.stopped = false;
    // While the source is away, what is there of it plays.
    if (this.owed && !this.held) {
      // A live view is loaded at its edge.
      this.following.value = this.source?.live ?? false;
      return this.reload();
    }
    this.video.play().catch((error: unknown) => {
      // A browser that saves power plays only when asked to: show the way, not a wheel that turns for ever.
      if (error instanceof DOMException && error.name === "NotAllowedError") this.phase.value = "paused";
    });
  }

  private native(): boolean {
    return !this.hls && !!this.source;
  }

  private unload(): void {
    this.loads++;
    window.clearTimeout(this.retryTimer);
    this.hls?.destroy();
    this.hls = null;
    batch(() => {
      this.levels.value = [];
      this.playing.value = null;
      this.pictureTime.value = null;
    });
  }

  private async load(): Promise<void> {
    const source = this.source;
    if (!source) return;
    this.unload();
    const mine = this.loads;
    this.owed = false;
    this.resting = false;
    this.seenAt = performance.now();
    this.ended.value = false;
    // The attribute would start it at the first picture, whatever the viewer wants.
    this.video.autoplay = !this.stopped;
    this.phase.value = this.stopped ? "paused" : "loading";
    this.movedAt = performance.now();
    this.played = 0;
    this.freshUntil = Infinity;
    if (hasMediaSource()) {
      const Hls = await this.library();
      if (mine !== this.loads) return;
      this.lacksLibrary.value = !Hls;
      if (!Hls) return this.retry();
      if (Hls.isSupported()) return this.loadWithHls(Hls, source);
    }
    if (!this.video.canPlayType("application/vnd.apple.mpegurl")) {
      this.phase.value = "unsupported";
      return;
    }
    this.video.src = source.address;
    if (!this.stopped) this.start();
  }

  private loadWithHls(Library: typeof Hls, source: Source): void {
    const hls = new Library({ ...config(source.live), startPosition: source.live ? -1 : this.position.peek() });
    this.hls = hls;
    const { Events } = Library;
    hls.on(Events.MANIFEST_PARSED, () => {
      this.levels.value = hls.levels.map((level) => ({
        name: rungOfAddress(level.url[0] ?? ""),
        height: level.height,
        bitrate: level.bitrate,
        sound: !!level.audioGroups?.length || !!level.audioCodec,
      }));
      this.applyChoice();
      if (!this.stopped) this.start();
    });
    hls.on(Events.LEVEL_SWITCHED, (_, { level }) => {
      this.playing.value = this.levels.peek()[level] ?? null;
    });
    hls.on(Events.ERROR, (_, data) => this.onError(Library, data));
    hls.attachMedia(this.video);
    hls.loadSource(source.address);
  }

  private onError(Library: typeof Hls, data: ErrorData): void {
    const { ErrorDetails, ErrorTypes } = Library;
    // hls.js leaves a rung that is gone, and with it the viewer's choice.
    if (listedChoice(this.levels.peek(), this.chosen.peek()) && this.hls?.autoLevelEnabled) this.chosen.value = null;
    if (data.details === ErrorDetails.BUFFER_STALLED_ERROR) this.margin.raise(performance.now());
    if (!data.fatal || this.resting) return;
    this.played = 0;
    switch (data.details) {
      case ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR:
      case ErrorDetails.BUFFER_ADD_CODEC_ERROR:
      case ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR:
        this.unload();
        this.phase.value = "unsupported";
        return;
      case ErrorDetails.MANIFEST_LOAD_ERROR:
        if (data.response?.code === 404 && !this.source?.live) {
          this.unload();
          this.phase.value = "missing";
          return;
        }
    }
    if (data.type === ErrorTypes.MEDIA_ERROR && this.attempt++ === 0) this.hls?.recoverMediaError();
    else this.retry();
  }

  /** Loads again after a growing pause; what was paused, when it is to play. The last picture stays on screen meanwhile. */
  private retry(): void {
    const pause = RETRY_MS[Math.min(this.attempt++, RETRY_MS.length - 1)]!;
    this.phase.value = this.stopped ? "paused" : "waiting";
    window.clearTimeout(this.retryTimer);
    this.hls?.stopLoad();
    this.owed = this.held || this.stopped;
    if (this.owed) return;
    this.retryTimer = window.setTimeout(() => void this.load(), pause);
  }

  /** What is buffered may not decode: only pictures that move make up for what failed. */
  private countPlayed(): void {
    const { currentTime, paused, seeking } = this.video;
    if (!paused && !seeking) this.played += Math.max(0, currentTime - this.lastTime);
    this.lastTime = currentTime;
    if (this.played >= PLAYED_S) this.attempt = 0;
  }

  private settle(phase: Phase): void {
    const now = this.phase.peek();
    if (!this.source || now === "unsupported" || now === "missing") return;
    // A <video> also pauses while its source is exchanged: that is still loading.
    if (phase === "paused" && (now === "loading" || this.video.ended === false && this.video.readyState === 0)) return;
    // A live view that ran out, as when the server goes away, was paused by nobody.
    if (phase !== "waiting") this.stopped = phase === "paused" && !(this.source.live && this.video.ended);
    this.phase.value = phase;
  }

  private tick(): void {
    const { video, hls, source } = this;
    if (!source) return;
    const date = hls ? hls.playingDate?.getTime() : this.nativeDate();
    batch(() => {
      this.pictureTime.value = date ?? null;
      // A <video> that is emptied or on its way to another time is not where the viewer is.
      if (video.readyState >= 2 && !video.seeking) this.position.value = video.currentTime;
      if (video.readyState > 0 && Number.isFinite(video.duration)) this.duration.value = video.duration;
    });
    if (source.live && this.following.peek()) {
      if (!document.hidden) this.followEdge();
    } else if (video.playbackRate !== 1) video.playbackRate = 1;
    if (!source.live) this.watchEnd();
    this.watchSeen();
  }

  /** A tab that is kept open behind others would fetch the live view all day. */
  private watchSeen(): void {
    const { hls, source, video } = this;
    // A picture in a window of its own is seen; a browser that does not tell of it may have one.
    const isSeen = !document.hidden || !("pictureInPictureElement" in document) || document.pictureInPictureElement === video;
    if (isSeen || !video.muted || !source?.live || !hls) this.seenAt = performance.now();
    if (this.resting || performance.now() - this.seenAt < UNSEEN_MS) return;
    window.clearTimeout(this.retryTimer);
    hls?.stopLoad();
    this.owed = this.resting = true;
  }

  /** Somebody sees it again: at the edge, unless they had paused it. */
  private goOn(): void {
    this.resting = false;
    this.margin = new Margin();
    if (!this.stopped && !this.held) this.reload();
  }

  /**
   * Sound and pictures end some milliseconds before the time of the playlist, and apart from each other: a browser
   * that was sought there may wait for more, while hls.js has nothing more to give.
   */
  private watchEnd(): void {
    const { currentTime, duration, ended, paused, readyState } = this.video;
    if (paused || ended || readyState === 0 || readyState >= 3 || duration - currentTime > END_S) return;
    if (performance.now() - this.movedAt < STUCK_END_MS) return;
    this.video.pause();
    this.finish();
  }

  private finish(): void {
    if (!this.source?.live) this.ended.value = true;
  }

  private followEdge(): void {
    this.catchUp(LATENCY_JUMP_S);
    this.keepDistance();
    const still = performance.now() - this.movedAt;
    const { paused, ended } = this.video;
    if (this.held || paused && !ended || !this.hls || this.phase.peek() === "unsupported") return;
    if (still > (ended ? STUCK_SEEK_MS : STUCK_RELOAD_MS)) void this.load();
    else if (still > STUCK_SEEK_MS) this.catchUp(0);
  }

  /** Plays a little faster or slower until the delay is what the server asks for; too little to be heard. */
  private keepDistance(): void {
    const { hls, video } = this;
    const target = hls?.targetLatency;
    if (!hls || target == null || video.buffered.length === 0) return;
    const now = performance.now();
    if (!video.paused) this.margin.lower(now);
    const behind = hls.latency - target - this.margin.seconds;
    const buffer = video.buffered.end(video.buffered.length - 1) - video.currentTime;
    if (!video.paused && video.readyState >= 3 && now < this.freshUntil) {
      this.freshUntil = Math.min(this.freshUntil, now + FRESH_MS);
      if (behind > FRESH_JUMP_S && buffer > behind + FRESH_JUMP_S) {
        this.freshUntil = 0;
        video.currentTime += behind;
        return;
      }
    }
    const rate = pace(behind, buffer, video.playbackRate);
    if (rate !== video.playbackRate) video.playbackRate = rate;
  }

  /** Jumps to the live edge when the picture is more than `seconds` behind where it should be. */
  private catchUp(seconds: number): void {
    const edge = this.edge();
    if (!this.following.peek() || edge === null) return;
    const now = performance.now();
    if (edge - this.video.currentTime <= seconds || now - this.soughtAt < 2000 && seconds > 0) return;
    this.soughtAt = now;
    this.video.currentTime = edge;
  }

  /** Where a follower of the live view should be; null where there is no edge or it is not known yet. */
  private edge(): number | null {
    if (!this.source?.live) return null;
    if (this.hls) {
      const wanted = this.hls.liveSyncPosition;
      return wanted === null ? null : wanted - this.margin.seconds;
    }
    const { seekable } = this.video;
    if (!seekable.length) return null;
    return Math.max(seekable.start(0), seekable.end(seekable.length - 1) - NATIVE_HOLD_BACK_S);
  }

  /** Seconds from the picture to the live edge; endless where there is none. */
  private behindEdge(): number {
    const edge = this.edge();
    return edge === null ? Infinity : edge - this.video.currentTime;
  }

  /** Safari's date of the picture on screen. */
  private nativeDate(): number | undefined {
    const start = (this.video as unknown as { getStartDate?: () => Date }).getStartDate?.().getTime();
    return start !== undefined && Number.isFinite(start) ? start + this.video.currentTime * 1000 : undefined;
  }

  private showNativeLevel(): void {
    this.playing.value = { name: "", height: this.video.videoHeight, bitrate: 0, sound: true };
  }
}
