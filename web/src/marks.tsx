// The gaps and losses of what the timeline shows, as a list: what the drawing says, for everybody.
import { lengthWords, marksIn } from "./moments.js";
import { serverNow } from "./server.js";
import { ShortList } from "./short-list.js";
import { chart, showRange, view } from "./timeline.js";
import { whenWords } from "./words.js";

export function Marks() {
  const all = chart.value ? marksIn(chart.value, view.value) : [];
  if (all.length === 0) return null;
  const losses = all.filter((one) => one.kind === "loss").length;
  const counts = [counted(all.length - losses, "gap", "gaps"), counted(losses, "loss", "losses")].filter(Boolean);
  return (
    <section class="list" aria-labelledby="marks">
      <h3 id="marks">{counts.join(", ")} on view</h3>
      <ShortList
        all={all}
        row={(one) => (
          <li key={`${one.kind} ${one.from}`}>
            <button type="button" class="mark" data-kind={one.kind} onClick={() => showRange(one)}>
              <span class="swatch" data-what={one.kind === "gap" ? "Gap" : "Damaged"} />
              <time dateTime={new Date(one.from).toISOString()}>{whenWords(one.from, serverNow())}</time>
              <span>{lengthWords(one.to - one.from)}</span>
              <span class="list-more">{one.words}</span>
            </button>
          </li>
        )}
      />
    </section>
  );
}

const counted = (count: number, one: string, more: string): string => (count === 0 ? "" : `${count} ${count === 1 ? one : more}`);
