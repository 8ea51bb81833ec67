// Which camera is watched large, and that it stays so. Pure; view.ts keeps what was wanted and what was chosen.
import type { Camera } from "./api.js";

/** The camera that an address's fragment names: "#garden" or "#/garden". Ids are a-z, 0-9 and "-", never encoded. */
export const cameraOfHash = (hash: string): string => hash.replace(/^#\/?/, "");

/**
 * The id to stay with: the wanted camera, else the one `before`, else the first that is live; "" while there is none
 * to stay with. A camera that comes or goes moves no viewer from one that is listed.
 */
export function choose(cameras: Camera[], wanted: string, before: string): string {
  for (const id of [wanted, before]) if (cameras.some((camera) => camera.id === id)) return id;
  return cameras.find((camera) => camera.state === "live")?.id ?? before;
}
