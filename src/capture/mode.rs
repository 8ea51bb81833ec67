//! What a camera offers: each picture format, size and rate, as plain values.
//! Read from the driver by `discover`, judged by `negotiate`.

use std::fmt;

use super::ioctl::SizeAnswer;
use crate::media::{FrameRate, PixelFormat};

/// How often a camera delivers pictures of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameRates {
    /// These and no others.
    Discrete(Vec<FrameRate>),
    /// Anything between the two.
    Range {
        /// The lowest rate.
        slowest: FrameRate,
        /// The highest rate.
        fastest: FrameRate,
    },
    /// The driver does not say: capture dongles deliver what their input does.
    Unknown,
}

/// One way for a camera to deliver pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Layout of the picture.
    pub format: PixelFormat,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Rates at this size.
    pub rates: FrameRates,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{} {}", self.width, self.height, self.format)?;
        match &self.rates {
            FrameRates::Discrete(rates) => {
                for (index, rate) in rates.iter().enumerate() {
                    f.write_str(if index == 0 { " " } else { "/" })?;
                    write_rate(f, *rate)?;
                }
                Ok(())
            }
            FrameRates::Range { slowest, fastest } => {
                f.write_str(" ")?;
                write_rate(f, *slowest)?;
                f.write_str("-")?;
                write_rate(f, *fastest)
            }
            FrameRates::Unknown => f.write_str(" at the input's rate"),
        }
    }
}

/// At most two decimals: `30`, `29.97`.
fn write_rate(f: &mut fmt::Formatter<'_>, rate: FrameRate) -> fmt::Result {
    write!(f, "{}", (rate.as_f64() * 100.0).round() / 100.0)
}

/// The format that a V4L2 fourcc stands for, if it is one that we read (videodev2.h, V4L2_PIX_FMT_*).
pub(super) fn format_of_fourcc(fourcc: u32) -> Option<PixelFormat> {
    match &fourcc.to_le_bytes() {
        b"YU12" => Some(PixelFormat::I420),
        b"NV12" => Some(PixelFormat::Nv12),
        b"YUYV" => Some(PixelFormat::Yuyv),
        b"MJPG" | b"JPEG" => Some(PixelFormat::Mjpg),
        b"H264" => Some(PixelFormat::H264),
        _ => None,
    }
}

/// Sizes worth asking for where a driver scales to anything, largest first.
const STANDARD_SIZES: [(u32, u32); 10] = [
    (3840, 2160),
    (1920, 1080),
    (1640, 1232),
    (1600, 1200),
    (1280, 960),
    (1280, 720),
    (854, 480),
    (640, 480),
    (640, 360),
    (320, 240),
];

/// The sizes that an answer stands for: itself, or of a range the standard ones inside it.
/// A range without any of them gives its largest size.
pub(super) fn sizes_of(answer: SizeAnswer) -> Vec<(u32, u32)> {
    match answer {
        SizeAnswer::Discrete { width, height } => vec![(width, height)],
        SizeAnswer::Stepwise { width, height } => {
            let mut sizes: Vec<_> = STANDARD_SIZES
                .into_iter()
                .filter(|&(w, h)| is_step(width, w) && is_step(height, h))
                .collect();
            if sizes.is_empty() {
                sizes.push((width[1], height[1]));
            }
            sizes
        }
    }
}

/// Whether `value` is one of `[min, max, step]`.
fn is_step([min, max, step]: [u32; 3], value: u32) -> bool {
    (min..=max).contains(&value) && (value - min).is_multiple_of(step.max(1))
}

/// The smallest distance between rows and the size in bytes of a raw picture with that distance, or with the
/// driver's own larger `stride`. `(0, 0)` for a compressed format, whose pictures vary.
pub(super) fn raw_layout(
    format: PixelFormat,
    width: u32,
    height: u32,
    stride: u32,
) -> (u32, usize) {
    let (rows, even_rows) = (height as usize, height.next_multiple_of(2) as usize);
    match format {
        PixelFormat::Yuyv => {
            let stride = stride.max(width.next_multiple_of(2) * 2);
            (stride, stride as usize * rows)
        }
        PixelFormat::Nv12 => {
            let stride = stride.max(width.next_multiple_of(2));
            (
                stride,
                stride as usize * rows + stride as usize * even_rows / 2,
            )
        }
        PixelFormat::I420 => {
            let stride = stride.max(width.next_multiple_of(2));
            (
                stride,
                stride as usize * rows + stride as usize / 2 * even_rows,
            )
        }
        PixelFormat::Mjpg | PixelFormat::H264 => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaling_driver_offers_the_standard_sizes_inside_its_bounds() {
        let sizes = |width, height| sizes_of(SizeAnswer::Stepwise { width, height });
        assert_eq!(
            sizes([16, 1280, 2], [16, 960, 2]),
            [
                (1280, 960),
                (1280, 720),
                (854, 480),
                (640, 480),
                (640, 360),
                (320, 240)
            ]
        );
        assert_eq!(
            sizes([32, 1920, 32], [8, 1088, 8]),
            [
                (1920, 1080),
                (1280, 960),
                (1280, 720),
                (640, 480),
                (640, 360),
                (320, 240)
            ]
        );
        assert_eq!(sizes([100, 200, 1], [100, 150, 1]), [(200, 150)]);
        assert_eq!(sizes([640, 640, 0], [360, 360, 0]), [(640, 360)]);
    }

    #[test]
    fn padded_rows_are_counted_in_every_plane() {
        let check = |format, stride, expected| {
            assert_eq!(raw_layout(format, 640, 360, stride), expected, "{format}");
        };
        check(PixelFormat::Yuyv, 0, (1280, 460_800));
        check(PixelFormat::Yuyv, 1344, (1344, 483_840));
        check(PixelFormat::Nv12, 704, (704, 380_160));
        check(PixelFormat::I420, 704, (704, 380_160));
        check(PixelFormat::Mjpg, 0, (0, 0));
        assert_eq!(raw_layout(PixelFormat::Nv12, 3, 3, 0), (4, 20));
        assert_eq!(raw_layout(PixelFormat::I420, 3, 3, 0), (4, 20));
    }

    #[test]
    fn a_mode_reads_as_people_write_it() {
        let mode = Mode {
            format: PixelFormat::Yuyv,
            width: 640,
            height: 480,
            rates: FrameRates::Discrete(vec![
                FrameRate::whole(30),
                FrameRate {
                    numerator: 30_000,
                    denominator: 1001,
                },
            ]),
        };
        assert_eq!(mode.to_string(), "640x480 YUYV 30/29.97");
    }
}
