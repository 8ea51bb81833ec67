// Uploads with tus-js-client under Node: tus 1.0, its parallel uploads, and the two drafts of the IETF that it speaks.
// The last case starts a perch of its own (PERCH names the binary), kills it in the middle and goes on.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "./standin.mjs";

const PROTOCOLS = ["tus-v1", "ietf-draft-03", "ietf-draft-05"];

/** Loaded late: it is fetched with the driver, when the browser starts. */
const tus = () => createRequire(import.meta.url)("tus-js-client");

const noise = (bytes) => randomFillSync(Buffer.alloc(bytes));

/** Uploads a buffer or a stream to its end; `options` go to the client. Returns where it went. */
function upload(url, source, options = {}) {
  return new Promise((resolve, reject) => {
    const started = new (tus().Upload)(source, {
      endpoint: `${url}/api/v1/uploads`,
      metadata: { filename: "noise.bin", filetype: "application/octet-stream" },
      retryDelays: [100, 300, 1000, 3000, 3000, 3000],
      onError: reject,
      onSuccess: () => resolve(started.url),
      ...options,
    });
    started.start();
  });
}

/** Uploads half a megabyte, and stops in the middle of the next one. Returns where the rest is to go. */
function interrupted(url, source, protocol) {
  return new Promise((resolve, reject) => {
    const stopped = new (tus().Upload)(source, {
      endpoint: `${url}/api/v1/uploads`,
      metadata: { filename: "noise.bin" },
      protocol,
      chunkSize: 500_000,
      onError: reject,
      onProgress: (sent) => {
        if (sent > 500_000) stopped.abort().then(() => resolve(stopped.url), reject);
      },
    });
    stopped.start();
  });
}

async function ended(address) {
  for (let tries = 0; tries < 300; tries++) {
    const shown = await (await fetch(address)).json();
    if (["done", "refused"].includes(shown.state)) return shown;
    await sleep(100);
  }
  throw new Error(`${address} is not imported within half a minute`);
}

const ofUploads = ({ sources }) => sources.find(({ source }) => source === "uploads").unique_bytes;

/** Bytes that uploads have brought which were not stored before. */
const uniqueBytes = (binary, data) => ofUploads(JSON.parse(execFileSync(binary, ["store", "stats", "--json", "--data", data])));

/** The same, as the appliance tells it. */
const uniqueBytesTold = async (url) => ofUploads(await (await fetch(`${url}/api/v1/store`)).json());

export const cases = {
  async "tus-js-client uploads in each protocol that it speaks"({ url }) {
    for (const protocol of PROTOCOLS) {
      for (const more of [{}, { chunkSize: 400_000 }, { uploadDataDuringCreation: true, chunkSize: 700_000 }]) {
        const buffer = noise(2_000_003);
        const shown = await ended(await upload(url, buffer, { protocol, ...more }));
        assert.equal(shown.state, "done", `${protocol} ${JSON.stringify(more)}: ${shown.reason}`);
        assert.equal(shown.length, buffer.length);
        assert.equal(shown.name, "noise.bin");
      }
    }
  },

  async "tus-js-client uploads the parts of a file at the same time"({ url }) {
    for (const parallelUploads of [4, 16]) {
      const buffer = noise(3_000_001);
      const shown = await ended(await upload(url, buffer, { parallelUploads, metadata: { filename: "joined.bin" } }));
      assert.deepEqual([shown.state, shown.kind, shown.length], ["done", "final", buffer.length]);
    }
  },

  async "tus-js-client goes on where it was stopped"({ url }) {
    const buffer = noise(3_000_000);
    for (const protocol of PROTOCOLS) {
      let stopped;
      const address = await new Promise((resolve, reject) => {
        stopped = new (tus().Upload)(buffer, {
          endpoint: `${url}/api/v1/uploads`,
          protocol,
          chunkSize: 500_000,
          onError: reject,
          onChunkComplete: (size, accepted) => {
            if (accepted >= 1_000_000) stopped.abort().then(() => resolve(stopped.url), reject);
          },
        });
        stopped.start();
      });
      await upload(url, buffer, { protocol, uploadUrl: address });
      assert.equal((await ended(address)).state, "done");
    }
  },

  async "what tus-js-client reads from buffers, files and streams comes back as it was, and costs its bytes once"({ url }) {
    const folder = await mkdtemp(path.join(os.tmpdir(), "perch-uploads-"));
    const file = path.join(folder, "noise.bin");
    try {
      for (const protocol of PROTOCOLS) {
        const buffer = noise(2_000_003);
        await writeFile(file, buffer);
        let cost = null;
        const check = async (how, address) => {
          const shown = await ended(address);
          assert.equal(shown.state, "done", `${protocol}, ${how}: ${shown.reason}`);
          const answer = await fetch(`${url}/api/v1/items/${shown.item}/content`);
          assert.ok(buffer.equals(Buffer.from(await answer.arrayBuffer())), `${protocol}, ${how}: the same bytes`);
          const stored = await uniqueBytesTold(url);
          cost ??= stored;
          assert.equal(stored, cost, `${protocol}, ${how}: the same bytes are stored once`);
        };
        // In the drafts the client says of a file that it ends only if one request has all of it, and of a stream never.
        for (const [kind, read] of Object.entries({ buffer: () => buffer, file: () => createReadStream(file) })) {
          await check(`${kind}, whole`, await upload(url, read(), { protocol }));
          await check(`${kind}, in pieces`, await upload(url, read(), { protocol, chunkSize: 400_000 }));
          const uploadUrl = await interrupted(url, read(), protocol);
          const offsets = [];
          const onBeforeRequest = (request) => {
            if (request.getMethod() === "PATCH") offsets.push(Number(request.getHeader("Upload-Offset")));
          };
          await check(`${kind}, interrupted`, await upload(url, read(), { protocol, uploadUrl, onBeforeRequest }));
          assert.ok(offsets[0] >= 500_000 && offsets[0] < buffer.length, `${protocol}, ${kind}: it went on at ${offsets[0]}`);
        }
        const stream = createReadStream(file).pipe(new PassThrough());
        await check("stream, in pieces", await upload(url, stream, { protocol, uploadSize: buffer.length, chunkSize: 400_000 }));
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  },

  async "tus-js-client uploads an empty file"({ url }) {
    for (const protocol of PROTOCOLS) {
      const shown = await ended(await upload(url, Buffer.alloc(0), { protocol }));
      assert.deepEqual([shown.state, shown.length], ["done", 0], `${protocol}: ${shown.reason}`);
    }
  },

  async "an upload goes on after the appliance was killed"() {
    const folder = await mkdtemp(path.join(os.tmpdir(), "perch-uploads-"));
    const data = path.join(folder, "data");
    const config = path.join(folder, "perch.toml");
    await writeFile(config, '[[cameras]]\nsource = "test"\nsize = "640x360"\n');
    const binary = process.env.PERCH ?? path.join(root, "target/debug/perch");
    const start = (listen) =>
      new Promise((resolve, reject) => {
        const child = spawn(binary, ["run", "--listen", listen, "--config", config, "--data", data]);
        child.stdout.once("data", (text) => resolve({ child, url: /http:\/\/[^/]+/.exec(text)[0] }));
        child.once("exit", () => reject(new Error("perch does not start")));
      });
    let { child, url } = await start("127.0.0.1:0");
    try {
      const buffer = noise(30_000_000);
      let killed = 0;
      const address = await upload(url, buffer, {
        chunkSize: 1_000_000,
        onChunkComplete: (size, accepted) => {
          if (accepted < 10_000_000 * (killed + 1) || killed >= 2) return;
          killed++;
          child.removeAllListeners("exit");
          child.kill("SIGKILL");
          child.once("exit", async () => ({ child } = await start(new URL(url).host)));
        },
      });
      assert.equal(killed, 2);
      const shown = await ended(address);
      assert.deepEqual([shown.state, shown.length], ["done", buffer.length]);
      // Its chunks are known by their digests, so that every byte arrived as it was if nothing new is stored.
      const before = uniqueBytes(binary, data);
      assert.ok(before >= buffer.length);
      assert.equal((await ended(await upload(url, buffer))).state, "done");
      assert.equal(uniqueBytes(binary, data), before, "the same bytes are stored once");
    } finally {
      child.removeAllListeners("exit");
      child.kill("SIGTERM");
      await new Promise((resolve) => child.once("exit", resolve));
      await rm(folder, { recursive: true });
    }
  },
};
