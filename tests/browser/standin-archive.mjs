// What the stand-in says of its recordings: forty days of them with gaps and a loss, clips, a disk that fills. Made up,
// but the same at every run but for the present moment.

import { makeStrip } from "./standin-media.mjs";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KEPT_DAYS = 40;
const BUCKETS_MAX = 3000;

/** [how long before now it begins, how long it is, why]. */
const GAPS = [
  [33 * DAY, 31 * HOUR, "stopped"],
  [12 * DAY, 5 * HOUR, "disk_full"],
  [3 * DAY + 4 * HOUR, 40 * MINUTE, "encoder_failed"],
  [26 * HOUR, 3 * MINUTE, "disk_slow"],
  [9 * HOUR, 95 * MINUTE, "camera_gone"],
  [2 * HOUR, 12 * SECOND, "rung_shed"],
];
const LOSS = [5 * HOUR, 20 * MINUTE];

const text = (time) => new Date(time).toISOString();
const ranged = ({ from, to, ...rest }) => ({ ...rest, from: text(from), to: text(to) });

export class Archive {
  now = Date.now();
  oldest = this.now - KEPT_DAYS * DAY;
  gaps = GAPS.map(([ago, length, reason]) => ({ from: this.now - ago, to: this.now - ago + length, reason }));
  losses = [{ from: this.now - LOSS[0], to: this.now - LOSS[0] + LOSS[1] }];
  clips = [this.#clip(1, "The fox at the bins", this.now - 20 * HOUR, 25 * MINUTE)];
  /** How long a timeline is waited for; how many were asked for, given up, under way, and that at most. */
  delay = 0;
  asked = [];
  aborted = 0;
  underWay = 0;
  underWayMost = 0;
  /** Strips of pictures that were asked for, and how long one is waited for. */
  strips = [];
  stripDelay = 0;
  /** `[status, detail]` that saving a range as a file is refused with. */
  saveTrouble = null;
  /** Why such a file carries no proof; null where it does. */
  unproven = null;
  /** Why the list of clips is refused, for as long as it is set. */
  clipsTrouble = null;
  /** What was imported: some of it lies on the timeline. */
  files = null;
  /** What is not the usual of /api/v1/store. */
  storeChanges = {};

  #clip(id, name, from, length) {
    return { id, camera: "test", name, from, to: from + length, bytes: length * 500, made: text(Date.now()), download: `/api/v1/clips/${id}/clip.mp4` };
  }

  /** Makes one as somebody else does. */
  addClip(name, from, length) {
    const clip = this.#clip(Math.max(0, ...this.clips.map((one) => one.id)) + 1, name, from, length);
    this.clips.push(clip);
    return clip;
  }

  /** What is recorded, oldest first. The present is: `newest` moves on. */
  get spans() {
    const spans = [];
    let from = this.oldest;
    for (const gap of this.gaps) {
      spans.push({ from, to: gap.from });
      from = gap.to;
    }
    return [...spans, { from, to: Date.now() - 2000 }];
  }

  holds(time) {
    return this.spans.some(({ from, to }) => from <= time && time <= to);
  }

  /** The first moment from `time` on that is recorded. */
  nextRecorded(time) {
    return Math.max(time, this.spans.find(({ to }) => to > time).from);
  }

  async answer(request, response, url) {
    const json = (status, value, type = "application/json") => {
      response.writeHead(status, { "content-type": type });
      response.end(value === undefined ? undefined : JSON.stringify(value));
    };
    const problem = (status, detail) => json(status, { type: "about:blank", title: "Refused", status, detail }, "application/problem+json");
    const [, , , kind, id, file] = url.pathname.split("/");
    if (kind === "store") return json(200, this.#store());
    if (kind === "timeline") return this.#answerTimeline(response, url.searchParams, json);
    if (file === "clip.mp4") return problem(501, "clips cannot be downloaded from the stand-in");
    if (request.method === "DELETE") {
      if (!this.clips.some((clip) => clip.id === Number(id))) return problem(404, `there is no clip ${id}`);
      this.clips = this.clips.filter((clip) => clip.id !== Number(id));
      return json(204);
    }
    if (request.method !== "POST" && this.clipsTrouble) return problem(503, this.clipsTrouble);
    if (request.method !== "POST") return json(200, this.#clipPage(url.searchParams));
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const wish = JSON.parse(Buffer.concat(chunks).toString());
    const [from, to] = [Date.parse(wish.from), Date.parse(wish.to)];
    if (!this.spans.some((span) => span.from < to && span.to > from)) return problem(404, "nothing was recorded in that range");
    if (wish.name === "taken") return problem(409, "a clip of that name is there already");
    return json(201, ranged(this.addClip(wish.name, from, to - from)));
  }

  #clipPage(query) {
    const all = this.clips.filter((clip) => clip.camera === query.get("camera")).sort((a, b) => b.from - a.from);
    const start = query.has("before") ? all.findIndex((clip) => clip.id === Number(query.get("before"))) + 1 : 0;
    const clips = all.slice(start, start + Number(query.get("limit") ?? 100));
    return { clips: clips.map(ranged), next: start + clips.length < all.length ? String(clips.at(-1).id) : null };
  }

  /** A range as one file, `clip.json`, `clip.mp4` or `timelapse.mp4`: any film will do. */
  answerFile(request, response, file, film) {
    const send = (status, type, body, headers = {}) => {
      response.writeHead(status, { "content-type": type, ...headers });
      response.end(body);
    };
    if (this.saveTrouble) {
      const [status, detail] = this.saveTrouble;
      return send(status, "application/problem+json", JSON.stringify({ type: "about:blank", title: "Refused", status, detail }));
    }
    const { unproven } = this;
    if (file === "clip.json") return send(200, "application/json", JSON.stringify({ bytes: film.length, proven: unproven === null, unproven }));
    const saved = { "content-disposition": `attachment; filename="test-${file}"` };
    if (request.headers.range === "bytes=0-0") {
      return send(206, "video/mp4", film.subarray(0, 1), { ...saved, "content-range": `bytes 0-0/${film.length}` });
    }
    send(200, "video/mp4", film, saved);
  }

  /** `GET /recordings/{camera}/strip.jpg?from=&to=&count=&width=`, as serve answers it. */
  async answerStrip(response, query, pictures) {
    const problem = (status, detail) => {
      response.writeHead(status, { "content-type": "application/problem+json" });
      response.end(JSON.stringify({ type: "about:blank", title: "Refused", status, detail }));
    };
    const number = (name, usual, least, most) => {
      const value = Number(query.get(name) ?? usual);
      return Number.isInteger(value) && value >= least && value <= most ? value : NaN;
    };
    const [from, to] = ["from", "to"].map((name) => Date.parse(query.get(name)));
    const [count, width] = [number("count", 20, 1, 60), number("width", 160, 16, 320)];
    if (!(to > from) || Number.isNaN(count * width)) return problem(400, "from, to, count, width: one of them is wrong");
    const asked = { from, to, count, width, aborted: false };
    this.strips.push(asked);
    response.on("close", () => (asked.aborted = !response.writableFinished));
    const moments = Array.from({ length: count }, (_, place) => from + ((to - from) * (2 * place + 1)) / (2 * count));
    const isThere = (time) => this.holds(time) && !this.losses.some((loss) => loss.from <= time && time <= loss.to);
    const numbers = moments.map((time) => (isThere(time) ? Math.floor(time / 97_000) % 16 : null));
    if (numbers.every((one) => one === null)) return problem(404, "no picture is recorded at any of these moments");
    const jpeg = await makeStrip(pictures, numbers, Math.ceil(width / 16) * 16);
    await new Promise((resolve) => setTimeout(resolve, this.stripDelay));
    response.writeHead(200, { "content-type": "image/jpeg", "cache-control": "private, max-age=3600" });
    response.end(jpeg);
  }

  async #answerTimeline(response, query, json) {
    this.asked.push(Object.fromEntries(query));
    this.underWayMost = Math.max(this.underWayMost, ++this.underWay);
    const gone = new Promise((resolve) => response.on("close", () => resolve(true)));
    const waited = new Promise((resolve) => setTimeout(() => resolve(false), this.delay));
    const aborted = await Promise.race([gone, waited]);
    this.underWay--;
    if (aborted) this.aborted++;
    else json(200, this.#timeline(Date.parse(query.get("from")), Date.parse(query.get("to")), Number(query.get("resolution"))));
  }

  #timeline(from, to, wished) {
    const resolution = Math.max(1, Math.round(wished), Math.ceil((to - from) / 1000 / BUCKETS_MAX));
    const meets = (one) => one.from < to && one.to > from;
    const cut = (one) => ranged({ ...one, from: Math.max(one.from, from), to: Math.min(one.to, to) });
    return {
      ...{ camera: "test", from: text(from), to: text(to), resolution_s: resolution },
      ...{ oldest: text(this.oldest), newest: text(Date.now() - 2000) },
      spans: this.spans.filter(meets).map(cut),
      gaps: this.gaps.filter(meets).map(cut),
      losses: this.losses.filter(meets).map(cut),
      clips: this.clips.filter(meets).map(({ id, name, from, to }) => ranged({ id, name, from, to })),
      imports: this.#imports(from, to),
      density: this.#density(from, to, resolution * 1000),
    };
  }

  #imports(from, to) {
    const at = (item) => Date.parse(item.at);
    const lies = (item) => item.camera === "test" && item.at !== null && at(item) >= from && at(item) < to;
    return (this.files?.items ?? []).filter(lies).sort((a, b) => at(a) - at(b));
  }

  /** By day more moves than by night, and never twice the same. */
  #density(from, to, resolution) {
    const buckets = [];
    const { spans } = this;
    for (let start = Math.floor(from / resolution) * resolution; start < to; start += resolution) {
      const covered = spans.reduce((sum, span) => sum + Math.max(0, Math.min(span.to, start + resolution) - Math.max(span.from, start)), 0);
      if (covered === 0) continue;
      const hour = (start % DAY) / HOUR;
      const noise = Math.abs(Math.sin(start / 7919) * Math.cos(start / 104_729));
      const day = resolution >= DAY ? 0.5 : Math.max(0, Math.sin(((hour - 5) / 24) * 2 * Math.PI));
      const media_s = covered / 1000;
      buckets.push({ from: text(start), bytes: Math.round(media_s * 500_000 * (0.35 + 0.35 * day + 0.3 * noise)), media_s });
    }
    return buckets;
  }

  #store() {
    const bytes = 612e9;
    const days_left = 2.9;
    const quota_bytes = null;
    return {
      ...{ state: "recording", reason: null },
      disk: { total_bytes: 1e12, free_bytes: 110e9, keep_free_bytes: 50e9 },
      recordings: { bytes, quota_bytes, oldest: text(this.oldest), newest: text(Date.now()) },
      cameras: [{ id: "test", bytes, quota_bytes, keep_days: null, oldest: text(this.oldest), newest: text(Date.now()), bytes_per_day: 20.7e9 }],
      sources: [
        { source: "recordings", logical_bytes: 412e9, unique_bytes: 412e9 },
        { source: "clips", logical_bytes: 2e9, unique_bytes: 0 },
        { source: "imports", logical_bytes: 9e9, unique_bytes: 5e9 },
        { source: "uploads", logical_bytes: 5e9, unique_bytes: 1e9 },
      ],
      forecast: { state: "filling", bytes_per_day: 20.7e9, full_at: text(Date.now() + days_left * DAY), days_left, reach_days: 43.2 },
      ...this.storeChanges,
    };
  }
}
