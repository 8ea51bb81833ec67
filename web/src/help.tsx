// The help dialog: shortcuts, a way to switch them off, the licences of what is bundled.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Close } from "./icons.js";
import { SHORTCUTS, TIMELINE_KEYS } from "./keys.js";
import { singleKeys } from "./settings.js";

export const helpOpen = signal(false);

export function HelpDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      class="help"
      aria-labelledby="help-title"
      onClose={() => (helpOpen.value = false)}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="help-body">
        <header>
          <h2 id="help-title">Keyboard</h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={() => (helpOpen.value = false)}>
            <Close />
          </button>
        </header>
        <Keys all={SHORTCUTS} />
        <h3>On the timeline</h3>
        <Keys all={TIMELINE_KEYS} />
        <label class="check">
          <input
            type="checkbox"
            checked={singleKeys.value}
            onChange={(event) => (singleKeys.value = event.currentTarget.checked)}
          />
          Single keys are shortcuts
        </label>
        <p class="small-print">
          <a href="/licenses.txt">Licences of the libraries in this page</a>
        </p>
      </div>
    </dialog>
  );
}

function Keys({ all }: { all: typeof SHORTCUTS }) {
  return (
    <dl class="shortcuts">
      {all.map(([keys, what]) => (
        <div key={what}>
          <dt>{what}</dt>
          <dd>
            {keys.map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </dd>
        </div>
      ))}
    </dl>
  );
}
