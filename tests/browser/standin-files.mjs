// Files on the stand-in: a list of items with their bytes, and uploads by tus 1.0 that can be held, cut and refused.
// Bytes of uploads are counted and thrown away.

const DAY = 86_400_000;
const PAGE = 50;
const text = (time) => new Date(time).toISOString();

export class Files {
  /** Newest first. `content` answers `/content`. */
  items = [];
  uploads = new Map();
  /** Bytes of an upload at which the stand-in reads no further. */
  holdAt = Infinity;
  /** `[status, detail]` that every upload is refused with when it begins. */
  refuse = null;
  /** What a HEAD is answered with in place of how far the upload is. */
  headStatus = null;
  /** Why what has arrived is not stored. */
  refuseImport = null;
  /** What keeps what has arrived from being stored, for as long as it is set. */
  importTrouble = null;
  /** How long an import takes, in ms. */
  importTime = 300;
  /** How often the list of uploads was asked for while there were some. */
  listed = 0;
  /** Bytes received of all uploads together, also of those that were sent twice. */
  received = 0;
  #lastId = 0;
  #open = new Set();

  constructor(content) {
    this.content = content;
  }

  addItem(changes = {}) {
    const bytes = changes.bytes ?? this.content.length;
    const usual = { id: this.#id(), name: "film.mp4", media: "video", source: "import", camera: null, at: null, made: text(Date.now()), bytes, new_bytes: bytes, damaged: false, damaged_bytes: 0 };
    this.items.unshift({ ...usual, ...changes });
    return this.items[0];
  }

  /** An upload that somebody began and left. */
  addUpload(changes = {}) {
    const usual = { id: this.#id(), state: "uploading", kind: "single", name: "left.mov", type: null, bytes: 3e6, length: 10e6, parts: [] };
    const upload = { ...usual, began: text(Date.now()), expires: text(Date.now() + 7 * DAY), ...changes };
    this.uploads.set(upload.id, upload);
    return upload;
  }

  /** The connections of all that is being sent break. */
  cut() {
    for (const request of this.#open) request.socket.destroy();
  }

  #id() {
    return String(++this.#lastId).padStart(32, "0");
  }

  async answer(request, response, url) {
    const [, , , kind, id, file] = url.pathname.split("/");
    const send = (status, headers = {}, body) => {
      response.writeHead(status, { "cache-control": "no-store", ...headers });
      response.end(body);
    };
    const json = (value) => send(200, { "content-type": "application/json" }, JSON.stringify(value));
    const problem = (status, detail) =>
      send(status, { "content-type": "application/problem+json" }, JSON.stringify({ type: "about:blank", title: "Refused", status, detail }));
    if (kind === "items") return this.#answerItem(request, { id, file, query: url.searchParams }, { send, json, problem });
    return this.#answerUpload(request, id, { send, json, problem });
  }

  #answerItem(request, { id, file, query }, { send, json, problem }) {
    if (!id) {
      const start = query.has("before") ? this.items.findIndex((item) => item.id === query.get("before")) + 1 : 0;
      const items = this.items.slice(start, start + Number(query.get("limit") ?? PAGE));
      return json({ items, next: items.length === Number(query.get("limit") ?? PAGE) ? items.at(-1).id : null });
    }
    const item = this.items.find((one) => one.id === id);
    if (!item) return problem(404, `there is no item \`${id}\``);
    if (request.method === "DELETE") {
      this.items = this.items.filter((one) => one !== item);
      return send(204);
    }
    if (file !== "content") return json(item);
    // Of the whole nothing is given out; the stand-in has no sound parts either.
    if (item.damaged) return problem(500, "the file is damaged on the disk");
    const { content } = this;
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const type = { "content-type": item.type ?? "video/mp4", "accept-ranges": "bytes" };
    if (from === undefined) return send(200, { ...type, "content-length": content.length }, content);
    const end = to ? Math.min(content.length, Number(to) + 1) : content.length;
    const part = content.subarray(Number(from), end);
    return send(206, { ...type, "content-length": part.length, "content-range": `bytes ${from}-${end - 1}/${content.length}` }, part);
  }

  async #answerUpload(request, id, { send, json, problem }) {
    const tus = { "tus-resumable": "1.0.0" };
    const shown = ({ id, ...rest }) => ({ id, address: `/api/v1/uploads/${id}`, ...rest });
    if (request.method === "POST") {
      if (this.refuse) return problem(...this.refuse);
      const metadata = Object.fromEntries((request.headers["upload-metadata"] ?? "").split(",").map((pair) => pair.split(" ")));
      const read = (key) => (metadata[key] ? Buffer.from(metadata[key], "base64").toString() : null);
      const made = { name: read("filename"), type: read("filetype"), bytes: 0, length: Number(request.headers["upload-length"]) };
      return send(201, { ...tus, location: `/api/v1/uploads/${this.addUpload(made).id}` });
    }
    if (!id) {
      if (this.uploads.size > 0) this.listed++;
      return json({ uploads: [...this.uploads.values()].map(shown) });
    }
    const upload = this.uploads.get(id);
    if (!upload) return problem(404, "there is no such upload; it expired, was removed or never was");
    switch (request.method) {
      case "GET":
        return json(shown(upload));
      case "HEAD":
        if (this.headStatus) return send(this.headStatus, tus);
        return send(200, { ...tus, "upload-offset": upload.bytes, "upload-length": upload.length });
      case "DELETE":
        this.uploads.delete(id);
        return send(204, tus);
    }
    if (Number(request.headers["upload-offset"]) !== upload.bytes) return problem(409, `the upload goes on at ${upload.bytes}`);
    if (!(await this.#receive(request, upload))) return;
    if (upload.bytes === upload.length) this.#import(upload);
    send(204, { ...tus, "upload-offset": upload.bytes });
  }

  /** Whether the client sent all that it wanted to. */
  async #receive(request, upload) {
    this.#open.add(request);
    try {
      for await (const piece of request) {
        upload.bytes += piece.length;
        this.received += piece.length;
        while (upload.bytes >= this.holdAt && !request.destroyed) await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return true;
    } catch {
      return false;
    } finally {
      this.#open.delete(request);
    }
  }

  #import(upload) {
    if (this.importTrouble) {
      Object.assign(upload, { state: "importing", reason: this.importTrouble });
      return setTimeout(() => this.uploads.has(upload.id) && this.#import(upload), 200);
    }
    delete upload.reason;
    Object.assign(upload, { state: "importing", imported_bytes: Math.floor(upload.length / 2) });
    setTimeout(() => {
      if (this.refuseImport) return Object.assign(upload, { state: "refused", reason: this.refuseImport });
      const media = /^video|^audio|^image/.exec(upload.type ?? "")?.[0];
      const kind = { video: "video", audio: "sound", image: "still" }[media] ?? "other";
      const { id } = this.addItem({ name: upload.name, media: kind, source: "upload", bytes: upload.length });
      Object.assign(upload, { state: "done", item: id });
    }, this.importTime);
  }
}
