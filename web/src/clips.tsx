// The clips of a camera: played, saved to this machine, deleted when that was confirmed.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { say } from "./announce.js";
import { deleteClip, fetchClips, reasonOf, type Clip } from "./archive.js";
import { ClipList } from "./clip-list.js";
import { Confirm } from "./confirm.js";
import { bytesWords } from "./forecast.js";
import { useHandOver } from "./hand-over.js";
import { Bin, Download, Play } from "./icons.js";
import { bringPlayer } from "./in-sight.js";
import { LeavingButton } from "./leaving.js";
import { lengthWords } from "./moments.js";
import { SPAN_MAX, type Range } from "./range.js";
import { serverNow } from "./server.js";
import { chart, forgetTimeline, showRange } from "./timeline.js";
import { playRange } from "./view.js";
import { sentence, spanWords } from "./words.js";

const list = new ClipList(fetchClips);

/** A clip that was just made. */
export const takeClip = (clip: Clip): void => list.add(clip);

const rangeOf = (clip: Clip): Range => ({ from: Date.parse(clip.from), to: Date.parse(clip.to) });

export function Clips({ id }: { id: string }) {
  const [wrong, setWrong] = useState("");
  const [doomed, setDoomed] = useState<Clip | null>(null);
  useEffect(() => {
    setWrong("");
    list.watch(id);
    return () => list.watch(null);
  }, [id]);
  const known = chart.value;
  useEffect(() => list.compare(known), [known]);

  const remove = async (clip: Clip): Promise<void> => {
    setDoomed(null);
    try {
      await deleteClip(clip.id);
      list.remove(clip);
      setWrong("");
      forgetTimeline();
      say(`The clip ${clip.name} is deleted.`);
    } catch (error) {
      setWrong(`${clip.name} was not deleted: ${reasonOf(error)}`);
    } finally {
      // The question took the focus along, and the last clip takes its list.
      document.getElementById("recordings")?.focus();
    }
  };
  const showMore = async (): Promise<void> => {
    setWrong("");
    try {
      await list.more();
    } catch (error) {
      setWrong(`Earlier clips are not known: ${reasonOf(error)}`);
    }
  };
  const all = list.clips.value ?? [];
  const trouble = list.trouble.value;
  const hasMore = list.hasMore.value;
  if (all.length === 0 && !hasMore && !wrong && !trouble) return null;
  return (
    <Section>
      {trouble && <p class="wrong">The clips are not known: {sentence(trouble)}</p>}
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
      {hasMore && (
        <LeavingButton class="button small" heir="[aria-labelledby=clips] li:last-child button" onClick={() => void showMore()}>
          Earlier clips
        </LeavingButton>
      )}
      {doomed && (
        <Confirm title={`Delete “${doomed.name}”?`} yes="Delete" no="Keep it" onYes={() => void remove(doomed)} onClose={() => setDoomed(null)}>
          The recording that it was cut from stays for as long as recordings are kept. What is older than that goes with the clip.
        </Confirm>
      )}
    </Section>
  );
}

/** Goes with the camera on view. */
function Section({ children }: { children: ComponentChildren }) {
  const root = useRef<HTMLElement>(null);
  useHandOver(root, "#recordings");
  return (
    <section class="list" aria-labelledby="clips" ref={root}>
      <h3 id="clips">Clips</h3>
      {children}
    </section>
  );
}

function Row({ clip, onDelete }: { clip: Clip; onDelete: () => void }) {
  const range = rangeOf(clip);
  const play = (): void => {
    showRange(range);
    playRange({ from: range.from, to: Math.min(range.to, range.from + SPAN_MAX) });
    bringPlayer();
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
