// The server's clock as seen from here: from request and answer times to an offset. Pure; asked by server.ts.

interface Sample {
  offset: number;
  roundTrip: number;
}

const SAMPLES_MAX = 8;

/** Keeps the last samples and believes the one with the shortest round trip, as NTP clients do (RFC 5905 §10). */
export class ServerClock {
  private samples: Sample[] = [];

  /** All three in milliseconds; `sent` and `received` on this machine's clock. Nonsense is ignored. */
  sample(sent: number, received: number, server: number): void {
    const roundTrip = received - sent;
    if (!Number.isFinite(server) || roundTrip < 0) return;
    this.samples.push({ offset: server - (sent + received) / 2, roundTrip });
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
  }

  /** Milliseconds to add to this machine's clock; null before the first sample. */
  get offset(): number | null {
    let best: Sample | null = null;
    for (const sample of this.samples) if (!best || sample.roundTrip <= best.roundTrip) best = sample;
    return best ? best.offset : null;
  }
}
