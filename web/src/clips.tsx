// The clips of a camera: played, saved to this machine, deleted when that was confirmed.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { say } from "./announce.js";
import { deleteClip, fetchClips, Refusal, type Clip } from "./archive.js";
import { Confirm } from "./confirm.js";
import { bytesWords } from "./forecast.js";
import { Bin, Download, Play } from "./icons.js";
import { lengthWords } from "./moments.js";
import { SPAN_MAX, type Range } from "./range.js";
import { serverNow } from "./server.js";
import { forgetTimeline, showRange } from "./timeline.js";
import { playRange } from "./view.js";
import { sentence, spanWords } from "./words.js";

/** Of the camera on view, newest first; null until they are known. */
const clips = signal<Clip[] | null>(null);

/** A clip that was just made. */
export function takeClip(clip: Clip): void {
  clips.value = [clip, ...(clips.peek() ?? [])];
}

const rangeOf = (clip: Clip): Range => ({ from: Date.parse(clip.from), to: Date.parse(clip.to) });

export function Clips({ id }: { id: string }) {
  const [wrong, setWrong] = useState("");
  const [doomed, setDoomed] = useState<Clip | null>(null);
  useEffect(() => {
    let current = true;
    clips.value = null;
    setWrong("");
    fetchClips(id).then(
      (all) => current && (clips.value = all.sort((a, b) => Date.parse(b.from) - Date.parse(a.from))),
      (error: unknown) => current && setWrong(error instanceof Refusal ? error.message : "no answer"),
    );
    return () => {
      current = false;
    };
  }, [id]);

  const remove = async (clip: Clip): Promise<void> => {
    setDoomed(null);
    try {
      await deleteClip(clip.id);
      clips.value = clips.peek()?.filter((one) => one.id !== clip.id) ?? null;
      setWrong("");
      forgetTimeline();
      say(`The clip ${clip.name} is deleted.`);
      // The last one takes its list along.
      document.getElementById("recordings")?.focus();
    } catch (error) {
      setWrong(`${clip.name} was not deleted: ${error instanceof Error ? error.message : ""}`);
    }
  };
  const all = clips.value ?? [];
  if (all.length === 0 && !wrong) return null;
  return (
    <section class="list" aria-labelledby="clips">
      <h3 id="clips">Clips</h3>
      {wrong && (
        <p class="wrong" role="alert">
          {sentence(wrong)}
        </p>
      )}
      <ul>
        {all.map((clip) => (
          <li key={clip.id}>
            <Row clip={clip} onDelete={() => setDoomed(clip)} />
          </li>
        ))}
      </ul>
      {doomed && (
        <Confirm title={`Delete “${doomed.name}”?`} yes="Delete" no="Keep it" onYes={() => void remove(doomed)} onClose={() => setDoomed(null)}>
          The recording that it was cut from stays for as long as recordings are kept. What is older than that goes with the clip.
        </Confirm>
      )}
    </section>
  );
}

function Row({ clip, onDelete }: { clip: Clip; onDelete: () => void }) {
  const range = rangeOf(clip);
  const play = (): void => {
    showRange(range);
    playRange({ from: range.from, to: Math.min(range.to, range.from + SPAN_MAX) });
  };
  return (
    <>
      <button type="button" class="icon-button" aria-label={`Play the clip ${clip.name}`} title="Play" onClick={play}>
        <Play />
      </button>
      <span class="list-words">
        <span class="list-name">{clip.name}</span>
        <span class="list-more">
          {spanWords(range.from, range.to, serverNow())}, {lengthWords(range.to - range.from)}, {bytesWords(clip.bytes)}
        </span>
      </span>
      {clip.download && (
        <a class="icon-button" href={clip.download} download aria-label={`Download the clip ${clip.name}`} title="Download">
          <Download />
        </a>
      )}
      <button type="button" class="icon-button" aria-label={`Delete the clip ${clip.name}`} title="Delete" onClick={onDelete}>
        <Bin />
      </button>
    </>
  );
}
