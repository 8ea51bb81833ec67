// Thumbnails of recorded moments, one on its way at a time: the next is the one wanted last. Knows no page.
import { signal } from "@preact/signals";

export class Stills {
  /** The address of a picture that has arrived; "" while there is none to show. */
  readonly shown = signal("");

  private wanted = "";
  private underWay = "";

  /** `load` answers whether the picture at an address arrived. */
  constructor(private readonly load: (address: string) => Promise<boolean>) {}

  /** "" wants none. What arrived before stays until the next has arrived. */
  want(address: string): void {
    this.wanted = address;
    if (address === "") this.shown.value = "";
    else if (this.underWay === "" && this.shown.peek() !== address) void this.fetch();
  }

  private async fetch(): Promise<void> {
    while (this.wanted !== "" && this.wanted !== this.shown.peek()) {
      this.underWay = this.wanted;
      const arrived = await this.load(this.underWay);
      if (this.wanted !== "") this.shown.value = arrived ? this.underWay : "";
      if (!arrived && this.wanted === this.underWay) break;
    }
    this.underWay = "";
  }
}

/** Through the browser's own cache; what cannot be read counts as not there. */
export function loadPicture(address: string): Promise<boolean> {
  const picture = new Image();
  picture.src = address;
  return picture.decode().then(
    () => true,
    () => false,
  );
}
