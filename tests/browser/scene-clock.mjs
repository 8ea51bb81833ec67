// The clock burned into the test scene, read out of decoded pictures: 2 rows of 32 cells over the top tenth, white
// is 1; a mark, 48 bits of milliseconds since 1970 and a CRC-8 (src/capture/scene_clock.rs describes it).
const COLUMNS = 32;
const ROWS = 2;
const MARK = 0xb5;

function crc8(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x80 ? 0x07 : 0)) & 0xff;
  }
  return crc;
}

/** From the mean luma (0–255) of each of the 64 cells, row by row. Null when they hold no clock. */
export function decodeCells(means) {
  const bytes = Array.from({ length: 8 }, (_, at) =>
    means.slice(at * 8, at * 8 + 8).reduce((byte, mean) => (byte << 1) | (mean > 128 ? 1 : 0), 0),
  );
  if (means.length !== COLUMNS * ROWS || bytes[0] !== MARK || crc8(bytes.slice(0, 7)) !== bytes[7]) return null;
  return bytes.slice(1, 7).reduce((time, byte) => time * 256 + byte, 0);
}

/** Draws a time into a gray band of `width` x `height` pixels, as the scene does: for the stand-in's loop. */
export function drawBand(time, width, height) {
  const bytes = [MARK];
  for (let at = 5; at >= 0; at--) bytes.push(Math.floor(time / 256 ** at) % 256);
  bytes.push(crc8(bytes));
  const band = Buffer.alloc(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const cell = Math.floor((y * ROWS) / height) * COLUMNS + Math.floor((x * COLUMNS) / width);
      band[y * width + x] = (bytes[cell >> 3] >> (7 - (cell & 7))) & 1 ? 235 : 16;
    }
  }
  return band;
}

/**
 * Runs in the page: looks at each picture that is presented for `ms`, and gives the cells' means with the moment
 * of the look in milliseconds since 1970.
 */
export async function lookAtPictures(ms) {
  const video = document.querySelector("video");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const look = () => {
    const [columns, rows] = [32, 2];
    canvas.width = video.videoWidth;
    canvas.height = Math.floor(video.videoHeight / 10);
    context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight);
    const at = Date.now();
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const [cellWidth, cellHeight] = [video.videoWidth / columns, video.videoHeight / 20];
    const means = [];
    for (let cell = 0; cell < columns * rows; cell++) {
      const [left, top] = [(cell % columns) * cellWidth, Math.floor(cell / columns) * cellHeight];
      let [sum, count] = [0, 0];
      for (let y = Math.ceil(top + cellHeight / 4); y < top + (cellHeight * 3) / 4; y++) {
        for (let x = Math.ceil(left + cellWidth / 4); x < left + (cellWidth * 3) / 4; x++, count++) {
          sum += data[(y * canvas.width + x) * 4 + 1];
        }
      }
      means.push(sum / count);
    }
    return { at, means };
  };
  const looks = [];
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    await Promise.race([
      new Promise((resolve) => video.requestVideoFrameCallback(resolve)),
      new Promise((resolve) => setTimeout(resolve, 1000)),
    ]);
    looks.push(look());
  }
  return looks;
}
