// The files that lie on the timeline where it is seen, as a list: what its marks say, for everybody.
import { damageWords, importWords } from "./filewords.js";
import { Download } from "./icons.js";
import { itemPath } from "./items.js";
import { importsIn } from "./moments.js";
import { serverNow } from "./server.js";
import { ShortList } from "./short-list.js";
import { ShowButton } from "./shown.js";
import { chart, view } from "./timeline.js";

export function Imports() {
  const all = chart.value ? importsIn(chart.value, view.value) : [];
  if (all.length === 0) return null;
  return (
    <section class="list" aria-labelledby="imports">
      <h3 id="imports">Files of this time</h3>
      <ShortList
        all={all}
        row={({ at, item }) => (
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
        )}
      />
    </section>
  );
}
