// Where the focus goes when what has it leaves the page: not to the page's start, as a browser has it.
import { useLayoutEffect } from "preact/hooks";

/** Whatever takes `root` away, a focus in it goes on to what `heir` selects. */
export function useHandOver(root: { readonly current: HTMLElement | null }, heir: string): void {
  // This cleanup, and no other, runs while it is still on the page.
  useLayoutEffect(
    () => () => {
      if (root.current?.contains(document.activeElement)) document.querySelector<HTMLElement>(heir)?.focus({ preventScroll: true });
    },
    [heir],
  );
}
