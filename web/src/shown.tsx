// A file on view: a film, a sound or a picture, in the browser's own player, straight from the appliance.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { damageWords } from "./filewords.js";
import { Close, Download, Paper, Picture, Play, SoundOn } from "./icons.js";
import { itemPath, type Item } from "./items.js";
import { muted, toggleMuted } from "./view.js";

const shown = signal<Item | null>(null);

export const isShowable = ({ media }: Item): boolean => media !== "other";

/** Only what is showable. */
export const show = (item: Item): void => {
  shown.value = item;
};

const ICONS = { video: Play, sound: SoundOn, still: Picture, other: Paper };
const VERBS = { video: "Play", sound: "Play", still: "Show" };

/** Shows a file; only an icon where there is nothing to show. */
export function ShowButton({ item }: { item: Item }) {
  const Icon = ICONS[item.media];
  if (item.media === "other") {
    return (
      <span class="list-icon">
        <Icon />
      </span>
    );
  }
  const verb = VERBS[item.media];
  return (
    <button type="button" class="icon-button" aria-label={`${verb} ${item.name}`} title={verb} onClick={() => show(item)}>
      <Icon />
    </button>
  );
}

export function ShownDialog() {
  const item = shown.value;
  return item && <Shown item={item} key={item.id} onClose={() => (shown.value = null)} />;
}

function Shown({ item, onClose }: { item: Item; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [cannot, setCannot] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  // One sound at a time.
  useEffect(() => {
    if (muted.peek() || item.media === "still") return;
    toggleMuted();
    return () => {
      if (muted.peek()) toggleMuted();
    };
  }, []);
  const address = itemPath(item.id);
  const fail = (): void => setCannot(true);
  return (
    <dialog
      ref={dialog}
      class="help shown"
      aria-labelledby="shown-name"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <header>
        <h2 id="shown-name">{item.name}</h2>
        <a class="icon-button" href={address} download={item.name} aria-label={`Download ${item.name}`} title="Download">
          <Download />
        </a>
        <button type="button" class="icon-button" aria-label="Close" title="Close (Escape)" autofocus onClick={() => dialog.current?.close()}>
          <Close />
        </button>
      </header>
      {cannot ? (
        !item.damaged && (
          <p class="shown-cannot" role="alert">
            This browser cannot show this file, or it cannot be read. Download it, and open it with another program.
          </p>
        )
      ) : item.media === "still" ? (
        <img src={address} alt={item.name} onError={fail} />
      ) : item.media === "sound" ? (
        <audio src={address} controls autoplay onError={fail} aria-label={item.name} />
      ) : (
        <video src={address} controls autoplay playsInline onError={fail} aria-label={item.name} />
      )}
      {item.damaged && (
        <p class="shown-cannot" role="alert">
          {damageWords(item)}
        </p>
      )}
    </dialog>
  );
}
