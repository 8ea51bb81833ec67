// Files on their way from this page: two at a time, paused and resumed, watched until the appliance has stored them.
// Sending itself and the requests are handed in.
import { signal } from "@preact/signals";
import { Refusal } from "./archive.js";
import type { Upload } from "./items.js";
import { markOf } from "./remembered.js";
import { Speed } from "./speed.js";

/** What sends one file. */
export interface Carrier {
  /** Begins, or goes on. */
  start(): void;
  /** Nothing is heard of it from then on. */
  pause(): void;
}

/** What it tells. */
export interface Heard {
  /** The appliance knows it by this id. */
  begun(id: string): void;
  progress(sent: number): void;
  /** The connection broke; it is tried again by itself. */
  broken(): void;
  /** All of it is there. */
  arrived(id: string): void;
  failed(reason: string): void;
}

export type Phase = "queued" | "sending" | "broken" | "paused" | "storing" | "failed" | "refused";

export interface Sending {
  key: number;
  name: string;
  bytes: number;
  sent: number;
  phase: Phase;
  /** Why it failed or was refused, or what keeps it from being stored; "" while all is well. */
  reason: string;
  /** Until all of it is sent, in ms; null while that is not known. */
  left: number | null;
  /** Its id, once there is one. */
  upload: string | null;
  /** What tells its file from others. */
  mark: string;
}

export interface Hooks {
  /** `begun` is the upload that the file goes on with, if there is one. */
  carry: (file: File, hear: Heard, begun: string | null) => Carrier;
  fetchUpload: (id: string) => Promise<Upload>;
  deleteUpload: (id: string) => Promise<void>;
  /** Something is to be heard by everybody. */
  say: (words: string) => void;
  /** The upload of that id has become an item. */
  stored: (id: string) => void;
}

/** A browser has six connections to one server, and the live picture needs some of them. */
const AT_ONCE = 2;
const POLL_MS = 1000;

export class Uploads {
  /** In the order in which they were chosen. */
  readonly all = signal<Sending[]>([]);
  private carriers = new Map<number, Carrier>();
  private speeds = new Map<number, Speed>();
  /** Given up; their end is not news. */
  private leaving = new Set<number>();
  private lastKey = 0;

  constructor(private readonly hooks: Hooks) {}

  /** Returns those that were not on their way already. */
  add(files: File[]): File[] {
    const taken = files.filter((file) => this.take(file));
    this.pump();
    return taken;
  }

  /** The same file again goes on where it was stopped, and is not sent twice at a time: then it is not taken. */
  private take(file: File): boolean {
    const mark = markOf(file);
    const known = this.all.peek().find((one) => one.mark === mark);
    const key = known?.key ?? ++this.lastKey;
    if (known && known.phase !== "paused" && known.phase !== "failed" && known.phase !== "refused") return false;
    this.carriers.get(key)?.pause();
    const upload = known && known.phase !== "refused" ? known.upload : null;
    this.carriers.set(key, this.hooks.carry(file, this.hear(key), upload));
    if (known) {
      this.change(key, { phase: "queued", reason: "", upload });
      return true;
    }
    const fresh: Sending = { key, name: file.name, bytes: file.size, sent: 0, phase: "queued", reason: "", left: null, upload: null, mark };
    this.all.value = [...this.all.peek(), fresh];
    return true;
  }

  pause(key: number): void {
    this.carriers.get(key)?.pause();
    this.change(key, { phase: "paused", left: null });
    this.pump();
  }

  /** Goes on with what was paused or failed, when it is its turn. */
  resume(key: number): void {
    this.change(key, { phase: "queued", reason: "" });
    this.pump();
  }

  /** Gives it up; fails with the server's reason if that does not. */
  async discard(key: number): Promise<void> {
    const one = this.find(key);
    this.carriers.get(key)?.pause();
    if (one?.upload) {
      if (one.phase !== "refused" && one.phase !== "storing") this.change(key, { phase: "paused", left: null });
      this.leaving.add(key);
      await this.hooks.deleteUpload(one.upload).finally(() => this.leaving.delete(key));
    }
    this.remove(key);
    this.pump();
  }

  /** Whether leaving the page would stop something. */
  get busy(): boolean {
    return this.all.peek().some(({ phase }) => phase === "queued" || phase === "sending" || phase === "broken");
  }

  private hear(key: number): Heard {
    return {
      begun: (upload) => this.change(key, { upload, phase: "sending" }),
      progress: (sent) => {
        const speed = this.speeds.get(key) ?? new Speed();
        this.speeds.set(key, speed);
        speed.sample(performance.now(), sent);
        this.change(key, { sent, phase: "sending", left: speed.left(this.find(key)?.bytes ?? sent) });
      },
      broken: () => {
        if (this.find(key)?.phase === "sending") this.hooks.say(`The connection broke while ${this.find(key)!.name} was uploaded. It goes on by itself.`);
        this.speeds.delete(key);
        this.change(key, { phase: "broken", left: null });
      },
      arrived: (upload) => {
        this.change(key, { upload, phase: "storing", sent: 0, left: null });
        this.pump();
        void this.watch(key, upload);
      },
      failed: (reason) => {
        this.fail(key, "failed", reason);
        this.pump();
      },
    };
  }

  /** Asks until what arrived is stored, or is not. */
  private async watch(key: number, id: string): Promise<void> {
    const one = this.find(key);
    if (!one) return;
    try {
      const { state, reason, imported_bytes } = await this.hooks.fetchUpload(id);
      if (state === "done") {
        this.hooks.stored(id);
        this.remove(key);
        return this.hooks.say(`${one.name} is stored.`);
      }
      if (state === "refused") return this.fail(key, "refused", reason ?? "");
      // Once, though its figures change.
      if (reason && !one.reason) this.hooks.say(`${one.name} is not stored yet: ${reason}.`);
      this.change(key, { sent: imported_bytes ?? one.sent, reason: reason ?? "" });
    } catch (error) {
      const isGone = error instanceof Refusal && error.status === 404;
      if (isGone && !this.leaving.has(key)) return this.fail(key, "refused", "it was removed meanwhile");
    }
    window.setTimeout(() => void this.watch(key, id), POLL_MS);
  }

  private fail(key: number, phase: "failed" | "refused", reason: string): void {
    const name = this.find(key)?.name;
    this.change(key, { phase, reason, left: null });
    if (name) this.hooks.say(`${name} was not ${phase === "failed" ? "uploaded" : "stored"}: ${reason}.`);
  }

  /** Starts what waits, as far as there is room. */
  private pump(): void {
    const isGoing = ({ phase }: Sending): boolean => phase === "sending" || phase === "broken";
    for (const one of this.all.peek()) {
      if (this.all.peek().filter(isGoing).length >= AT_ONCE) return;
      if (one.phase !== "queued") continue;
      this.change(one.key, { phase: "sending" });
      this.carriers.get(one.key)?.start();
    }
  }

  private find(key: number): Sending | undefined {
    return this.all.peek().find((one) => one.key === key);
  }

  private change(key: number, changes: Partial<Sending>): void {
    this.all.value = this.all.peek().map((one) => (one.key === key ? { ...one, ...changes } : one));
  }

  private remove(key: number): void {
    this.carriers.delete(key);
    this.speeds.delete(key);
    this.all.value = this.all.peek().filter((one) => one.key !== key);
  }
}
