// A button that goes once it has done its work, and hands the focus on.
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { useHandOver } from "./hand-over.js";

interface Props {
  class: string;
  /** Selects what has the focus next. */
  heir: string;
  onClick: () => void;
  children: ComponentChildren;
}

export function LeavingButton({ class: look, heir, onClick, children }: Props) {
  const root = useRef<HTMLButtonElement>(null);
  useHandOver(root, heir);
  return (
    <button type="button" class={look} ref={root} onClick={onClick}>
      {children}
    </button>
  );
}
