// The files that lie on the timeline where it is seen, as a list: what its marks say, for everybody.
import { useState } from "preact/hooks";
import { damageWords, importWords } from "./filewords.js";
import { Download } from "./icons.js";
import { itemPath } from "./items.js";
import { importsIn } from "./moments.js";
import { serverNow } from "./server.js";
import { ShowButton } from "./shown.js";
import { chart, view } from "./timeline.js";

const SHOWN = 4;
/** More than a person reads. */
const SHOWN_MAX = 200;

export function Imports() {
  const [open, setOpen] = useState(false);
  const all = chart.value ? importsIn(chart.value, view.value) : [];
  if (all.length === 0) return null;
  return (
    <section class="list" aria-labelledby="imports">
      <h3 id="imports">Files of this time</h3>
      <ul>
        {all.slice(0, open ? SHOWN_MAX : SHOWN).map(({ at, item }) => (
          <li key={item.id}>
            <ShowButton item={item} />
            <span class="list-words">
              <span class="list-name" title={item.name}>
                {item.name}
              </span>
              <span class="list-more">{importWords(item, at, serverNow())}</span>
              {item.damaged && <span class="list-more list-wrong">{damageWords(item)}</span>}
            </span>
            <a class="icon-button" href={itemPath(item.id)} download={item.name} aria-label={`Download ${item.name}`} title="Download">
              <Download />
            </a>
          </li>
        ))}
      </ul>
      {all.length > SHOWN && (
        <button type="button" class="button small" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "Fewer" : `All ${all.length}`}
        </button>
      )}
    </section>
  );
}
