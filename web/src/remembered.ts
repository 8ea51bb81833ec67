// Which uploads this browser began, kept over a reload, so that the same file chosen again goes on where it was.
import type { PreviousUpload, UrlStorage } from "tus-js-client";

const PREFIX = "perch.upload.";

/** What tells files apart as far as a browser lets on. */
export const markOf = ({ name, type, size, lastModified }: File): string => [name, type, size, lastModified].join("-");

/** The last word of an address: the upload's id. */
export const idOfAddress = (address: string): string => address.split("/").at(-1)!;

/** For tus-js-client; whatever goes wrong with the storage, an upload goes on, and only forgets itself. */
export class Remembered implements UrlStorage {
  /** `storage` fails or is missing where the viewer forbids it. */
  constructor(private readonly storage: () => Storage) {}

  async findAllUploads(): Promise<PreviousUpload[]> {
    return this.find(PREFIX);
  }

  async findUploadsByFingerprint(mark: string): Promise<PreviousUpload[]> {
    return this.find(`${PREFIX}${mark} `);
  }

  async addUpload(mark: string, upload: PreviousUpload): Promise<string> {
    const key = `${PREFIX}${mark} ${idOfAddress(upload.uploadUrl ?? "")}`;
    try {
      this.storage().setItem(key, JSON.stringify(upload));
    } catch {
      // Full or forbidden: then it goes on until the page closes.
    }
    return key;
  }

  async removeUpload(key: string): Promise<void> {
    try {
      this.storage().removeItem(key);
    } catch {
      // As above.
    }
  }

  /** The ids of all of them. */
  ids(): Set<string> {
    return new Set(this.find(PREFIX).map(({ uploadUrl }) => idOfAddress(uploadUrl ?? "")));
  }

  forget(id: string): void {
    for (const { urlStorageKey, uploadUrl } of this.find(PREFIX)) {
      if (idOfAddress(uploadUrl ?? "") === id) void this.removeUpload(urlStorageKey);
    }
  }

  private find(prefix: string): PreviousUpload[] {
    try {
      const storage = this.storage();
      const keys = Array.from({ length: storage.length }, (_, at) => storage.key(at)!).filter((key) => key.startsWith(prefix));
      return keys.flatMap((key) => read(key, storage.getItem(key)!) ?? []);
    } catch {
      return [];
    }
  }
}

function read(key: string, text: string): PreviousUpload | null {
  try {
    return { ...(JSON.parse(text) as PreviousUpload), urlStorageKey: key };
  } catch {
    return null;
  }
}

export const remembered = new Remembered(() => localStorage);
