// Sends one file by tus 1.0. The client is a library of its own chunk, fetched with the first upload.
import type { DetailedError, HttpRequest, HttpResponse, Upload, UploadOptions } from "tus-js-client";
import { UPLOADS } from "./items.js";
import { idOfAddress, markOf, remembered } from "./remembered.js";
import type { Carrier, Heard } from "./uploads.js";

/** A connection that broke is tried again for as long as the page is open. */
const RETRIES_MS = [500, 1000, 2000, ...Array<number>(20_000).fill(4000)];

const UNREADABLE = "the file was changed or is gone; choose it again";

/** The statuses that another attempt may change: the server is busy, restarts, or still holds the connection before. */
const mayPass = (status: number): boolean => status === 0 || status === 409 || status === 423 || status === 429 || (status >= 500 && status !== 507);

/** Whether the server, or the way to it, may do better the next time. */
export function isPassing(error: Pick<DetailedError, "originalResponse">): boolean {
  return mayPass(error.originalResponse?.getStatus() ?? 0);
}

/**
 * tus-js-client takes each answer to a HEAD but 2xx and 423 for "there is no such upload", and begins anew. What another
 * attempt may change is made to fail here, so that it is tried again.
 */
export function keepUpload(request: Pick<HttpRequest, "getMethod">, response: Pick<HttpResponse, "getStatus">): void {
  const status = response.getStatus();
  if (request.getMethod() === "HEAD" && status !== 423 && mayPass(status)) throw new Error(`the answer was ${status}`);
}

/** The server's own sentence, out of the problem body (RFC 9457). */
export function reasonOf(error: Error | DetailedError): string {
  const response = "originalResponse" in error ? error.originalResponse : null;
  if (!response) return UNREADABLE;
  try {
    const problem = JSON.parse(response.getBody()) as { detail?: string; title?: string };
    return problem.detail ?? problem.title ?? `the answer was ${response.getStatus()}`;
  } catch {
    return `the answer was ${response.getStatus()}`;
  }
}

/** `begun` is the id of the upload that the file goes on with, if that is known. */
export function carry(file: File, hear: Heard, begun: string | null): Carrier {
  let going: Upload | null = null;
  /** Where it goes: a browser may be forbidden to remember that, or have no room for it. */
  let address = begun === null ? null : `${UPLOADS}/${begun}`;
  /** Another number with each start and pause: what belongs to an earlier one is not heard. */
  let turn = 0;

  const pause = (): void => {
    turn++;
    void going?.abort().catch(() => undefined);
    going = null;
  };

  /** A file that was changed meanwhile looks like a connection that broke. */
  const check = async (): Promise<void> => {
    const mine = turn;
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      if (mine !== turn) return;
      pause();
      hear.failed(UNREADABLE);
    }
  };

  const begin = async (mine: number): Promise<void> => {
    const { Upload } = await import("tus-js-client");
    const heard = <A extends unknown[]>(tell: (...all: A) => void) => (...all: A) => mine === turn && tell(...all);
    const options: UploadOptions = {
      endpoint: UPLOADS,
      metadata: { filename: file.name, ...(file.type ? { filetype: file.type } : {}) },
      urlStorage: remembered,
      fingerprint: async () => markOf(file),
      removeFingerprintOnSuccess: true,
      retryDelays: RETRIES_MS,
      onShouldRetry: (error) => {
        const passing = isPassing(error);
        if (passing && mine === turn) {
          hear.broken();
          void check();
        }
        return passing;
      },
      onAfterResponse: keepUpload,
      onUploadUrlAvailable: heard(() => {
        address = upload.url;
        hear.begun(idOfAddress(upload.url!));
      }),
      onProgress: heard((sent: number) => hear.progress(sent)),
      onSuccess: heard(() => hear.arrived(idOfAddress(upload.url!))),
      onError: heard((error: Error | DetailedError) => hear.failed(reasonOf(error))),
    };
    const upload = new Upload(file, options);
    const before = await upload.findPreviousUploads();
    if (mine !== turn) return;
    const [latest] = before.sort((a, b) => Date.parse(b.creationTime) - Date.parse(a.creationTime));
    if (latest) upload.resumeFromPreviousUpload(latest);
    else upload.url = address;
    going = upload;
    upload.start();
  };

  return {
    start() {
      const mine = ++turn;
      // Some browsers keep to it that a part of the page could not be had, for as long as the page is open.
      begin(mine).catch(() => mine === turn && hear.failed("what uploads could not be loaded; reload the page, and choose the file again"));
    },
    pause,
  };
}
