//! Which of a camera's modes feeds the ladder best. Pure: modes in, one choice out.
//!
//! In this order: fluent enough, reaching as many rungs as it can, cheap for the encoder, then the larger picture.
//! So a 1080p MJPG at 30 beats a small raw picture, and among modes of one class the raw one wins.

use std::cmp::Ordering;

use super::mode::{FrameRates, Mode, raw_layout};
use crate::media::{FrameFormat, FrameRate, FrameShape, PixelFormat, RungSpec};

/// What the ladder asks of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeWish {
    /// The ladder, lowest rung first; the camera should fill its last box.
    pub ladder: Vec<RungSpec>,
    /// Frames a second to come near to.
    pub rate: FrameRate,
    /// Whether the camera's own H.264 may be chosen, to become the top rung without encoding it again.
    pub take_h264: bool,
}

impl ModeWish {
    /// 30 frames a second into `ladder`, raw or MJPG.
    pub fn for_ladder(ladder: &[RungSpec]) -> Self {
        Self {
            ladder: ladder.to_vec(),
            rate: FrameRate::whole(30),
            take_h264: false,
        }
    }
}

/// A mode with the one rate to run it at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenMode {
    /// Layout of the picture.
    pub format: PixelFormat,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Rate to ask for.
    pub rate: FrameRate,
}

impl ChosenMode {
    /// What is to be expected of a camera in this mode that somebody else opens; its rows may be padded.
    pub fn frame_format(&self) -> FrameFormat {
        let (stride, _) = raw_layout(self.format, self.width, self.height, 0);
        FrameFormat {
            shape: FrameShape {
                format: self.format,
                width: self.width,
                height: self.height,
                stride,
            },
            rate: self.rate,
        }
    }
}

/// Below this a moving picture is seen to stutter, unless less was wished for; 24000/1001 passes.
fn fluent_fps(wished: FrameRate) -> f64 {
    (wished.as_f64() * 0.99).min(23.9)
}

/// The best mode for `wish`, or `None` if there is none that we read.
pub fn negotiate(modes: &[Mode], wish: &ModeWish) -> Option<ChosenMode> {
    modes
        .iter()
        .filter(|mode| mode.width >= 2 && mode.height >= 2)
        .filter(|mode| mode.format != PixelFormat::H264 || wish.take_h264)
        .filter_map(|mode| {
            let rate = best_rate(&mode.rates, wish.rate)?;
            let chosen = ChosenMode {
                format: mode.format,
                width: mode.width,
                height: mode.height,
                rate,
            };
            Some((Merit::of(&chosen, wish), chosen))
        })
        // The first of equals, as the driver lists its preferred mode first.
        .reduce(|best, next| match next.0.cmp(&best.0) {
            Ordering::Greater => next,
            _ => best,
        })
        .map(|(_, chosen)| chosen)
}

/// Merits in falling order of weight; greater is better.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Merit {
    fluency: u8,
    rungs_reached: usize,
    cheapness: i64,
    useful_pixels: u64,
    pixels_not_wasted: i64,
    rate_nearness: i64,
}

impl Merit {
    fn of(chosen: &ChosenMode, wish: &ModeWish) -> Self {
        let (width, height) = (f64::from(chosen.width), f64::from(chosen.height));
        let (box_width, box_height) = wish.ladder.last().map_or((1920.0, 1080.0), |top| {
            (f64::from(top.width), f64::from(top.height))
        });
        let scale = (box_width / width).min(box_height / height).min(1.0);
        let excess = (width * height / (box_width * box_height)).max(1.0);
        let fps = chosen.rate.as_f64();
        Self {
            fluency: match fps {
                fps if fps >= fluent_fps(wish.rate) => 3,
                fps if fps >= 14.9 => 2,
                fps if fps >= 9.9 => 1,
                _ => 0,
            },
            rungs_reached: wish
                .ladder
                .iter()
                .filter(|rung| chosen.width >= rung.width || chosen.height >= rung.height)
                .count(),
            cheapness: -(input_cost(chosen.format) * excess * 1000.0) as i64,
            useful_pixels: (width * scale) as u64 * (height * scale) as u64,
            pixels_not_wasted: -i64::from(chosen.width) * i64::from(chosen.height),
            rate_nearness: -((fps - wish.rate.as_f64()).abs() * 1000.0) as i64,
        }
    }
}

/// What a picture of a format costs before the encoder, relative to I420. Measured in ms at 1080p: YUYV to
/// I420 0.6, a JPEG decoded 7. NV12 counts as free, as every hardware encoder takes it as it is.
fn input_cost(format: PixelFormat) -> f64 {
    match format {
        PixelFormat::H264 => 0.5,
        PixelFormat::I420 | PixelFormat::Nv12 => 1.0,
        PixelFormat::Yuyv => 1.6,
        PixelFormat::Mjpg => 8.0,
    }
}

/// The rate nearest to `wished` without leaving fluency: not above it if one is fluent there, else a multiple of
/// it (every second frame dropped is even motion), else the lowest above, else the fastest.
fn best_rate(rates: &FrameRates, wished: FrameRate) -> Option<FrameRate> {
    match rates {
        FrameRates::Unknown => Some(wished),
        FrameRates::Range { slowest, fastest } => {
            let fps = wished.as_f64();
            Some(if fps > fastest.as_f64() {
                *fastest
            } else if fps < slowest.as_f64() {
                *slowest
            } else {
                wished
            })
        }
        FrameRates::Discrete(rates) => rates
            .iter()
            .copied()
            .filter(|rate| rate.numerator > 0 && rate.denominator > 0)
            .max_by_key(|rate| {
                let times = rate.as_f64() / wished.as_f64();
                let is_multiple = (times - times.round()).abs() < 0.01;
                let class = match rate.as_f64() {
                    fps if times <= 1.01 && fps >= fluent_fps(wished) => 3,
                    _ if times > 1.01 && is_multiple => 2,
                    _ if times > 1.01 => 1,
                    _ => 0,
                };
                let distance = (rate.as_f64() - wished.as_f64()).abs();
                (class, -(distance * 1000.0) as i64)
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::LADDER;

    /// Reads a table of `YUYV 640x480 30 15; MJPG …`; `a-b` is a range, no rate means unknown.
    fn modes(table: &str) -> Vec<Mode> {
        let format = |name: &str| match name {
            "I420" => PixelFormat::I420,
            "NV12" => PixelFormat::Nv12,
            "YUYV" => PixelFormat::Yuyv,
            "MJPG" => PixelFormat::Mjpg,
            "H264" => PixelFormat::H264,
            _ => panic!("no format: {name}"),
        };
        let whole = |text: &str| FrameRate::whole(text.parse().expect("a rate"));
        table
            .split(';')
            .map(|row| {
                let words: Vec<_> = row.split_whitespace().collect();
                let (width, height) = words[1].split_once('x').expect("a size");
                let rates = match words[2..] {
                    [] => FrameRates::Unknown,
                    [range] if range.contains('-') => {
                        let (slowest, fastest) = range.split_once('-').expect("a range");
                        FrameRates::Range {
                            slowest: whole(slowest),
                            fastest: whole(fastest),
                        }
                    }
                    ref rates => FrameRates::Discrete(rates.iter().map(|r| whole(r)).collect()),
                };
                Mode {
                    format: format(words[0]),
                    width: width.parse().expect("a width"),
                    height: height.parse().expect("a height"),
                    rates,
                }
            })
            .collect()
    }

    fn choice(table: &str, take_h264: bool) -> String {
        let wish = ModeWish {
            take_h264,
            ..ModeWish::for_ladder(&LADDER)
        };
        negotiate(&modes(table), &wish).map_or("none".to_owned(), |chosen| {
            format!(
                "{} {}x{} {}",
                chosen.format,
                chosen.width,
                chosen.height,
                chosen.rate.as_f64()
            )
        })
    }

    fn check(table: &str, expected: &str) {
        assert_eq!(choice(table, false), expected, "{table}");
    }

    const C920: &str = "YUYV 640x480 30 24 20 15 10; YUYV 160x90 30 24; YUYV 640x360 30 24 20; \
        YUYV 800x600 24 20 15; YUYV 864x480 24 20; YUYV 1280x720 10 7 5; YUYV 1600x896 7 5; \
        YUYV 1920x1080 5; YUYV 2304x1536 2; H264 640x480 30; H264 1280x720 30; H264 1920x1080 30 24; \
        MJPG 640x480 30; MJPG 1280x720 30 24; MJPG 1600x896 30 24; MJPG 1920x1080 30 24 20";

    #[test]
    fn large_mjpg_at_30_beats_what_raw_can_do_over_usb_2() {
        check(C920, "MJPG 1920x1080 30");
        // Microdia-style 720p webcam.
        check(
            "MJPG 1280x720 30; MJPG 640x480 30; YUYV 1280x720 9; YUYV 640x480 30; YUYV 320x240 30",
            "MJPG 1280x720 30",
        );
    }

    #[test]
    fn the_cameras_own_h264_is_taken_only_when_wished() {
        assert_eq!(choice(C920, true), "H264 1920x1080 30");
        check("H264 1920x1080 30", "none");
    }

    #[test]
    fn raw_wins_where_it_is_as_large_and_as_fluent() {
        // USB 3 capture dongle.
        check(
            "MJPG 1920x1080 60 30; YUYV 1920x1080 60 30; NV12 1920x1080 60 30",
            "NV12 1920x1080 30",
        );
        // USB 2 capture dongle (MS2109).
        check(
            "MJPG 1920x1080 30 25; MJPG 1280x720 60 50 30; YUYV 1920x1080 5; YUYV 1280x720 10; YUYV 720x480 30",
            "MJPG 1920x1080 30",
        );
        check(
            "YUYV 1280x720 30; MJPG 1280x720 30; MJPG 1280x960 30",
            "YUYV 1280x720 30",
        );
        check("YUYV 1920x1080 25; MJPG 1920x1080 30", "YUYV 1920x1080 25");
    }

    #[test]
    fn a_raspberry_pi_camera_runs_at_1080p() {
        check(
            "I420 3840x2160 1-90; I420 1920x1080 1-90; I420 1640x1232 1-90; YUYV 1920x1080 1-90; MJPG 1920x1080 1-90; \
             H264 1920x1080 1-90; NV12 640x480 1-90",
            "I420 1920x1080 30",
        );
    }

    #[test]
    fn pictures_above_the_ladder_are_taken_only_when_nothing_nearer_is_cheap() {
        check("MJPG 3840x2160 30; MJPG 1920x1080 30", "MJPG 1920x1080 30");
        check("NV12 3840x2160 30; YUYV 1920x1080 30", "YUYV 1920x1080 30");
        check("MJPG 3840x2160 30; YUYV 640x480 30", "MJPG 3840x2160 30");
    }

    #[test]
    fn fluency_comes_before_size() {
        check(
            "YUYV 1920x1080 5; YUYV 1280x720 10; YUYV 640x480 30",
            "YUYV 640x480 30",
        );
        check("YUYV 1280x720 15; YUYV 640x480 15", "YUYV 1280x720 15");
        check("YUYV 320x240 5", "YUYV 320x240 5");
    }

    #[test]
    fn rates_that_halve_evenly_are_preferred_above_30() {
        check("NV12 1920x1080 60 50", "NV12 1920x1080 60");
        check("NV12 1920x1080 50 48", "NV12 1920x1080 48");
        check("NV12 1920x1080 30 60 25", "NV12 1920x1080 30");
        check("NV12 1920x1080 15 60", "NV12 1920x1080 60");
    }

    #[test]
    fn a_slow_ladder_is_served_by_a_slow_rate() {
        let wish = ModeWish {
            rate: FrameRate::whole(10),
            ..ModeWish::for_ladder(&LADDER)
        };
        let slow = modes("YUYV 1280x720 10 5; YUYV 640x480 30 15 10");
        let chosen = negotiate(&slow, &wish).expect("there are modes");
        assert_eq!((chosen.width, chosen.rate), (1280, FrameRate::whole(10)));
        let fast = negotiate(&slow[1..], &wish).expect("there is a mode");
        assert_eq!(fast.rate, FrameRate::whole(10));
    }

    #[test]
    fn an_input_of_unknown_rate_is_taken_as_wished() {
        check("YUYV 1920x1080", "YUYV 1920x1080 30");
        check("NV12 640x360 5-15", "NV12 640x360 15");
    }

    #[test]
    fn nothing_to_choose_from_is_no_choice() {
        let wish = ModeWish::for_ladder(&LADDER);
        assert_eq!(negotiate(&[], &wish), None);
        check("YUYV 0x0 30", "none");
        let no_rate = Mode {
            format: PixelFormat::Yuyv,
            width: 640,
            height: 480,
            rates: FrameRates::Discrete(vec![FrameRate::whole(0)]),
        };
        assert_eq!(negotiate(&[no_rate], &wish), None);
    }
}
