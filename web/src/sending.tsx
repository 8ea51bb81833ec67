// A file on its way to the appliance, as a row of the list: how far it is, and what can be done with it.
import { useState } from "preact/hooks";
import { reasonOf } from "./archive.js";
import { Confirm } from "./confirm.js";
import { discardOther, isRemembered, uploads } from "./files.js";
import { otherWords, sendingWords } from "./filewords.js";
import { Close, Paper, Pause, Play } from "./icons.js";
import type { Upload } from "./items.js";
import type { Sending } from "./uploads.js";

/** Says why something was not given up; the question, or the row that is gone, leaves the focus to the list. */
function follow(name: string, given: Promise<void>, onWrong: (words: string) => void): void {
  given
    .catch((error: unknown) => onWrong(`${name} was not given up: ${reasonOf(error)}`))
    .finally(() => document.getElementById("files")?.focus());
}

export function SendingRow({ one, onWrong }: { one: Sending; onWrong: (words: string) => void }) {
  const { key, name, phase } = one;
  const goes = phase === "queued" || phase === "sending" || phase === "broken";
  const [verb, act] = goes ? (["Pause", () => uploads.pause(key)] as const) : ([phase === "failed" ? "Try again" : "Go on", () => uploads.resume(key)] as const);
  const discard = (): void => follow(name, uploads.discard(key), onWrong);
  const waits = phase === "storing" && one.reason !== "";
  return (
    <li data-phase={waits ? "waiting" : phase}>
      {phase === "storing" || phase === "refused" ? (
        <Plain />
      ) : (
        <button type="button" class="icon-button" aria-label={`${verb}: ${name}`} title={verb} onClick={act}>
          {goes ? <Pause /> : <Play />}
        </button>
      )}
      <Words name={name} words={sendingWords(one)} done={one.sent} all={one.bytes} plain={waits || phase === "failed" || phase === "refused"} />
      {(phase !== "storing" || waits) && <Give name={name} length={waits ? one.bytes : one.sent} waits={waits} isOver={phase === "refused"} onGive={discard} />}
    </li>
  );
}

export function OtherRow({ one, onWrong }: { one: Upload; onWrong: (words: string) => void }) {
  const name = one.name ?? "A file without a name";
  const discard = (): void => follow(name, discardOther(one), onWrong);
  const waits = one.state === "importing" && !!one.reason;
  const [done, all] = one.state === "uploading" ? [one.bytes, one.length] : [one.imported_bytes, one.bytes];
  const isPlain = waits || one.state === "refused" || done == null || !all;
  return (
    <li data-phase={waits ? "waiting" : one.state === "refused" ? "refused" : "paused"}>
      <Plain />
      <Words name={name} words={otherWords(one, isRemembered(one.id))} done={done ?? 0} all={all ?? 0} plain={isPlain} />
      {(one.state !== "importing" || waits) && <Give name={name} length={one.bytes} waits={waits} isOver={one.state === "refused"} onGive={discard} />}
    </li>
  );
}

/** In the place of the button, where there is nothing to press. */
const Plain = () => (
  <span class="list-icon">
    <Paper />
  </span>
);

function Words({ name, words, done, all, plain }: { name: string; words: string; done: number; all: number; plain: boolean }) {
  return (
    <span class="list-words">
      <span class="list-name" title={name}>
        {name}
      </span>
      {!plain && <progress max={Math.max(1, all)} value={done} aria-label={name} />}
      <span class="list-more">{words}</span>
    </span>
  );
}

interface Giving {
  name: string;
  /** Bytes that would be lost. */
  length: number;
  /** All of it has arrived, and something keeps it from being stored. */
  waits: boolean;
  isOver: boolean;
  onGive: () => void;
}

/** Gives up what is under way, after a question where something would be lost; takes note of what was refused. */
function Give({ name, length, waits, isOver, onGive }: Giving) {
  const [asks, setAsks] = useState(false);
  const verb = isOver ? "Take off the list" : "Give up";
  return (
    <>
      <button type="button" class="icon-button" aria-label={`${verb}: ${name}`} title={verb} onClick={() => (isOver || length === 0 ? onGive() : setAsks(true))}>
        <Close />
      </button>
      {asks && (
        <Confirm
          title={`Give up “${name}”?`}
          yes="Give up"
          no="Keep it"
          onClose={() => setAsks(false)}
          onYes={() => {
            setAsks(false);
            onGive();
          }}
        >
          {waits
            ? "It was uploaded whole, and is deleted. Without this it is stored as soon as that can be."
            : "What was uploaded of it is deleted. Without this it stays for a week, to go on with."}
        </Confirm>
      )}
    </>
  );
}
