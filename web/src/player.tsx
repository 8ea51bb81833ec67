// The picture and what lies on it: notices, the controls, the seek bar of a recording.
import { useComputed } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { useHandOver } from "./hand-over.js";
import { Expand, Pause, Play, Shrink, Shutter, SoundOff, SoundOn, Unplugged } from "./icons.js";
import { seekStep } from "./keys.js";
import { LeavingButton } from "./leaving.js";
import { Menu } from "./menu.js";
import { Press } from "./press.js";
import { listedChoice, qualityChoices } from "./quality.js";
import { cameras, serverNow } from "./server.js";
import { volume } from "./settings.js";
import {
  attach,
  camera,
  chooseQuality,
  engine,
  goLive,
  muted,
  notice,
  recording,
  saveStill,
  setVolume,
  stillThere,
  toggleMuted,
} from "./view.js";
import { clockWords, delayWords, heightWords, positionWords, spanWords, spokenDelay } from "./words.js";

const IDLE_MS = 2600;
/** A position that goes so far at once did not play there. */
const MOVED_S = 1.5;

/** Full screen for the whole player, or for the bare video where only that can be (iPhone). */
export function toggleFullScreen(): void {
  const player = document.querySelector<HTMLElement>(".player");
  const video = player?.querySelector("video") as (HTMLVideoElement & { webkitEnterFullscreen?: () => void }) | null;
  if (document.fullscreenElement) void document.exitFullscreen();
  else if (player?.requestFullscreen) void player.requestFullscreen().catch(() => undefined);
  else video?.webkitEnterFullscreen?.();
}

export function Player() {
  const root = useRef<HTMLElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [idle, setIdle] = useState(false);
  const [full, setFull] = useState(false);
  const press = useRef(new Press());

  useEffect(() => attach(video.current!), []);

  // The controls step aside while the picture plays and nothing points at them.
  useEffect(() => {
    let timer = 0;
    const wake = (): void => {
      setIdle(false);
      window.clearTimeout(timer);
      timer = window.setTimeout(() => setIdle(true), IDLE_MS);
    };
    const element = root.current!;
    for (const event of ["pointermove", "pointerdown", "focusin"] as const) element.addEventListener(event, wake);
    // Shortcuts work wherever the focus is, and what they did is seen on the controls.
    document.addEventListener("keydown", wake);
    // A finger leaves whenever it is lifted: what its tap brought stays for its time.
    element.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && setIdle(true));
    document.addEventListener("fullscreenchange", () => setFull(document.fullscreenElement === element));
    wake();
  }, []);

  const phase = engine.value?.phase.value ?? "idle";
  const busy = !notice.value && (phase === "loading" || phase === "waiting" || cameras.value === null);
  const current = camera.value;
  return (
    <section
      class="player"
      ref={root}
      aria-label={current ? `Player: ${current.name}` : "Player"}
      data-idle={(idle && phase === "playing") || undefined}
      data-covered={notice.value ? true : undefined}
      onPointerDownCapture={(event) => press.current.begin(event.pointerType, controlsAreHidden(root.current!))}
      onClickCapture={(event) => {
        if (!press.current.onlyWakes(event.detail)) return;
        event.stopPropagation();
        event.preventDefault();
      }}
    >
      <video
        ref={video}
        playsInline
        autoplay
        muted
        disableRemotePlayback
        tabIndex={-1}
        aria-label={current ? `Picture of ${current.name}` : "Picture"}
        // A finger on the picture brings the controls; a mouse has them already, and pauses.
        onClick={() => !press.current.touch && engine.value?.togglePlay()}
        onDblClick={toggleFullScreen}
      />
      {busy && <div class="spinner" aria-hidden="true" />}
      <NoticeOver />
      <Controls full={full} />
    </section>
  );
}

/** As the style sheet decides it: the focus or an open menu keeps them. */
function controlsAreHidden(player: HTMLElement): boolean {
  const controls = player.querySelector(".controls");
  return !!controls && getComputedStyle(controls).pointerEvents === "none";
}

function NoticeOver() {
  const shown = notice.value;
  if (!shown) return null;
  return (
    <div class="notice">
      <Unplugged />
      <h2>{shown.title}</h2>
      <p>{shown.detail}</p>
      {shown.kind === "player" && recording.value && (
        <LeavingButton class="button" heir=".player .live" onClick={goLive}>
          Back to live
        </LeavingButton>
      )}
      {shown.kind === "page" && (
        <button type="button" class="button" onClick={() => location.reload()}>
          Reload the page
        </button>
      )}
    </div>
  );
}

function Controls({ full }: { full: boolean }) {
  const player = engine.value;
  if (!player || !camera.value) return null;
  const paused = player.phase.value === "paused";
  return (
    <div class="controls" role="group" aria-label="Playback">
      {recording.value && <SeekBar />}
      <div class="row">
        <button
          type="button"
          class="control"
          aria-label={paused ? "Play" : "Pause"}
          title={`${paused ? "Play" : "Pause"} (space)`}
          onClick={() => player.togglePlay()}
        >
          {paused ? <Play /> : <Pause />}
        </button>
        <Status />
        <span class="push" />
        {camera.value.sound && <Sound />}
        <Quality />
        <button
          type="button"
          class="control"
          aria-label="Save a still picture"
          title="Save a still picture (S)"
          disabled={!stillThere.value}
          onClick={() => void saveStill()}
        >
          <Shutter />
        </button>
        <button
          type="button"
          class="control"
          aria-label={full ? "Leave full screen" : "Full screen"}
          title="Full screen (F)"
          onClick={toggleFullScreen}
        >
          {full ? <Shrink /> : <Expand />}
        </button>
      </div>
    </div>
  );
}

/**
 * The live mark with how far behind the picture is; a way back to the edge when the viewer left it, or plays a recording.
 * One button for all of them: a focus on it stays.
 */
function Status() {
  const player = engine.value!;
  const isRecorded = recording.value !== null;
  const taken = player.pictureTime;
  const delay = useComputed(() => (taken.value === null ? "" : delayWords(serverNow() - taken.value))).value;
  // By the second: a screen reader whose focus is here says each change.
  const spoken = useComputed(() => (taken.value === null ? "" : spokenDelay(serverNow() - taken.value))).value;
  const following = !isRecorded && player.following.value;
  const live = following && !notice.value;
  const name = following ? `Live${spoken && `, ${spoken} behind`}` : `Back to live${spoken && `, ${spoken} behind now`}`;
  return (
    <>
      <button
        type="button"
        class="live"
        data-live={live || undefined}
        aria-label={isRecorded ? "Back to live" : name}
        title={following ? "Time from the camera to this screen" : "Back to live (L)"}
        onClick={goLive}
      >
        <span class="dot" />
        <span class="live-word">{isRecorded ? "Back to live" : following ? "Live" : "Go live"}</span>
        {!isRecorded && <span class="delay">{!notice.value && delay}</span>}
      </button>
      {isRecorded && taken.value !== null && <time class="delay">{clockWords(taken.value)}</time>}
    </>
  );
}

function SeekBar() {
  const player = engine.value!;
  const range = recording.value!;
  const duration = player.duration.value;
  const position = Math.min(player.position.value, duration);
  const share = duration > 0 ? position / duration : 0;
  const root = useRef<HTMLDivElement>(null);
  // A recording that ends where now begins takes its bar along.
  useHandOver(root, ".player .live");
  // Said where it was moved to, and by the minute while it plays: each change is said to whoever is here.
  const spoken = useRef(0);
  const before = useRef(0);
  const isMoved = Math.abs(position - before.current) > MOVED_S || player.phase.value === "paused";
  if (isMoved || Math.floor(position / 60) !== Math.floor(spoken.current / 60)) spoken.current = position;
  before.current = position;
  return (
    <div class="seek" ref={root}>
      <span class="delay">{positionWords(position)}</span>
      <input
        type="range"
        min={0}
        max={duration || 1}
        step={0.1}
        value={position}
        ref={(input) => input?.style.setProperty("--share", String(share))}
        aria-label={`Position in the recording of ${spanWords(range.from, range.to, serverNow())}`}
        aria-valuetext={`${positionWords(spoken.current)} of ${positionWords(duration)}`}
        onInput={(event) => player.seekTo(event.currentTarget.valueAsNumber)}
        onKeyDown={(event) => {
          const step = seekStep(event);
          if (step === null) return;
          event.preventDefault();
          player.seekBy(step);
        }}
      />
      <span class="delay">{positionWords(duration)}</span>
    </div>
  );
}

function Sound() {
  const silent = muted.value;
  const level = silent ? 0 : volume.value;
  return (
    <div class="sound">
      <button
        type="button"
        class="control"
        aria-label={silent ? "Sound on" : "Sound off"}
        title={`${silent ? "Sound on" : "Sound off"} (M)`}
        onClick={toggleMuted}
      >
        {silent ? <SoundOff /> : <SoundOn />}
      </button>
      <input
        type="range"
        class="volume"
        min={0}
        max={1}
        step={0.05}
        value={level}
        ref={(input) => input?.style.setProperty("--share", String(level))}
        aria-label="Volume"
        aria-valuetext={`${Math.round(level * 100)} %`}
        onInput={(event) => setVolume(event.currentTarget.valueAsNumber)}
      />
    </div>
  );
}

function Quality() {
  const player = engine.value!;
  const playing = player.playing.value;
  const chosen = listedChoice(player.levels.value, player.chosen.value);
  const now = playing ? heightWords(playing.height) : "";
  const rungs = recording.value ? [] : camera.value!.rungs;
  return (
    <Menu
      label={`Quality: ${chosen === null ? "Auto" : "fixed"}${now && `, ${now} now`}`}
      choices={qualityChoices(player.levels.value, rungs, playing)}
      value={chosen ?? "auto"}
      onChoose={chooseQuality}
    >
      {chosen === null && <span class="quality-auto">Auto</span>}
      <span>{now || "–"}</span>
    </Menu>
  );
}
