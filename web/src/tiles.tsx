// The other cameras at a glance: still pictures that renew themselves, one press to watch one large.
import { useEffect, useRef, useState } from "preact/hooks";
import { stillPath, type Camera } from "./api.js";
import { bringPlayer } from "./in-sight.js";
import { useSeen } from "./seen.js";
import { cameras, reachable } from "./server.js";
import { Stills } from "./stills.js";
import { camera, watch } from "./view.js";
import { cameraNotice, stateLabel } from "./words.js";

const THUMBNAIL_WIDTH = 480;

function fetchPicture(address: string, done: (isThere: boolean) => void): () => void {
  const picture = new Image();
  picture.onload = () => done(true);
  picture.onerror = () => done(false);
  picture.src = address;
  return () => {
    picture.onload = picture.onerror = null;
    // That is what makes a browser stop.
    picture.removeAttribute("src");
  };
}

/** The stills of a camera, asked for while `root` is seen, the camera is live and the box answers. */
function useStills({ id, state }: Camera, root: { readonly current: HTMLElement | null }): Stills {
  const [stills] = useState(() => new Stills(() => `${stillPath(id, THUMBNAIL_WIDTH)}&t=${Date.now()}`, fetchPicture));
  const isSeen = useSeen(root);
  const isOfUse = isSeen.value && state === "live" && reachable.value;
  useEffect(() => {
    const tell = (): void => stills.want(isOfUse && !document.hidden);
    tell();
    document.addEventListener("visibilitychange", tell);
    return () => document.removeEventListener("visibilitychange", tell);
  }, [isOfUse]);
  useEffect(() => () => stills.want(false), []);
  return stills;
}

export function Tiles() {
  const all = cameras.value ?? [];
  if (all.length < 2) return null;
  return (
    <nav class="tiles" aria-label="Cameras">
      <ul>
        {all.map((one) => (
          <li key={one.id}>
            <Tile one={one} current={one.id === camera.value?.id} />
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Tile({ one, current }: { one: Camera; current: boolean }) {
  const root = useRef<HTMLButtonElement>(null);
  const stills = useStills(one, root);
  const isOld = stills.isOld.value || !reachable.value;
  const shown = stills.shown.value;
  const press = (): void => {
    watch(one.id);
    bringPlayer();
  };
  return (
    <button type="button" class="tile" ref={root} data-old={isOld || undefined} aria-current={current || undefined} onClick={press}>
      <span class="tile-picture">
        {one.state === "live" ? shown && <img src={shown} alt="" /> : <span class="tile-blank">{cameraNotice(one)?.title}</span>}
      </span>
      <span class="tile-words">
        <span class="tile-name">{one.name}</span>
        <State one={one} isOld={isOld} />
      </span>
    </button>
  );
}

/** "Live" only as long as that is known; `isOld`: the picture beside it is not of now. */
export function State({ one, isOld = false }: { one: Camera; isOld?: boolean }) {
  const isKnown = one.state !== "live" || (reachable.value && !isOld);
  return (
    <span class="state" data-state={isKnown ? one.state : "unknown"}>
      <span class="dot" />
      {isKnown ? stateLabel(one) : reachable.value ? "No new picture" : "No answer"}
    </span>
  );
}
