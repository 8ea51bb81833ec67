// A list of which the first few are shown, and the rest when asked for.
import type { ComponentChild } from "preact";
import { useState } from "preact/hooks";

const SHOWN = 4;
/** More than a person reads. */
const SHOWN_MAX = 200;

/** `all` with the newest first; `row` makes the list's item of one. */
export function ShortList<T>({ all, row }: { all: T[]; row: (one: T) => ComponentChild }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <ul>{all.slice(0, open ? SHOWN_MAX : SHOWN).map(row)}</ul>
      {all.length > SHOWN && (
        <button type="button" class="button small" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "Fewer" : all.length > SHOWN_MAX ? `Newest ${SHOWN_MAX} of ${all.length}` : `All ${all.length}`}
        </button>
      )}
    </>
  );
}
