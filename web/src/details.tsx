// What the chosen camera delivers, how each quality is encoded, what is recorded. Where it was away, the timeline says.
import { useComputed } from "@preact/signals";
import type { Camera } from "./api.js";
import { serverNow } from "./server.js";
import { State } from "./tiles.js";
import { camera, engine, notice, recording } from "./view.js";
import { bitrateWords, delayWords, heightWords, modeWords, recordingWords, sentence } from "./words.js";

export function Details() {
  const one = camera.value;
  if (!one) return null;
  return (
    <section class="panel" aria-labelledby="camera-name">
      <header>
        <h1 id="camera-name">{one.name}</h1>
        <State one={one} />
      </header>
      {one.reason && <p class="reason">{sentence(one.reason)}</p>}
      <dl class="facts">
        <Delay />
        {one.mode && (
          <>
            <dt>Camera</dt>
            <dd>{modeWords(one.mode)}</dd>
          </>
        )}
        <dt>Sound</dt>
        <dd>{one.sound ? "Yes" : "No microphone"}</dd>
        <dt>Recording</dt>
        <dd>{recordingWords(one)}</dd>
      </dl>
      {one.rungs.length > 0 && <Rungs one={one} />}
      {one.rungs.some((rung) => !rung.running) && (
        <p class="reason">What is paused comes back by itself when the box has room for it.</p>
      )}
    </section>
  );
}

/** How far behind the live picture is, by the server's clock. */
function Delay() {
  const words = useComputed(() => {
    const taken = engine.value?.pictureTime.value;
    return recording.value || notice.value || taken == null ? null : delayWords(serverNow() - taken);
  }).value;
  if (words === null) return null;
  return (
    <>
      <dt>Delay</dt>
      <dd>{words}</dd>
    </>
  );
}

function Rungs({ one }: { one: Camera }) {
  const playing = engine.value?.playing.value?.name;
  return (
    <table class="rungs">
      <caption>Qualities</caption>
      <thead>
        <tr>
          <th scope="col">Picture</th>
          <th scope="col">Rate</th>
          <th scope="col">Encoder</th>
        </tr>
      </thead>
      <tbody>
        {[...one.rungs].reverse().map((rung) => (
          <tr key={rung.name} data-shed={!rung.running || undefined} aria-current={rung.name === playing || undefined}>
            <th scope="row">{heightWords(rung.height)}</th>
            <td>{bitrateWords(rung.bitrate_bps)}</td>
            <td>{rung.running ? rung.encoder || "–" : "Paused"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
