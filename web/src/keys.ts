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

const TYPES = new Set(["input", "select", "textarea", "slider"]);
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
