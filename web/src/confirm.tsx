// The question before something is deleted for good.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Question {
  title: string;
  yes: string;
  no: string;
  /** What comes of it. */
  children: ComponentChildren;
  onYes: () => void;
  onClose: () => void;
}

/** Asks first; the focus is on what does no harm, and returns to where it was. */
export function Confirm({ title, yes, no, children, onYes, onClose }: Question) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="question" onClose={onClose}>
      <div class="help-body">
        <h2 id="question">{title}</h2>
        <p class="reason">{children}</p>
        <div class="dialog-row">
          <button type="button" class="button" autofocus onClick={() => dialog.current?.close()}>
            {no}
          </button>
          <button type="button" class="button danger" onClick={onYes}>
            {yes}
          </button>
        </div>
      </div>
    </dialog>
  );
}
