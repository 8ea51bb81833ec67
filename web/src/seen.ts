// Whether an element is on the screen: what nobody sees is not asked for.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** Whether anything of it is. */
export function useSeen(root: { readonly current: HTMLElement | null }): { readonly value: boolean } {
  const isSeen = useSignal(false);
  useEffect(() => {
    const watch = new IntersectionObserver((seen) => (isSeen.value = seen.at(-1)!.isIntersecting));
    watch.observe(root.current!);
    return () => watch.disconnect();
  }, []);
  return isSeen;
}
