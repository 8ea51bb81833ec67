//! The clock burned into the test scene: civil time as 64 black and white cells that survive scaling and
//! coarse encoding, so that whoever decodes a picture can tell when it was made.
//!
//! The cells fill the top tenth of the picture: 2 rows of 32, each cell `width / 32` wide and `height / 20`
//! high, whatever the picture's size. The centre of cell (row r, column c) lies at
//! `x = (c + 0.5) * width / 32`, `y = (r + 0.5) * height / 20`. White is 1, black is 0; read row 0 first, each
//! row from the left, most significant bit first, as 8 bytes:
//!
//! | byte | content |
//! |---|---|
//! | 0 | 0xB5, the mark of a clock |
//! | 1–6 | milliseconds since 1970-01-01T00:00:00Z, big-endian |
//! | 7 | CRC-8 (polynomial 0x07, start 0, not reflected) of bytes 0–6 |
//!
//! A reader averages the inner half of each cell and calls it white above 128 of luma (0–255).

use crate::base::Wall;

const COLUMNS: usize = 32;
const ROWS: usize = 2;
/// Rows of cells that the whole height would hold.
const ROWS_PER_HEIGHT: usize = 20;
const MARK: u8 = 0xB5;
const BLACK: u8 = 16;
const WHITE: u8 = 235;

/// Height in pixels of the band of cells in a picture of `height` rows.
pub(super) fn band_height(height: usize) -> usize {
    height * ROWS / ROWS_PER_HEIGHT
}

/// Draws `wall` into the top tenth of a luma plane. Times before 1970 or after the year 10889 read back
/// as another time.
pub fn draw_clock(luma: &mut [u8], width: usize, height: usize, stride: usize, wall: Wall) {
    let bits = u64::from_be_bytes(code(wall));
    for row in 0..ROWS {
        let top = row * height / ROWS_PER_HEIGHT;
        let bottom = (row + 1) * height / ROWS_PER_HEIGHT;
        if top == bottom {
            continue;
        }
        let first = top * stride;
        for column in 0..COLUMNS {
            let bit = bits >> (63 - (row * COLUMNS + column)) & 1;
            let value = if bit == 1 { WHITE } else { BLACK };
            luma[first + column * width / COLUMNS..first + (column + 1) * width / COLUMNS]
                .fill(value);
        }
        for y in top + 1..bottom {
            luma.copy_within(first..first + width, y * stride);
        }
    }
}

/// Reads the clock out of a decoded luma plane of `width` x `height` pixels, `stride` bytes a row.
/// `None` if there is no clock, it is unreadable, or the plane is too small to hold one.
pub fn read_clock(luma: &[u8], width: usize, height: usize, stride: usize) -> Option<Wall> {
    if width < 2 * COLUMNS || height < 2 * ROWS_PER_HEIGHT || stride < width {
        return None;
    }
    let mut bits = 0u64;
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let white = cell_mean(luma, width, height, stride, row, column)? > 128;
            bits = bits << 1 | u64::from(white);
        }
    }
    let bytes = bits.to_be_bytes();
    (bytes[0] == MARK && crc8(&bytes[..7]) == bytes[7])
        .then_some(Wall((bits >> 8 & 0xFFFF_FFFF_FFFF) as i64))
}

/// Mean luma of the inner half of a cell.
fn cell_mean(
    luma: &[u8],
    width: usize,
    height: usize,
    stride: usize,
    row: usize,
    column: usize,
) -> Option<u32> {
    // In quarters of a cell: the inner half is the second and third quarter.
    let x = (4 * column + 1) * width / (4 * COLUMNS)..(4 * column + 3) * width / (4 * COLUMNS);
    let y = (4 * row + 1) * height / (4 * ROWS_PER_HEIGHT)
        ..(4 * row + 3) * height / (4 * ROWS_PER_HEIGHT);
    let count = (x.len() * y.len()) as u32;
    let mut sum = 0u32;
    for line in y {
        let pixels = luma.get(line * stride + x.start..line * stride + x.end)?;
        sum += pixels.iter().map(|&pixel| u32::from(pixel)).sum::<u32>();
    }
    sum.checked_div(count)
}

fn code(wall: Wall) -> [u8; 8] {
    let mut bytes = ((wall.0 as u64) << 8).to_be_bytes();
    bytes[0] = MARK;
    bytes[7] = crc8(&bytes[..7]);
    bytes
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| {
            crc << 1 ^ if crc & 0x80 != 0 { 0x07 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(width: usize, height: usize, wall: i64) -> Vec<u8> {
        let mut luma = vec![90; width * height];
        draw_clock(&mut luma, width, height, width, Wall(wall));
        luma
    }

    #[test]
    fn clock_reads_back_at_every_size_of_the_ladder() {
        for (width, height) in [
            (1920, 1080),
            (1280, 720),
            (854, 480),
            (426, 240),
            (136, 240),
            (320, 180),
        ] {
            for wall in [0, 1, 1_763_712_000_005, (1 << 48) - 1] {
                let luma = plane(width, height, wall);
                assert_eq!(
                    read_clock(&luma, width, height, width),
                    Some(Wall(wall)),
                    "{width}x{height}"
                );
            }
        }
    }

    #[test]
    fn clock_reads_back_through_noise_and_low_contrast() {
        let mut luma = plane(426, 240, 1_763_712_000_005);
        for (n, pixel) in luma.iter_mut().enumerate() {
            *pixel = 64 + *pixel / 2 + (n * 7919 % 23) as u8;
        }
        assert_eq!(
            read_clock(&luma, 426, 240, 426),
            Some(Wall(1_763_712_000_005))
        );
    }

    #[test]
    fn one_wrong_cell_is_no_time() {
        for cell in 0..32 {
            let mut luma = plane(640, 360, 1_763_712_000_005);
            for y in 0..18 {
                for x in cell * 20..(cell + 1) * 20 {
                    luma[y * 640 + x] = 251 - luma[y * 640 + x];
                }
            }
            assert_eq!(read_clock(&luma, 640, 360, 640), None, "cell {cell}");
        }
    }

    #[test]
    fn what_holds_no_clock_reads_as_none() {
        assert_eq!(read_clock(&[], 0, 0, 0), None);
        assert_eq!(read_clock(&[16; 426 * 240], 426, 240, 426), None);
        assert_eq!(read_clock(&[235; 100], 426, 240, 426), None);
        assert_eq!(read_clock(&plane(426, 240, 5), 426, 240, 400), None);
    }
}
