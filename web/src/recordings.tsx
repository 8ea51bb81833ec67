// The recordings of the camera on view: the timeline, ways to move it, spans that are offered, a range chosen by hand.
import { Chosen } from "./chosen.js";
import { Clips } from "./clips.js";
import { Imports } from "./imports.js";
import { Left, Minus, Plus, Right } from "./icons.js";
import { bringPlayer } from "./in-sight.js";
import { LeavingButton } from "./leaving.js";
import { Marks } from "./marks.js";
import { viewWords } from "./moments.js";
import { presetRange, PRESETS, type Range } from "./range.js";
import { holds } from "./scale.js";
import { serverNow } from "./server.js";
import {
  chart,
  choose,
  limits,
  now,
  sayView,
  selection,
  setView,
  showRange,
  showsUnit,
  showUnit,
  startChoosing,
  trouble,
  turnPage,
  view,
  zoomBy,
} from "./timeline.js";
import { Track } from "./track.js";
import { camera, goLive, playRange, recording } from "./view.js";
import { sentence, spanWords } from "./words.js";

const UNITS = ["hour", "day", "week", "month", "year"] as const;

export function Recordings() {
  const range = recording.value;
  const one = camera.value;
  if (!one) return null;
  const choosing = selection.value !== null;
  return (
    <section class="panel recordings" aria-labelledby="recordings">
      <header>
        <h2 id="recordings" tabIndex={-1}>
          Recordings
        </h2>
        {range && <p class="reason">Playing {spanWords(range.from, range.to, serverNow())}</p>}
        {range && (
          <LeavingButton class="button small" heir="#recordings" onClick={goLive}>
            Back to live
          </LeavingButton>
        )}
      </header>
      <Tools />
      <Track name={one.name} />
      {trouble.value && <p class="wrong">The timeline is not known: {sentence(trouble.value)}</p>}
      {chart.value?.oldest === null && <p>Nothing is recorded yet.</p>}
      <Key />
      <div class="presets">
        {PRESETS.map((preset) => (
          <button type="button" class="button" key={preset.id} onClick={() => playPreset(presetRange(preset.span, serverNow()))}>
            {preset.label}
          </button>
        ))}
        <button
          type="button"
          class="button"
          id="choose-range"
          aria-expanded={choosing}
          aria-controls="chosen-range"
          onClick={() => (choosing ? choose(null) : startChoosing())}
        >
          Choose a range…
        </button>
      </div>
      {choosing && <Chosen id={one.id} />}
      <div class="lists">
        <Clips id={one.id} />
        <Imports />
        <Marks />
      </div>
    </section>
  );
}

function playPreset(range: Range): void {
  showRange(range);
  playRange(range);
  bringPlayer();
}

/** What is on view in words, and the ways to move it that need no mouse. */
function Tools() {
  const shown = view.value;
  const atNow = holds(shown, now.value);
  const atEnd = shown.to >= limits.value.to;
  const toNow = (): void => {
    const span = shown.to - shown.from;
    setView({ from: limits.peek().to - 0.97 * span, to: limits.peek().to + 0.03 * span });
    sayView();
  };
  const zoomTo = (factor: number): void => {
    zoomBy(factor);
    sayView();
  };
  return (
    <div class="tools" role="group" aria-label="What the timeline shows">
      <div class="tools-group">
        <button type="button" class="tool" aria-label="Earlier" title="Earlier" onClick={() => turnPage(-1)}>
          <Left />
        </button>
        <button type="button" class="tool" aria-label="Later" title="Later" aria-disabled={atEnd} onClick={() => !atEnd && turnPage(1)}>
          <Right />
        </button>
      </div>
      <p class="view-words">{viewWords(shown, now.value)}</p>
      {!atNow && (
        <LeavingButton class="tool" heir=".scrubber" onClick={toNow}>
          Now
        </LeavingButton>
      )}
      <span class="push" />
      <div class="tools-scale">
        <div class="tools-group units">
          {UNITS.map((unit) => (
            <button type="button" class="tool" key={unit} aria-pressed={showsUnit(unit, shown)} onClick={() => showUnit(unit)}>
              {unit[0]!.toUpperCase() + unit.slice(1)}
            </button>
          ))}
        </div>
        <div class="tools-group">
          <button type="button" class="tool" aria-label="Zoom out" title="Further away (−)" onClick={() => zoomTo(2)}>
            <Minus />
          </button>
          <button type="button" class="tool" aria-label="Zoom in" title="Closer (+)" onClick={() => zoomTo(0.5)}>
            <Plus />
          </button>
        </div>
      </div>
    </div>
  );
}

/** What the colours and patterns stand for. */
function Key() {
  return (
    <ul class="key" aria-hidden="true">
      {["Recorded", "Gap", "Damaged", "Clip", "File"].map((what) => (
        <li key={what}>
          <span class="swatch" data-what={what} />
          {what}
        </li>
      ))}
    </ul>
  );
}
