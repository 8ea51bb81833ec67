// What storing each chunk once saves, on files made for the purpose. Driven by scripts/bench.
//   node benches/dedup.mjs BINARY FOLDER    FOLDER is made, and is the caller's to remove
// Prints one JSON object; says on standard error what it does. Every figure is what `perch store stats` says.
import { mkdir, readFile, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { poll, run, say, sleep, start } from "./process.mjs";

const FILMS = 3;
const FILM_SECONDS = 16;
const PEOPLE = 3;
const RECORDED_SECONDS = 24;
// Pictures that no encoder can guess, as cameras in the dark give them.
const NOISY = "testsrc2=size=640x360:rate=25,noise=alls=24:allf=t";

const ffmpeg = (...words) => run("ffmpeg", ["-v", "error", "-y", ...words]);
const keyframes = ["-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-bf", "0"];

/** Encodes a made picture into files of H.264; `words` say how and where to. */
const encode = (picture, seconds, ...words) =>
  ffmpeg("-f", "lavfi", "-i", picture, "-t", `${seconds}`, "-c:v", "libx264", "-preset", "ultrafast", ...keyframes, ...words);

/** A data directory, as the statistics see it. */
function open(binary, data) {
  const statistics = async () => JSON.parse((await run(binary, ["store", "stats", "--data", data, "--json"])).out);
  return {
    data,
    statistics,
    importFiles: (files) => run(binary, ["import", ...files, "--data", data, "--json"]),
    /** Of one of the sources that the statistics name: as if all were stored for itself, and what is stored. */
    async bytes(source) {
      const found = (await statistics()).sources.find((one) => one.source === source);
      if (!found) throw new Error(`the statistics know no ${source}`);
      return { logical_bytes: found.logical_bytes, unique_bytes: found.unique_bytes };
    },
  };
}

/** Films with a picture and a tone of their own. */
async function makeFilms(folder) {
  const films = [];
  for (let film = 0; film < FILMS; film++) {
    const file = path.join(folder, `film-${film}.mp4`);
    say(`makes film ${film + 1} of ${FILMS}`);
    await ffmpeg(
      ...["-f", "lavfi", "-i", `${NOISY}:all_seed=${film + 1},hue=h=${film * 80}`],
      ...["-f", "lavfi", "-i", `sine=frequency=${220 * (film + 1)}:sample_rate=48000`],
      ...["-t", `${FILM_SECONDS}`, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "30", ...keyframes, "-c:a", "aac", file],
    );
    films.push(file);
  }
  return films;
}

/** The same packets with other words around them: `words` for each film, copied and not encoded again. */
async function remux(films, name, before, after) {
  const files = [];
  for (const [film, from] of films.entries()) {
    const file = path.join(path.dirname(from), `${name}-${film}.mp4`);
    await ffmpeg(...before, "-i", from, "-map", "0", "-c", "copy", ...after, file);
    files.push(file);
  }
  return files;
}

/** What somebody does who shares a film: all of it in one request (tus 1.0, creation-with-upload). */
async function upload(server, file) {
  const body = await readFile(file);
  const filename = Buffer.from(path.basename(file)).toString("base64");
  const made = await fetch(`${server.url}/api/v1/uploads`, {
    method: "POST",
    headers: {
      "Tus-Resumable": "1.0.0",
      "Upload-Length": `${body.length}`,
      "Upload-Metadata": `filename ${filename}`,
      "Content-Type": "application/offset+octet-stream",
    },
    body,
  });
  if (made.status !== 201) throw new Error(`an upload was answered with ${made.status}: ${await made.text()}`);
  const address = new URL(made.headers.get("location"), server.url).href;
  const isEnded = (shown) => ["done", "refused"].includes(JSON.parse(new TextDecoder().decode(shown)).state);
  const shown = JSON.parse(new TextDecoder().decode(await poll(server, address, isEnded)));
  if (shown.state !== "done") throw new Error(`an upload was refused: ${shown.reason}`);
}

/** Where a camera's recording lies, with its gaps, in ms since 1970, once it is as long as it is to be. */
async function recorded(server) {
  const ends = (body) => {
    const { spans } = JSON.parse(new TextDecoder().decode(body));
    return { from: Date.parse(spans.at(0)?.from), to: Date.parse(spans.at(-1)?.to) };
  };
  const isLong = (body) => ends(body).to - ends(body).from >= RECORDED_SECONDS * 1000;
  await sleep(RECORDED_SECONDS * 1000);
  return ends(await poll(server, `${server.url}/api/v1/timeline?camera=test&resolution=60`, isLong));
}

/** A clip of what was recorded, from one part of it to another. */
async function clip(server, line, from, to) {
  const at = (part) => new Date(line.from + Math.round(part * (line.to - line.from))).toISOString();
  const made = await fetch(`${server.url}/api/v1/clips`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ camera: "test", from: at(from), to: at(to), name: `${from} to ${to}` }),
  });
  if (made.status !== 201) throw new Error(`a clip was answered with ${made.status}: ${await made.text()}`);
}

/** Does one thing after the other, and says what each of them brought and what of it had to be stored. */
async function measureCorpus(binary, folder) {
  const films = await makeFilms(folder);
  const store = open(binary, path.join(folder, "corpus"));
  const steps = [];
  const step = async (source, what, act) => {
    say(what);
    const before = steps.length === 0 ? { logical_bytes: 0, unique_bytes: 0 } : await store.bytes(source);
    await act();
    const after = await store.bytes(source);
    const grown = (field) => after[field] - before[field];
    steps.push({ source, what, logical_bytes: grown("logical_bytes"), unique_bytes: grown("unique_bytes") });
  };
  await step("imports", `${FILMS} noisy films of ${FILM_SECONDS} s`, () => store.importFiles(films));
  await step("imports", "the same files again", () => store.importFiles(films));
  const retagged = await remux(films, "retagged", [], ["-metadata", "title=A day at the lake", "-metadata", "comment=for Ada"]);
  await step("imports", "the same films, retagged", () => store.importFiles(retagged));
  const moved = await remux(films, "moved", [], ["-movflags", "+faststart"]);
  await step("imports", "the same films, made ready for the web", () => store.importFiles(moved));
  const half = `${FILM_SECONDS / 2}`;
  const first = await remux(films, "first", [], ["-t", half]);
  const second = await remux(films, "second", ["-ss", `${FILM_SECONDS / 4}`], ["-t", half]);
  await step("imports", "two overlapping halves of each, cut at keyframes", () => store.importFiles([...first, ...second]));
  const server = await start(binary, store.data);
  try {
    await step("uploads", `the same films from ${PEOPLE} people`, async () => {
      for (let person = 0; person < PEOPLE; person++) for (const film of films) await upload(server, film);
    });
    say(`records the test scene for ${RECORDED_SECONDS} s`);
    const line = await recorded(server);
    await step("clips", "five overlapping clips of the recording", async () => {
      for (const [from, to] of [[0, 0.5], [0.1, 0.8], [0.25, 0.75], [0.4, 0.9], [0, 1]]) await clip(server, line, from, to);
    });
  } finally {
    await server.stop();
  }
  const { sources } = await store.statistics();
  return { films: FILMS, film_seconds: FILM_SECONDS, film_bytes: (await stat(films[0])).size, steps, sources };
}

/** A camera's picture in pieces that follow each other, imported one after the other. */
async function measureStretches(binary, folder, name, what, picture, ...words) {
  say(what);
  const pieces = path.join(folder, name);
  await mkdir(pieces);
  const segments = ["-f", "segment", "-segment_time", "6", "-reset_timestamps", "1", path.join(pieces, "%02d.mp4")];
  await encode(picture, 24, ...words, ...segments);
  const store = open(binary, path.join(folder, `${name}-store`));
  await store.importFiles((await readdir(pieces)).sort().map((file) => path.join(pieces, file)));
  return { what, ...(await store.bytes("imports")) };
}

const [binary, folder] = process.argv.slice(2);
if (!folder) {
  say("usage: node benches/dedup.mjs BINARY FOLDER");
  process.exit(2);
}
await mkdir(folder, { recursive: true });
const corpus = await measureCorpus(binary, folder);
const { logical_bytes, unique_bytes } = corpus.sources.find(({ source }) => source === "recordings");
const noisy = [
  { what: "the test scene, which has noise, as Perch records it", logical_bytes, unique_bytes },
  await measureStretches(binary, folder, "crf", "a noisy camera at constant quality, stretch after stretch", NOISY, "-crf", "28"),
  await measureStretches(
    ...[binary, folder, "cbr", "the same at a constant bitrate", NOISY],
    ...["-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M", "-x264-params", "nal-hrd=cbr"],
  ),
  await measureStretches(
    ...[binary, folder, "still", "a slide that never changes, with a constant quantizer"],
    ...["testsrc2=size=1920x1080:rate=25,trim=end_frame=1,loop=-1:1,noise=alls=40", "-qp", "12"],
  ),
];
process.stdout.write(`${JSON.stringify({ ...corpus, noisy }, null, 2)}\n`);
