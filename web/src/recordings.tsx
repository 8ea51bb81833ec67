// Chooses a span of the past and plays it in the same player.
import { useState } from "preact/hooks";
import { inputValue, presetRange, PRESETS, typedRange } from "./range.js";
import { serverNow } from "./server.js";
import { camera, goLive, playRange, recording } from "./view.js";
import { spanWords } from "./words.js";

export function Recordings() {
  const [open, setOpen] = useState(false);
  const range = recording.value;
  if (!camera.value) return null;
  return (
    <section class="panel recordings" aria-labelledby="recordings">
      <header>
        <h2 id="recordings">Recordings</h2>
        {range && <p class="reason">Playing {spanWords(range.from, range.to, serverNow())}</p>}
        {range && (
          <button type="button" class="button small" onClick={goLive}>
            Back to live
          </button>
        )}
      </header>
      <div class="presets">
        {PRESETS.map((preset) => (
          <button
            type="button"
            class="button"
            key={preset.id}
            onClick={() => playRange(presetRange(preset.span, serverNow()))}
          >
            {preset.label}
          </button>
        ))}
        <button type="button" class="button" aria-expanded={open} aria-controls="other-time" onClick={() => setOpen(!open)}>
          Other time…
        </button>
      </div>
      {open && <OtherTime />}
    </section>
  );
}

function OtherTime() {
  const [start] = useState(() => presetRange(15 * 60_000, serverNow()));
  const [from, setFrom] = useState(inputValue(start.from));
  const [to, setTo] = useState(inputValue(start.to));
  const [wrong, setWrong] = useState("");
  const submit = (event: Event): void => {
    event.preventDefault();
    const typed = typedRange(from, to, serverNow());
    setWrong(typeof typed === "string" ? typed : "");
    if (typeof typed !== "string") playRange(typed);
  };
  return (
    <form class="other-time" id="other-time" onSubmit={submit} noValidate>
      <label>
        From
        <input type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
      </label>
      <label>
        To
        <input type="datetime-local" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
      </label>
      <p class="wrong" role="alert">
        {wrong}
      </p>
      <button type="submit" class="button primary">
        Play
      </button>
    </form>
  );
}
