// The range chosen by hand, on the timeline or typed in: to be played, or kept as a clip.
import { useEffect, useRef, useState } from "preact/hooks";
import { clipFilePath, fetchClipFile, keepClip, probe, reasonOf, timelapsePath } from "./archive.js";
import { say } from "./announce.js";
import { takeClip } from "./clips.js";
import { useHandOver } from "./hand-over.js";
import { bringPlayer } from "./in-sight.js";
import { inputValue, typedRange, type Range } from "./range.js";
import { serverNow } from "./server.js";
import { choose, chooseEdge, forgetTimeline, selection } from "./timeline.js";
import { download, playRange } from "./view.js";
import { clipName, proofWords, sentence } from "./words.js";

const NAME_MAX = 100;

export function Chosen({ id }: { id: string }) {
  const range = selection.value!;
  const [from, setFrom] = useState(inputValue(range.from));
  const [to, setTo] = useState(inputValue(range.to));
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState("");
  /** What is to be known of the file that was saved. */
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const root = useRef<HTMLFormElement>(null);
  useHandOver(root, "#choose-range");

  // The timeline moved an edge: what was typed gives way.
  useEffect(() => {
    if (typed(from, to, range)) return;
    setFrom(inputValue(range.from));
    setTo(inputValue(range.to));
    setWrong("");
    setNote("");
  }, [range]);

  /** Takes over what is typed as soon as it is a range; says what is wrong only when it is to be used. */
  const type = (newFrom: string, newTo: string): void => {
    setFrom(newFrom);
    setTo(newTo);
    const read = typedRange(newFrom, newTo, serverNow());
    if (typeof read !== "string") choose(read);
  };
  const chosen = (): Range | null => {
    // To the moment, where the fields say no more than the timeline does.
    const shown = from === inputValue(range.from) && to === inputValue(range.to);
    const read = typedRange(from, to, serverNow());
    setWrong(typeof read === "string" ? read : "");
    return typeof read === "string" ? null : shown ? range : read;
  };
  const play = (event: Event): void => {
    event.preventDefault();
    const read = chosen();
    if (!read) return;
    playRange(read);
    bringPlayer();
  };
  const keep = async (): Promise<void> => {
    if (busy) return;
    const read = chosen();
    if (!read) return;
    setBusy(true);
    try {
      const clip = await keepClip(id, read, name.trim() || clipName(read.from));
      takeClip(clip);
      forgetTimeline();
      say(`The clip ${clip.name} is kept.`);
      choose(null);
    } catch (error) {
      setWrong(`The clip was not kept: ${sentence(reasonOf(error))}`);
      setBusy(false);
    }
  };
  /** A link whose refusal nobody would see: what it leads to is asked for first. */
  const save = async (event: MouseEvent, path: string, check: () => Promise<string>): Promise<void> => {
    // Into another tab or to a place of choice: as the browser does it.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setNote("");
    try {
      const words = await check();
      setNote(words);
      setWrong("");
      download(path);
      say(words || "The file is being saved.");
    } catch (error) {
      setWrong(`Nothing was saved: ${sentence(reasonOf(error))}`);
    } finally {
      setBusy(false);
    }
  };
  const checkFile = async (): Promise<string> => proofWords(await fetchClipFile(id, range));
  const checkTimelapse = async (): Promise<string> => {
    await probe(timelapsePath(id, range));
    return "A time-lapse carries no proof that this box recorded it.";
  };
  return (
    <form class="chosen-range" id="chosen-range" ref={root} onSubmit={play} noValidate>
      <div class="chosen-row">
        <label>
          From
          <input type="datetime-local" step="any" value={from} onInput={(event) => type(event.currentTarget.value, to)} />
        </label>
        <label>
          To
          <input type="datetime-local" step="any" value={to} onInput={(event) => type(from, event.currentTarget.value)} />
        </label>
        <button type="button" class="button" title="The range begins where the timeline is (I)" onClick={() => chooseEdge("from")}>
          Start here
        </button>
        <button type="button" class="button" title="The range ends where the timeline is (O)" onClick={() => chooseEdge("to")}>
          End here
        </button>
        <button type="submit" class="button primary">
          Play
        </button>
      </div>
      <div class="chosen-row">
        <label class="name">
          Name of the clip
          <input
            type="text"
            maxLength={NAME_MAX}
            placeholder={clipName(range.from)}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            onKeyDown={(event) => {
              // Here Enter means the button beside it.
              if (event.key !== "Enter") return;
              event.preventDefault();
              void keep();
            }}
          />
        </label>
        <button type="button" class="button" aria-disabled={busy} onClick={() => void keep()}>
          Keep as a clip
        </button>
        <a
          class="button"
          href={clipFilePath(id, range)}
          download
          title="Save the range as one MP4 file, at most a day"
          onClick={(event) => void save(event, clipFilePath(id, range), checkFile)}
        >
          Save as a file
        </a>
        <a
          class="button"
          href={timelapsePath(id, range)}
          download
          title="Save a time-lapse of the range, at most a month"
          onClick={(event) => void save(event, timelapsePath(id, range), checkTimelapse)}
        >
          Time-lapse
        </a>
        <button type="button" class="button" onClick={() => choose(null)}>
          Cancel
        </button>
      </div>
      <p class="wrong" role="alert">
        {wrong}
      </p>
      {note && <p>{note}</p>}
    </form>
  );
}

/** Whether the fields are what made the range. */
function typed(from: string, to: string, range: Range): boolean {
  const read = typedRange(from, to, serverNow());
  return typeof read !== "string" && read.from === range.from && Math.abs(read.to - range.to) < 1000;
}
