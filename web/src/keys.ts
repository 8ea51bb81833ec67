// What a key does. Pure: main.tsx hands events in and carries the command out.

export type Command =
  | { do: "play-pause" | "mute" | "full-screen" | "help" | "go-live" | "still" | "theme" }
  | { do: "volume" | "seek"; by: number }
  | { do: "camera"; index: number };

export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  /** The focused element's role or tag, in lower case. */
  focus: string;
  /** Whether the player holds the focus or fills the screen: elsewhere ↑ and ↓ scroll the page. */
  inPlayer: boolean;
}

/** For the help dialog, in its order. */
export const SHORTCUTS: [keys: string[], what: string][] = [
  [["Space"], "Play or pause"],
  [["M"], "Sound on or off"],
  [["↑", "↓"], "Louder, quieter (player focused)"],
  [["←", "→"], "10 seconds back, forward"],
  [["L"], "Back to live"],
  [["F"], "Full screen"],
  [["S"], "Save a still picture"],
  [["1", "…", "9"], "Choose a camera"],
  [["T"], "Light, dark or as the system"],
  [["?"], "This help"],
];

const TYPES = new Set(["input", "select", "textarea"]);
const PRESSES = new Set(["button", "a", "summary", "menuitemradio"]);

/** Whether a key that is held down goes on with it: what has steps does, a toggle would flicker. */
export const repeats = (command: Command): boolean => "by" in command;

/** Seconds by which a key moves the seek bar, whose own steps suit a hand; null for the keys that it knows better. */
export function seekStep({ key, ctrlKey, metaKey, altKey }: Pick<KeyPress, "key" | "ctrlKey" | "metaKey" | "altKey">): number | null {
  if (ctrlKey || metaKey || altKey) return null;
  switch (key) {
    case "ArrowLeft":
    case "ArrowDown":
      return -10;
    case "ArrowRight":
    case "ArrowUp":
      return 10;
    case "PageDown":
      return -60;
    case "PageUp":
      return 60;
  }
  return null;
}

/** The command for a key press, or null when the focused element needs the key itself. */
export function commandFor(press: KeyPress): Command | null {
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  if (TYPES.has(press.focus) || press.focus === "menuitemradio") return null;
  switch (press.key) {
    case " ":
      return PRESSES.has(press.focus) ? null : { do: "play-pause" };
    case "ArrowUp":
      return press.inPlayer ? { do: "volume", by: 0.1 } : null;
    case "ArrowDown":
      return press.inPlayer ? { do: "volume", by: -0.1 } : null;
    case "ArrowLeft":
      return { do: "seek", by: -10 };
    case "ArrowRight":
      return { do: "seek", by: 10 };
    case "?":
      return { do: "help" };
  }
  if (/^[1-9]$/.test(press.key)) return { do: "camera", index: Number(press.key) - 1 };
  switch (press.key.toLowerCase()) {
    case "k":
      return { do: "play-pause" };
    case "m":
      return { do: "mute" };
    case "f":
      return { do: "full-screen" };
    case "l":
      return { do: "go-live" };
    case "s":
      return { do: "still" };
    case "t":
      return { do: "theme" };
  }
  return null;
}

/** For the help dialog: what keys do while the timeline is focused. */
export const TIMELINE_KEYS: typeof SHORTCUTS = [
  [["+", "−"], "Closer, further away"],
  [["←", "→"], "Move; with Shift further"],
  [["Home", "End"], "To the oldest recording, to now"],
  [["Enter"], "Play from there"],
  [["I", "O"], "Begin, end a range there"],
  [["Esc"], "Let go of it"],
];

export type TimelineCommand =
  | { do: "zoom"; factor: number }
  /** In shares of what is on view. */
  | { do: "move"; by: number }
  | { do: "step"; by: number }
  | { do: "oldest" | "now" | "play" | "begin" | "end" | "leave" };

/** What a key does on the timeline; null leaves it to the page. */
export function timelineCommand({ key, ctrlKey, metaKey, altKey, shiftKey }: Pick<KeyPress, "key" | "ctrlKey" | "metaKey" | "altKey"> & { shiftKey: boolean }): TimelineCommand | null {
  if (ctrlKey || metaKey || altKey) return null;
  const steps = shiftKey ? 10 : 1;
  switch (key) {
    case "+":
    case "=":
      return { do: "zoom", factor: 0.5 };
    case "-":
    case "_":
      return { do: "zoom", factor: 2 };
    case "ArrowLeft":
    case "ArrowDown":
      return { do: "step", by: -steps };
    case "ArrowRight":
    case "ArrowUp":
      return { do: "step", by: steps };
    case "PageDown":
      return { do: "move", by: -0.8 };
    case "PageUp":
      return { do: "move", by: 0.8 };
    case "Home":
      return { do: "oldest" };
    case "End":
      return { do: "now" };
    case "Enter":
    case " ":
      return { do: "play" };
    case "i":
    case "I":
      return { do: "begin" };
    case "o":
    case "O":
      return { do: "end" };
    case "Escape":
      return { do: "leave" };
  }
  return null;
}

/** One step of an arrow key on a view of `span` milliseconds: about a hundredth, rounded to what clocks count in. */
export function keyStep(span: number): number {
  const steps = [100, 1000, 5000, 10_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000];
  return steps.findLast((step) => step <= span / 60) ?? steps[0]!;
}
