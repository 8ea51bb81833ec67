// Sixteen seconds of picture and sound for the stand-in, made by ffmpeg once and kept in target/.
// Cuts them into single-sample fragments, so that any second of an endless stream can be put together from them.
import { execFile } from "node:child_process";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { drawBand } from "./scene-clock.mjs";

const run = promisify(execFile);

export const LOOP_S = 16;
export const SEGMENT_S = 2;
const PART_S = 0.334;
const RATE = 30;

export const RUNGS = [
  { name: "very_low", width: 426, height: 240, bitrate_bps: 500_000, audio_bps: 64_000 },
  { name: "low", width: 854, height: 480, bitrate_bps: 1_000_000, audio_bps: 128_000 },
  { name: "medium", width: 1280, height: 720, bitrate_bps: 2_000_000, audio_bps: 192_000 },
  { name: "high", width: 1920, height: 1080, bitrate_bps: 4_000_000, audio_bps: 320_000 },
];

async function make(file, args) {
  if (await stat(file).catch(() => null)) return;
  await mkdir(path.dirname(file), { recursive: true });
  const unfinished = `${file}.part`;
  await run("ffmpeg", ["-v", "error", "-y", ...args, unfinished]);
  await rename(unfinished, file);
}

const FRAGMENTS = ["-use_editlist", "0", "-movflags", "empty_moov+default_base_moof+frag_every_frame", "-f", "mp4"];

/** The loop's own time as the test scene burns it in, as raw gray pictures of the top tenth. */
async function makeClock(dir) {
  const file = path.join(dir, "clock.gray");
  if (await stat(file).catch(() => null)) return file;
  await mkdir(dir, { recursive: true });
  const bands = Array.from({ length: LOOP_S * RATE }, (_, at) => drawBand(Math.round((at * 1000) / RATE), 320, 18));
  await writeFile(file, Buffer.concat(bands));
  return file;
}

async function makeVideo(dir, { name, width, height, bitrate_bps }) {
  const file = path.join(dir, `${name}.mp4`);
  const rate = String(bitrate_bps);
  const clock = await makeClock(dir);
  const graph = `[0]noise=alls=6:allf=t,scale=${width}:${height}[scene];[1]scale=${width}:${height}/10:flags=neighbor[clock];[scene][clock]overlay`;
  await make(file, [
    ...["-f", "lavfi", "-i", `testsrc2=size=1280x720:rate=${RATE}`],
    ...["-f", "rawvideo", "-pix_fmt", "gray", "-s", "320x18", "-r", String(RATE), "-i", clock, "-t", String(LOOP_S)],
    ...["-filter_complex", graph, "-pix_fmt", "yuv420p"],
    ...["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline"],
    ...["-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-b:v", rate, "-maxrate", rate, "-bufsize", rate],
    ...["-video_track_timescale", "90000", ...FRAGMENTS],
  ]);
  return file;
}

async function makeAudio(dir, { name, audio_bps }) {
  const file = path.join(dir, `audio-${name}.mp4`);
  await make(file, [
    ...["-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:sample_rate=48000", "-t", String(LOOP_S)],
    ...["-c:a", "aac", "-ac", "2", "-b:a", String(audio_bps), ...FRAGMENTS],
  ]);
  return file;
}

const PICTURE = { width: 320, height: 180 };

/** Sixteen pictures of different colours, as raw RGB: what a strip is put together from. */
async function makePictures(dir) {
  const file = path.join(dir, "pictures.rgb");
  const graph = `testsrc2=size=${PICTURE.width}x${PICTURE.height}:rate=1:duration=${LOOP_S},hue=h='t*22.5':s=0.6`;
  await make(file, ["-f", "lavfi", "-i", graph, "-pix_fmt", "rgb24", "-f", "rawvideo"]);
  return file;
}

/** Pictures side by side as a JPEG, by their numbers of `pictures`; null is dark grey. */
export function makeStrip(pictures, numbers, width) {
  const height = Math.floor((width * PICTURE.height) / PICTURE.width) & ~1;
  const strip = Buffer.alloc(numbers.length * width * height * 3, 24);
  numbers.forEach((number, place) => {
    if (number === null) return;
    const start = number * PICTURE.width * PICTURE.height * 3;
    for (let y = 0; y < height; y++) {
      const row = start + Math.floor((y * PICTURE.height) / height) * PICTURE.width * 3;
      for (let x = 0; x < width; x++) {
        const from = row + Math.floor((x * PICTURE.width) / width) * 3;
        pictures.copy(strip, ((y * numbers.length + place) * width + x) * 3, from, from + 3);
      }
    }
  });
  return new Promise((resolve, reject) => {
    const raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", `${numbers.length * width}x${height}`, "-i", "-"];
    const encoder = execFile("ffmpeg", ["-v", "error", ...raw, "-q:v", "4", "-f", "mjpeg", "-"], { encoding: "buffer", maxBuffer: 32e6 }, (error, jpeg) =>
      error ? reject(error) : resolve(jpeg),
    );
    encoder.stdin.end(strip);
  });
}

async function makeStill(dir) {
  const file = path.join(dir, "still.jpg");
  await make(file, ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-frames:v", "1", "-f", "mjpeg"]);
  return file;
}

function* boxes(bytes, from = 0, to = bytes.length) {
  for (let at = from; at + 8 <= to; ) {
    const size = bytes.readUInt32BE(at);
    yield { type: bytes.toString("latin1", at + 4, at + 8), at, end: at + size };
    at += size;
  }
}

function find(bytes, names, from = 0, to = bytes.length) {
  const [name, ...rest] = names;
  for (const box of boxes(bytes, from, to)) {
    if (box.type !== name) continue;
    return rest.length === 0 ? box : find(bytes, rest, box.at + 8, box.end);
  }
  throw new Error(`no box ${name}`);
}

/** One rendition's loop: the init segment and, for each segment, its parts of single-sample fragments. */
export class Loop {
  constructor(bytes) {
    const moov = find(bytes, ["moov"]);
    this.init = bytes.subarray(0, moov.end);
    const mdhd = find(bytes, ["moov", "trak", "mdia", "mdhd"]);
    this.timescale = bytes.readUInt32BE(mdhd.at + (bytes[mdhd.at + 8] === 1 ? 28 : 20));
    this.segments = Array.from({ length: LOOP_S / SEGMENT_S }, () => []);
    const fragments = this.#fragments(bytes);
    fragments.forEach((fragment, at) => {
      const end = fragments[at + 1]?.start ?? LOOP_S;
      fragment.duration = end - fragment.start;
      const parts = this.segments[Math.floor(fragment.start / SEGMENT_S + 1e-6)];
      let part = parts?.at(-1);
      if (!parts) return;
      if (!part || part.duration + fragment.duration > PART_S) {
        part = { start: fragment.start, duration: 0, fragments: [] };
        parts.push(part);
      }
      part.fragments.push(fragment);
      part.duration += fragment.duration;
    });
  }

  #fragments(bytes) {
    const found = [];
    for (const box of boxes(bytes)) {
      if (box.type === "moof") {
        const tfdt = find(bytes, ["traf", "tfdt"], box.at + 8, box.end);
        const ticks = bytes.readBigUInt64BE(tfdt.at + 12);
        found.push({ at: box.at, start: Number(ticks) / this.timescale, ticks, tfdt: tfdt.at + 12 - box.at });
      } else if (box.type === "mdat") {
        const fragment = found.at(-1);
        fragment.bytes = bytes.subarray(fragment.at, box.end);
      }
    }
    return found;
  }

  /** The bytes of a part of the endless stream, its decode times moved to where they belong, and `off` seconds on. */
  part(segment, index, off) {
    const loops = Math.floor(segment / this.segments.length) * LOOP_S;
    const shift = BigInt(Math.round((loops + off) * this.timescale));
    return Buffer.concat(
      this.segments[segment % this.segments.length][index].fragments.map((fragment) => {
        const copy = Buffer.from(fragment.bytes);
        copy.writeBigUInt64BE(fragment.ticks + shift, fragment.tfdt);
        return copy;
      }),
    );
  }

  segment(segment, off) {
    const parts = this.segments[segment % this.segments.length];
    return Buffer.concat(parts.map((_, index) => this.part(segment, index, off)));
  }
}

/** Everything the stand-in serves: a loop for each rendition, by name, a still picture, what strips are made of, a film as a file. */
export async function loadMedia(dir) {
  const loops = new Map();
  for (const rung of RUNGS) {
    loops.set(rung.name, new Loop(await readFile(await makeVideo(dir, rung))));
    loops.set(`audio-${rung.name}`, new Loop(await readFile(await makeAudio(dir, rung))));
  }
  return { loops, still: await readFile(await makeStill(dir)), pictures: await readFile(await makePictures(dir)), film: await readFile(await makeVideo(dir, RUNGS[0])) };
}
