// How long something that grows still takes, by how it grew lately. Pure.

const WINDOW_MS = 15_000;
const KNOWN_AFTER_MS = 3000;

export class Speed {
  private samples: { time: number; done: number }[] = [];

  sample(time: number, done: number): void {
    // What has gone back was begun again.
    if (done < (this.samples.at(-1)?.done ?? 0)) this.samples = [];
    this.samples.push({ time, done });
    while (this.samples.length > 2 && time - this.samples[1]!.time > WINDOW_MS) this.samples.shift();
  }

  /** In milliseconds; null while it cannot be told. */
  left(total: number): number | null {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    if (!first || !last || last.time - first.time < KNOWN_AFTER_MS || last.done <= first.done) return null;
    return ((total - last.done) * (last.time - first.time)) / (last.done - first.done);
  }
}
