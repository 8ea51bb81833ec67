//! Paints the test scene: a landscape that pans, discs that cross it, sensor noise on every pixel of every
//! picture, the machine-readable clock and the same time in digits. Everything dear is computed once, so
//! that a 1080p picture costs well under a millisecond.

use super::scene_clock::{band_height, draw_clock};
use crate::base::Wall;
use crate::media::{FrameShape, PixelFormat};

/// Noise samples; a power of two. Each row starts somewhere else in them.
const NOISE_COUNT: usize = 1 << 16;
/// Luma pixels that the landscape moves a picture; even, so that chroma moves by whole pixels.
const PAN_PIXELS: usize = 2;

/// The painter of one scene. Its pictures are I420.
pub struct ScenePicture {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    chroma: [Vec<u8>; 2],
    /// Noise of about two levels (standard deviation), as bytes to add with wrap-around.
    luma_noise: Vec<u8>,
    chroma_noise: Vec<u8>,
    random: u64,
}

impl ScenePicture {
    /// Prepares pictures of at least 64x64 pixels; odd sizes are made even.
    pub fn new(width: u32, height: u32) -> Self {
        let even = |size: u32| (size.max(64) & !1) as usize;
        let (width, height) = (even(width), even(height));
        let noise = |deviation: i32, count: usize| {
            let mut random = 0x9E37_79B9_7F4A_7C15;
            (0..count)
                .map(|_| {
                    // The sum of eight uniform bytes is close to a bell curve; its own deviation is 209.
                    let sum: i32 = next(&mut random)
                        .to_le_bytes()
                        .iter()
                        .map(|&b| i32::from(b))
                        .sum();
                    ((sum - 1_020) * deviation / 209) as u8
                })
                .collect()
        };
        Self {
            luma: landscape(width, height, 48.0, 200.0, 1),
            chroma: [
                landscape(width / 2, height / 2, 104.0, 152.0, 2),
                landscape(width / 2, height / 2, 104.0, 152.0, 3),
            ],
            luma_noise: noise(2, NOISE_COUNT + width),
            chroma_noise: noise(1, NOISE_COUNT + width),
            width,
            height,
            random: 0x2545_F491_4F6C_DD1D,
        }
    }

    /// What [`Self::paint`] fills.
    pub fn shape(&self) -> FrameShape {
        FrameShape {
            format: PixelFormat::I420,
            width: self.width as u32,
            height: self.height as u32,
            stride: self.width as u32,
        }
    }

    /// Size of a picture in bytes.
    pub fn size_bytes(&self) -> usize {
        self.width * self.height * 3 / 2
    }

    /// Paints picture number `index`, made at `wall`, over the whole of `picture`.
    /// Panics if `picture` is not [`Self::size_bytes`] long.
    pub fn paint(&mut self, index: u64, wall: Wall, picture: &mut [u8]) {
        assert_eq!(picture.len(), self.size_bytes(), "a picture has one size");
        let (width, height) = (self.width, self.height);
        let shift = index as usize * PAN_PIXELS % width;
        let (luma, chroma) = picture.split_at_mut(width * height);
        let quarter = width * height / 4;
        let random = &mut self.random;
        pan(luma, &self.luma, width, shift, &self.luma_noise, random);
        for (plane, texture) in chroma.chunks_exact_mut(quarter).zip(&self.chroma) {
            pan(
                plane,
                texture,
                width / 2,
                shift / 2,
                &self.chroma_noise,
                random,
            );
        }
        for disc in 0..3 {
            self.draw_disc(luma, index, disc);
        }
        draw_clock(luma, width, height, width, wall);
        for plane in chroma.chunks_exact_mut(quarter) {
            plane[..band_height(height) / 2 * (width / 2)].fill(128);
        }
        self.draw_digits(luma, wall);
    }

    /// One of the discs that move on circles of their own.
    fn draw_disc(&self, luma: &mut [u8], index: u64, disc: usize) {
        let (width, height) = (self.width as f64, self.height as f64);
        let radius = height / 12.0;
        let angle = index as f64 * (0.02 + disc as f64 * 0.013) + disc as f64 * 2.1;
        let x = width * (0.5 + 0.38 * angle.cos());
        let y = height * (0.6 + 0.28 * (angle * 1.3).sin());
        let shade = 70 + 60 * disc as u8;
        let rows =
            (y - radius).max(0.0) as usize..((y + radius).max(0.0) as usize).min(self.height);
        for row in rows {
            let half = (radius * radius - (row as f64 - y).powi(2)).max(0.0).sqrt();
            let left = (x - half).max(0.0) as usize;
            let right = ((x + half) as usize).min(self.width);
            if left >= right {
                continue;
            }
            let noise = &self.luma_noise
                [(row * 977 + index as usize % NOISE_COUNT * 7_919) % NOISE_COUNT..];
            let pixels = &mut luma[row * self.width + left..row * self.width + right];
            for (pixel, noise) in pixels.iter_mut().zip(noise) {
                *pixel = shade.wrapping_add(*noise);
            }
        }
    }

    /// UTC as `HH:MM:SS.mmm`, large, below the machine-readable clock.
    fn draw_digits(&self, luma: &mut [u8], wall: Wall) {
        let text = wall.to_string();
        let time = text.get(11..23).unwrap_or("");
        let scale = (self.height / 90).min(self.width / (6 * 13)).max(1);
        let (left, top) = (2 * scale, band_height(self.height) + 2 * scale);
        let bottom = (top + 9 * scale).min(self.height);
        let right = (left + 6 * scale * time.len() + scale).min(self.width);
        for row in top..bottom {
            luma[row * self.width + left..row * self.width + right].fill(16);
        }
        for (n, glyph) in time.bytes().map(glyph).enumerate() {
            for (line, bits) in glyph.into_iter().enumerate() {
                for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                    let x = left + scale + (6 * n + column) * scale;
                    for y in (0..scale).map(|y| top + (line + 1) * scale + y) {
                        if y < bottom && x + scale <= self.width {
                            luma[y * self.width + x..][..scale].fill(235);
                        }
                    }
                }
            }
        }
    }
}

/// Copies a texture shifted left by `shift`, wrapping around, and adds noise on the way.
fn pan(
    plane: &mut [u8],
    texture: &[u8],
    width: usize,
    shift: usize,
    noise: &[u8],
    random: &mut u64,
) {
    for (row, source) in plane
        .chunks_exact_mut(width)
        .zip(texture.chunks_exact(width))
    {
        let noise = &noise[next(random) as usize % NOISE_COUNT..][..width];
        let (before, after) = row.split_at_mut(width - shift);
        add(before, &source[shift..], noise);
        add(after, &source[..shift], &noise[width - shift..]);
    }
}

fn add(out: &mut [u8], texture: &[u8], noise: &[u8]) {
    for ((out, texture), noise) in out.iter_mut().zip(texture).zip(noise) {
        *out = texture.wrapping_add(*noise);
    }
}

/// Smooth hills and sharp detail, repeating at the right edge, between `low` and `high`.
fn landscape(width: usize, height: usize, low: f32, high: f32, seed: u64) -> Vec<u8> {
    let mut sum = vec![0.0f32; width * height];
    let mut weight_sum = 0.0;
    for (octave, weight) in [(4usize, 1.0f32), (16, 0.6), (48, 0.35), (160, 0.18)] {
        weight_sum += weight;
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ octave as u64;
        let lattice: Vec<f32> = (0..octave * (octave + 1))
            .map(|_| (next(&mut random) >> 40) as f32 / (1u64 << 24) as f32)
            .collect();
        let columns: Vec<(usize, usize, f32)> = (0..width)
            .map(|x| {
                let at = x as f32 * octave as f32 / width as f32;
                (at as usize, (at as usize + 1) % octave, at.fract())
            })
            .collect();
        let mut line = vec![0.0f32; octave];
        for (y, row) in sum.chunks_exact_mut(width).enumerate() {
            let at = y as f32 * octave as f32 / height as f32;
            let (top, part) = (at as usize * octave, at.fract());
            for (n, value) in line.iter_mut().enumerate() {
                let (above, below) = (lattice[top + n], lattice[top + octave + n]);
                *value = (above + (below - above) * part) * weight;
            }
            for (value, &(left, right, part)) in row.iter_mut().zip(&columns) {
                *value += line[left] + (line[right] - line[left]) * part;
            }
        }
    }
    let scale = (high - low) / weight_sum;
    sum.into_iter()
        .map(|value| (low + value * scale) as u8)
        .collect()
}

/// Xorshift64: fast, and the same on every machine.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

/// A digit, colon or point as seven rows of five pixels.
fn glyph(character: u8) -> [u8; 7] {
    match character {
        b'0' => [14, 17, 19, 21, 25, 17, 14],
        b'1' => [4, 12, 4, 4, 4, 4, 14],
        b'2' => [14, 17, 1, 2, 4, 8, 31],
        b'3' => [31, 2, 4, 2, 1, 17, 14],
        b'4' => [2, 6, 10, 18, 31, 2, 2],
        b'5' => [31, 16, 30, 1, 1, 17, 14],
        b'6' => [6, 8, 16, 30, 17, 17, 14],
        b'7' => [31, 1, 2, 4, 8, 8, 8],
        b'8' => [14, 17, 17, 14, 17, 17, 14],
        b'9' => [14, 17, 17, 15, 1, 2, 12],
        b':' => [0, 4, 4, 0, 4, 4, 0],
        _ => [0, 0, 0, 0, 0, 12, 12],
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_clock;
    use super::*;

    #[test]
    fn every_size_is_painted_whole_and_shows_its_time() {
        for (width, height) in [(64, 64), (160, 120), (641, 361), (136, 240), (1280, 720)] {
            let mut scene = ScenePicture::new(width, height);
            let shape = scene.shape();
            let mut picture = vec![0; scene.size_bytes()];
            scene.paint(u64::MAX / 4, Wall(1_763_712_000_005), &mut picture);
            assert!(
                !picture.contains(&0),
                "{width}x{height} has unpainted pixels"
            );
            let (width, height) = (shape.width as usize, shape.height as usize);
            assert_eq!(
                read_clock(&picture, width, height, width),
                Some(Wall(1_763_712_000_005))
            );
        }
    }

    #[test]
    fn the_same_place_differs_by_noise_from_picture_to_picture() {
        let mut scene = ScenePicture::new(320, 180);
        let mut pictures = [vec![0; 320 * 180 * 3 / 2], vec![0; 320 * 180 * 3 / 2]];
        for (index, picture) in pictures.iter_mut().enumerate() {
            scene.paint(index as u64 * 160, Wall(0), picture);
        }
        // After 160 pictures the pan of 320 pixels is back at its start: only noise and the discs remain.
        let rows = 40 * 320..320 * 180;
        let changed = pictures[0][rows.clone()]
            .iter()
            .zip(&pictures[1][rows])
            .filter(|(a, b)| a != b);
        let share = changed.count() as f64 / (140.0 * 320.0);
        assert!(share > 0.5, "{share}");
    }
}
