// What this browser remembers of its viewer: theme, volume, whether single keys are shortcuts.
import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

function kept<T>(key: string, fallback: T, valid: (value: unknown) => value is T) {
  let start = fallback;
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(`perch.${key}`) ?? "null");
    if (valid(stored)) start = stored;
  } catch {
    // Storage is forbidden or holds nonsense: the fallback will do.
  }
  const value = signal(start);
  effect(() => {
    const text = JSON.stringify(value.value);
    try {
      localStorage.setItem(`perch.${key}`, text);
    } catch {
      // Storage is forbidden: remembered until the page closes.
    }
  });
  return value;
}

export const theme = kept<Theme>("theme", "system", (v): v is Theme => v === "system" || v === "light" || v === "dark");
export const volume = kept("volume", 1, (v): v is number => typeof v === "number" && v >= 0 && v <= 1);
export const singleKeys = kept("keys", true, (v): v is boolean => typeof v === "boolean");

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

const order: Theme[] = ["system", "light", "dark"];
export const nextTheme = (): Theme => order[(order.indexOf(theme.peek()) + 1) % order.length]!;
export const themeLabel: Record<Theme, string> = { system: "as the system", light: "light", dark: "dark" };
