//! The test scene's sound: a low tone with a 1 kHz beep of 100 ms at the start of each civil second.
//! Samples follow each other without a gap or a click, whatever the clocks do.

use std::f32::consts::TAU;

use crate::base::Wall;
use crate::media::AudioFormat;

/// What the tone is made of: 48 kHz stereo.
pub const TONE_FORMAT: AudioFormat = AudioFormat {
    sample_rate: 48_000,
    channels: 2,
};

/// Samples of each channel in one block: 20 ms.
pub(super) const TONE_BLOCK_SAMPLES: usize = 960;

const SECOND: usize = TONE_FORMAT.sample_rate as usize;
const TONE_HZ: f32 = 220.0;
const BEEP_HZ: f32 = 1_000.0;
const BEEP_SAMPLES: usize = SECOND / 10;
/// The beep fades in and out over 2 ms, or it would click.
const FADE_SAMPLES: usize = SECOND / 500;
/// A civil second that lies further off than this moves the beep; less is rounding (`Wall` has milliseconds).
const RESYNC_SAMPLES: usize = SECOND / 200;

/// Makes the sound block by block.
pub struct SceneTone {
    /// One second of the low tone; its frequency is whole, so that it repeats.
    tone: Vec<i16>,
    beep: Vec<i16>,
    /// Position in `tone` of the next sample.
    position: usize,
    /// Samples since the last civil second.
    since_second: Option<usize>,
}

impl Default for SceneTone {
    fn default() -> Self {
        let sine = |n: usize, hz: f32, level: f32| {
            (n as f32 * hz / SECOND as f32 * TAU).sin() * level * f32::from(i16::MAX)
        };
        let fade = |n: usize| (n.min(BEEP_SAMPLES - n) as f32 / FADE_SAMPLES as f32).min(1.0);
        Self {
            tone: (0..SECOND).map(|n| sine(n, TONE_HZ, 0.02) as i16).collect(),
            beep: (0..BEEP_SAMPLES)
                .map(|n| (sine(n, BEEP_HZ, 0.25) * fade(n)) as i16)
                .collect(),
            position: 0,
            since_second: None,
        }
    }
}

impl SceneTone {
    /// The next 20 ms as interleaved S16LE, the first sample of which is heard at `wall`.
    pub fn next_block(&mut self, wall: Wall) -> Vec<u8> {
        let heard = wall.0.rem_euclid(1_000) as usize * (SECOND / 1_000);
        let mut since_second = match self.since_second {
            Some(counted) if distance(counted, heard) <= RESYNC_SAMPLES => counted,
            _ => heard,
        };
        let mut block = Vec::with_capacity(TONE_BLOCK_SAMPLES * 4);
        for _ in 0..TONE_BLOCK_SAMPLES {
            let beep = self.beep.get(since_second).copied().unwrap_or(0);
            let sample = (self.tone[self.position] + beep).to_le_bytes();
            block.extend_from_slice(&[sample[0], sample[1], sample[0], sample[1]]);
            self.position = (self.position + 1) % SECOND;
            since_second = (since_second + 1) % SECOND;
        }
        self.since_second = Some(since_second);
        block
    }
}

/// Samples between two positions of the same circular second.
fn distance(a: usize, b: usize) -> usize {
    let apart = a.abs_diff(b);
    apart.min(SECOND - apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(block: &[u8]) -> Vec<i16> {
        block
            .chunks_exact(4)
            .map(|group| i16::from_le_bytes([group[0], group[1]]))
            .collect()
    }

    #[test]
    fn the_beep_starts_with_the_civil_second() {
        let mut tone = SceneTone::default();
        let loud = |block: Vec<u8>| samples(&block).iter().any(|sample| sample.abs() > 4_000);
        assert!(!loud(tone.next_block(Wall(900))));
        for at in [920, 940, 960, 980] {
            assert!(!loud(tone.next_block(Wall(at))), "{at}");
        }
        for at in [1_000, 1_020, 1_040, 1_060, 1_080] {
            assert!(loud(tone.next_block(Wall(at))), "{at}");
        }
        assert!(!loud(tone.next_block(Wall(1_100))));
    }

    #[test]
    fn blocks_join_without_a_click() {
        let mut tone = SceneTone::default();
        let mut all = Vec::new();
        for block in 0..100i64 {
            // A clock that rounds to a millisecond either way does not disturb the samples.
            all.extend(samples(
                &tone.next_block(Wall(500 + block * 20 + block % 2)),
            ));
        }
        let step = all.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
        assert!(step < Some(1_200), "{step:?}");
        assert_eq!(all.len(), 96_000);
    }
}
