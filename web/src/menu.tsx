// A button that opens a list of choices, one of which holds: the ARIA menu button pattern with radio items.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { Check } from "./icons.js";
import type { QualityChoice } from "./quality.js";

interface Props {
  label: string;
  choices: QualityChoice[];
  value: string;
  onChoose: (value: string) => void;
  children: ComponentChildren;
}

export function Menu({ label, choices, value, onChoose, children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  const close = (focus = true): void => {
    setOpen(false);
    if (focus) button.current?.focus();
  };

  // In the same turn as the drawing: a key pressed right afterwards must find the focus in the list.
  useLayoutEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>('[aria-checked="true"]')?.focus();
    const outside = (event: PointerEvent): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const onKeyDown = (event: KeyboardEvent): void => {
    if (!open) {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      setOpen(true);
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const items = [...root.current!.querySelectorAll<HTMLElement>('[role="menuitemradio"]')];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[to % items.length]?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") return setOpen(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div class="menu" ref={root} onKeyDown={onKeyDown}>
      <button
        ref={button}
        type="button"
        class="control quality"
        aria-haspopup="menu"
        aria-expanded={open}
        aria-label={label}
        title="Quality"
        onClick={() => setOpen(!open)}
      >
        {children}
      </button>
      {open && (
        <div class="menu-list" role="menu" aria-label="Quality">
          {choices.map((choice) => (
            <button
              type="button"
              key={choice.value}
              role="menuitemradio"
              aria-checked={choice.value === value}
              aria-disabled={choice.disabled}
              tabIndex={-1}
              onClick={() => {
                if (choice.disabled) return;
                onChoose(choice.value);
                close();
              }}
            >
              <Check />
              <span class="menu-label">{choice.label}</span>
              <span class="menu-detail">{choice.detail}</span>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
