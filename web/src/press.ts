// A press on the player, from where it begins to the click that it becomes. Pure; a click does not say everywhere
// what made it, so that is kept from its start.

export class Press {
  /** Whether a finger made the last one. */
  touch = false;
  private hidden = false;

  /** `pointerType` as pointer events have it; `hidden`: the controls are out of sight. */
  begin(pointerType: string, hidden: boolean): void {
    this.touch = pointerType === "touch";
    this.hidden = hidden;
  }

  /**
   * Whether its click is only there to bring the controls: nobody means a button that they do not see, and by the
   * click it has appeared below the finger. `detail` as the click has it: 0 where a key or a screen reader made it.
   */
  onlyWakes(detail: number): boolean {
    return this.touch && this.hidden && detail > 0;
  }
}
