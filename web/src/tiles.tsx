// The other cameras at a glance: still pictures that renew themselves, one press to watch one large.
import { useEffect, useState } from "preact/hooks";
import { stillPath, type Camera } from "./api.js";
import { cameras } from "./server.js";
import { camera, watch } from "./view.js";
import { cameraNotice, stateLabel } from "./words.js";

const RENEW_MS = 4000;
const THUMBNAIL_WIDTH = 480;

/** Counts up while the page is seen, so that stills are asked for only then. */
function useBeat(): number {
  const [beat, setBeat] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => !document.hidden && setBeat(Date.now()), RENEW_MS);
    return () => window.clearInterval(timer);
  }, []);
  return beat;
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
  const shown = cameraNotice(one);
  return (
    <button type="button" class="tile" aria-current={current || undefined} onClick={() => watch(one.id)}>
      <span class="tile-picture">
        {one.state === "live" ? <Still id={one.id} /> : <span class="tile-blank">{shown?.title}</span>}
      </span>
      <span class="tile-words">
        <span class="tile-name">{one.name}</span>
        <State one={one} />
      </span>
    </button>
  );
}

/** Keeps the old picture on screen until the next one has arrived. */
function Still({ id }: { id: string }) {
  const beat = useBeat();
  const [shown, setShown] = useState("");
  useEffect(() => {
    const next = new Image();
    next.onload = () => setShown(next.src);
    // The beat only keeps the browser from showing the last one again.
    next.src = `${stillPath(id, THUMBNAIL_WIDTH)}&t=${beat}`;
    return () => {
      next.onload = null;
    };
  }, [id, beat]);
  return shown ? <img src={shown} alt="" /> : null;
}

export function State({ one }: { one: Camera }) {
  return (
    <span class="state" data-state={one.state}>
      <span class="dot" />
      {stateLabel(one)}
    </span>
  );
}
