// A stand-in for the appliance that fails on demand: the page, the API and LL-HLS of a loop, with cameras that
// vanish, rungs that are shed and a server that does not answer. For what a healthy perch cannot show.
// `node standin.mjs [port]` serves it for looking at the page by hand.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Archive } from "./standin-archive.mjs";
import { Files } from "./standin-files.mjs";
import { loadMedia, LOOP_S, RUNGS, SEGMENT_S } from "./standin-media.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
export const root = path.resolve(here, "../..");
const DIST = path.join(root, "web/dist");
const WINDOW = 15;
/** 400 days of them. */
const RECORDED_LOOPS = (400 * 86_400) / LOOP_S;

/** What the page must hold out under, as serve sends it: read from there, so that the two cannot differ. */
async function contentSecurityPolicy() {
  const source = await readFile(path.join(root, "src/serve/page.rs"), "utf8");
  const [, text] = /CONTENT_SECURITY_POLICY: &str = "([^"]+)"/.exec(source) ?? [];
  if (!text) throw new Error("src/serve/page.rs: CONTENT_SECURITY_POLICY is not found");
  return text.replaceAll(/\\\n\s*/g, "");
}

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function testCamera(changes = {}) {
  return {
    id: "test",
    name: "Test scene",
    state: "live",
    reason: null,
    mode: { width: 1920, height: 1080, format: "I420", fps: 30 },
    encoder: "x264enc",
    rungs: RUNGS.map(({ name, width, height, bitrate_bps }) => ({
      ...{ name, width, height, bitrate_bps },
      ...{ running: true, encoder: "x264enc" },
    })),
    gaps: [],
    recording: { rungs: ["high"], state: "recording" },
    sound: true,
    ...changes,
  };
}

export class Standin {
  cameras = [testCamera()];
  problems = [];
  /** Requests are cut off unanswered. */
  silent = false;
  /** Segments with which a new run of the encoder began, its decode times off by some seconds. */
  restarts = [];
  /** Time stands still from here on: the camera gives no more pictures. */
  frozenAt = null;
  /** How long a still is waited for, in ms; how many were under way at most. */
  stillDelay = 0;
  stillsUnderWay = 0;
  stillsUnderWayMost = 0;
  /** Whether they are refused. */
  stillTrouble = false;
  /** What was recorded long before the stream began. */
  archive = new Archive();
  /** What was imported and is uploaded. */
  files = new Files(Buffer.alloc(0));
  /** When the stream began, in milliseconds since 1970: a full window ago, at the start of a loop. */
  began = Date.now() - 48_000;

  static async start(port = 0) {
    const standin = new Standin();
    standin.policy = await contentSecurityPolicy();
    standin.media = await loadMedia(path.join(root, "target/browser/media"));
    standin.reset();
    standin.server = createServer((request, response) => {
      if (standin.silent) return request.socket.destroy();
      standin.#answer(request, response).catch((error) => {
        if (!response.headersSent) response.writeHead(error.status ?? 500, { "content-type": "text/plain" });
        response.end(String(error.message));
      });
    });
    await new Promise((resolve) => standin.server.listen(port, "127.0.0.1", resolve));
    standin.url = `http://127.0.0.1:${standin.server.address().port}`;
    return standin;
  }

  /** As it was at first. */
  reset() {
    this.files?.cut();
    Object.assign(this, { cameras: [testCamera()], problems: [], silent: false, frozenAt: null, restarts: [], stillDelay: 0, stillsUnderWayMost: 0, stillTrouble: false });
    Object.assign(this, { archive: new Archive(), files: new Files(this.media.film) });
    this.archive.files = this.files;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  shed(name, away) {
    for (const camera of this.cameras) for (const rung of camera.rungs) if (rung.name === name) rung.running = !away;
  }

  /** The encoder dies and starts again: the segment after the present one opens a new run. */
  restartEncoder() {
    this.restarts.push(Math.floor(this.#elapsed() / SEGMENT_S) + 1);
  }

  /** How far the decode times of a segment are off, in seconds. */
  #offset(segment) {
    return (this.#run(segment) - 1) * 1.7;
  }

  #elapsed() {
    return ((this.frozenAt ?? Date.now()) - this.began) / 1000;
  }

  async #answer(request, response) {
    const url = new URL(request.url, "http://standin");
    const send = (type, body, headers = {}) => {
      response.writeHead(200, { "content-type": type, "cache-control": "no-cache", ...headers });
      response.end(body);
    };
    const json = (value) => send("application/json", JSON.stringify(value));
    const route = url.pathname.split("/").slice(1);
    if (url.pathname === "/api/v1/cameras") return json({ cameras: this.cameras });
    if (url.pathname === "/api/v1/time") return json({ now: new Date().toISOString() });
    if (url.pathname === "/healthz") return json({ live: true, ready: true, problems: this.problems });
    if (route[0] === "api" && route[4] === "still.jpg") {
      this.stillsUnderWayMost = Math.max(this.stillsUnderWayMost, ++this.stillsUnderWay);
      await Promise.race([wait(this.stillDelay), new Promise((resolve) => response.on("close", resolve))]);
      this.stillsUnderWay--;
      return this.stillTrouble ? refuse(503) : send("image/jpeg", this.media.still);
    }
    if (route[2] === "still.jpg") return this.archive.holds(Date.parse(url.searchParams.get("at"))) ? send("image/jpeg", this.media.still) : refuse(404);
    if (["items", "uploads"].includes(route[2])) return this.files.answer(request, response, url);
    if (route[2] === "strip.jpg") return this.archive.answerStrip(response, url.searchParams, this.media.pictures);
    if (["clip.json", "clip.mp4", "timelapse.mp4"].includes(route[2])) return this.archive.answerFile(request, response, route[2], this.media.film);
    if (["timeline", "store", "clips"].includes(route[2])) return this.archive.answer(request, response, url);
    if (route[0] === "live" || route[0] === "recordings") {
      const [type, body] = await this.#media(route[0], route.slice(2), url.searchParams);
      return send(type, body);
    }
    const file = path.join(DIST, url.pathname === "/" ? "index.html" : path.normalize(url.pathname));
    const body = await readFile(file).catch(() => refuse(404));
    const lasting = file.includes("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
    send(TYPES[path.extname(file)] ?? "application/octet-stream", body, {
      "cache-control": lasting,
      "content-security-policy": this.policy,
    });
  }

  async #media(kind, [rendition, file], query) {
    const playlist = "application/vnd.apple.mpegurl";
    const recorded = kind === "recordings";
    const range = recorded && (file ?? rendition).endsWith(".m3u8") ? this.#range(query) : null;
    const suffix = range ? `?${query}` : "";
    if (rendition === "master.m3u8") return [playlist, this.#multivariant(suffix, range)];
    const loop = this.media.loops.get(rendition) ?? refuse(404);
    const shed = this.cameras[0].rungs.find((rung) => `audio-${rung.name}`.endsWith(rendition) && !rung.running);
    if (shed && !recorded) refuse(404);
    if (file === "index.m3u8") return [playlist, await (range ? this.#vod(loop, range) : this.#live(loop, query))];
    if (/^init-\d+\.mp4$/.test(file)) return ["video/mp4", loop.init];
    const [, segment, part] = /^(\d+)(?:\.(\d+))?\.m4s$/.exec(file) ?? refuse(404);
    if (part === undefined) return ["video/mp4", loop.segment(Number(segment), this.#offset(segment))];
    const end = this.#partEnd(loop, Number(segment), Number(part));
    await wait(Math.max(0, (end - this.#elapsed()) * 1000));
    return ["video/mp4", loop.part(Number(segment), Number(part), this.#offset(segment))];
  }

  #partEnd(loop, segment, part) {
    const { start, duration } = loop.segments[segment % loop.segments.length][part] ?? refuse(404);
    return Math.floor(segment / loop.segments.length) * LOOP_S + start + duration;
  }

  #multivariant(suffix, range) {
    const lines = ["#EXTM3U", "#EXT-X-VERSION:9", "#EXT-X-INDEPENDENT-SEGMENTS"];
    const running = RUNGS.filter((rung) => range || this.cameras[0].rungs.find((r) => r.name === rung.name)?.running);
    for (const rung of running) {
      lines.push(
        `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-${rung.name}",NAME="Sound",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio-${rung.name}/index.m3u8${suffix}"`,
        `#EXT-X-STREAM-INF:BANDWIDTH=${Math.round(rung.bitrate_bps * 1.2 + rung.audio_bps)},AVERAGE-BANDWIDTH=${rung.bitrate_bps + rung.audio_bps},CODECS="avc1.42C028,mp4a.40.2",RESOLUTION=${rung.width}x${rung.height},FRAME-RATE=30,AUDIO="audio-${rung.name}"`,
        `${rung.name}/index.m3u8${suffix}`,
      );
    }
    return `${lines.join("\n")}\n`;
  }

  async #live(loop, query) {
    const msn = query.get("_HLS_msn");
    if (msn !== null) {
      const at = loop.segments[Number(msn) % loop.segments.length];
      const part = Math.min(Number(query.get("_HLS_part") ?? at.length - 1), at.length - 1);
      const end = this.#partEnd(loop, Number(msn), part);
      const deadline = Date.now() + 6000;
      while (this.#elapsed() < end) {
        if (Date.now() > deadline) refuse(503);
        await wait(Math.min(50, Math.max(1, (end - this.#elapsed()) * 1000)));
      }
    }
    return this.#liveText(loop, this.#elapsed());
  }

  #liveText(loop, now) {
    const current = Math.floor(now / SEGMENT_S);
    const first = Math.max(0, current - WINDOW);
    const lines = [
      ...["#EXTM3U", "#EXT-X-VERSION:9", "#EXT-X-TARGETDURATION:2", `#EXT-X-MEDIA-SEQUENCE:${first}`],
      "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.002,HOLD-BACK=6",
      ...["#EXT-X-PART-INF:PART-TARGET=0.334", `#EXT-X-DISCONTINUITY-SEQUENCE:${this.#run(first) - 1}`],
      `#EXT-X-MAP:URI="init-${this.#run(first)}.mp4"`,
    ];
    for (let segment = first; segment <= current; segment++) {
      const parts = loop.segments[segment % loop.segments.length];
      const ready = parts.filter((_, index) => this.#partEnd(loop, segment, index) <= now + 1e-6);
      const start = this.#partEnd(loop, segment, 0) - parts[0].duration;
      if (segment > first && ready.length > 0 && this.restarts.includes(segment)) {
        lines.push("#EXT-X-DISCONTINUITY", `#EXT-X-MAP:URI="init-${this.#run(segment)}.mp4"`);
      }
      if (ready.length > 0) lines.push(`#EXT-X-PROGRAM-DATE-TIME:${this.#date(start)}`);
      if (segment > current - 3) {
        ready.forEach((part, index) => {
          const independent = index === 0 ? ",INDEPENDENT=YES" : "";
          lines.push(`#EXT-X-PART:DURATION=${part.duration.toFixed(5)},URI="${segment}.${index}.m4s"${independent}`);
        });
      }
      if (ready.length === parts.length) {
        lines.push(`#EXTINF:${length(parts).toFixed(5)},`, `${segment}.m4s`);
        if (segment === current) lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${segment + 1}.0.m4s"`);
      } else lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${segment}.${ready.length}.m4s"`);
    }
    return `${lines.join("\n")}\n`;
  }

  #run(segment) {
    return 1 + this.restarts.filter((first) => first <= segment).length;
  }

  /** Recordings count their segments from long ago: the loop went round a whole number of times since. */
  get #recordedFrom() {
    return this.began - RECORDED_LOOPS * LOOP_S * 1000;
  }

  #range(query) {
    const segment = (time) => Math.floor((time - this.#recordedFrom) / 1000 / SEGMENT_S);
    const from = Math.max(0, segment(Date.parse(query.get("from"))));
    const to = Math.min(segment(Date.now()), segment(Date.parse(query.get("to"))));
    return to > from ? { from, to } : refuse(404);
  }

  #vod(loop, { from, to }) {
    const lines = [
      ...["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:2", "#EXT-X-PLAYLIST-TYPE:VOD"],
      ...[`#EXT-X-MEDIA-SEQUENCE:${from}`, '#EXT-X-MAP:URI="init-1.mp4"'],
    ];
    for (let segment = from; segment < to; segment++) {
      const parts = loop.segments[segment % loop.segments.length];
      const start = this.#partEnd(loop, segment, 0) - parts[0].duration;
      const date = new Date(this.#recordedFrom + start * 1000).toISOString();
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${date}`, `#EXTINF:${length(parts).toFixed(5)},`, `${segment}.m4s`);
    }
    return `${lines.join("\n")}\n#EXT-X-ENDLIST\n`;
  }

  #date(seconds) {
    return new Date(this.began + seconds * 1000).toISOString();
  }
}

const length = (parts) => parts.reduce((sum, part) => sum + part.duration, 0);

function refuse(status) {
  throw Object.assign(new Error(`refused with ${status}`), { status });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const standin = await Standin.start(Number(process.argv[2] ?? 8099));
  console.log(standin.url);
}
