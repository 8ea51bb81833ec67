// What recordings take of the disk, and what comes of it at this rate.
import { useEffect, useState } from "preact/hooks";
import { fetchStore, type Store } from "./archive.js";
import { bytesWords, daysWords, forecastWords, plotOf, roomOf, storedWords, type Plot } from "./forecast.js";
import { serverNow } from "./server.js";

const RENEW_MS = 60_000;
/** The drawing's own units; it is as wide as its place. */
const [WIDE, HIGH] = [300, 84];

export function Disk() {
  const [store, setStore] = useState<Store | null>(null);
  useEffect(() => {
    const ask = (): void => {
      if (!document.hidden) fetchStore().then(setStore, () => undefined);
    };
    ask();
    const timer = window.setInterval(ask, RENEW_MS);
    return () => window.clearInterval(timer);
  }, []);
  if (!store) return null;
  const room = roomOf(store);
  const plot = plotOf(store);
  return (
    <section class="panel disk" aria-labelledby="disk">
      <header>
        <h2 id="disk">Disk</h2>
        <span class="state">{store.forecast.state === "unknown" ? "" : `${bytesWords(store.forecast.bytes_per_day)} a day`}</span>
      </header>
      {plot && <Drawing plot={plot} />}
      <p>
        {bytesWords(store.recordings.bytes)} of recordings; there is room for {bytesWords(room)} in all.
      </p>
      {storedWords(store) && <p>{storedWords(store)}</p>}
      {forecastWords(store, serverNow()).map((words) => (
        <p class="reason" key={words}>
          {words}
        </p>
      ))}
    </section>
  );
}

/** The words beside it say the same: silent to a screen reader. */
function Drawing({ plot }: { plot: Plot }) {
  const [top, floor] = [12, HIGH - 1];
  const at = ({ x, y }: { x: number; y: number }): string => `${(x * WIDE).toFixed(1)} ${(floor - y * (floor - top)).toFixed(1)}`;
  const line = plot.line.map(at).join(" L ");
  return (
    <figure class="disk-plot" aria-hidden="true">
      <svg viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none">
        <path class="area" d={`M 0 ${floor} L ${line} L ${WIDE} ${floor} Z`} />
        <path class="limit" d={`M 0 ${top} H ${WIDE}`} />
        <path class="use" d={`M ${line}`} />
        {plot.full !== null && plot.full > 0 && <path class="moment" d={`M ${plot.full * WIDE} ${top} V ${floor}`} />}
      </svg>
      <figcaption>
        <span>Now</span>
        {plot.full !== null && plot.full > 0 && (
          <span class="full" style={{ left: `${plot.full * 100}%` }}>
            Full in {daysWords(plot.days * plot.full)}
          </span>
        )}
      </figcaption>
    </figure>
  );
}
