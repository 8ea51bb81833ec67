// Keeps the player in sight: a press far from it may change what it shows.

/** Scrolls no further than it has to, and only where less than half of the player is seen; the focus stays. */
export function bringPlayer(): void {
  const player = document.querySelector(".player");
  if (!player) return;
  const { top, bottom, height } = player.getBoundingClientRect();
  if (Math.min(bottom, window.innerHeight) - Math.max(top, 0) >= height / 2) return;
  const isCalm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  player.scrollIntoView({ block: "nearest", behavior: isCalm ? "auto" : "smooth" });
}
