//! A raw picture (or a camera's own coded picture) on its way from a source to the encoder, never copied:
//! its memory belongs to the driver or a pool, and dropping the frame gives it back.

use std::fmt;

use super::FrameRate;
use crate::base::Monotonic;

/// How a picture's bytes are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Planar 4:2:0, Y then U then V.
    I420,
    /// Semi-planar 4:2:0, Y then interleaved UV.
    Nv12,
    /// Packed 4:2:2, Y U Y V.
    Yuyv,
    /// One JPEG a picture.
    Mjpg,
    /// One H.264 access unit a picture, Annex B start codes, parameter sets before each IDR.
    H264,
}

impl PixelFormat {
    /// Whether a picture's size in bytes varies.
    pub fn is_compressed(self) -> bool {
        matches!(self, Self::Mjpg | Self::H264)
    }
}

/// The name that V4L2 and people use.
impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I420 => "I420",
            Self::Nv12 => "NV12",
            Self::Yuyv => "YUYV",
            Self::Mjpg => "MJPG",
            Self::H264 => "H264",
        })
    }
}

/// Size and layout of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameShape {
    /// Layout of the bytes.
    pub format: PixelFormat,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row of the first plane to the next, padding included; 0 when compressed.
    pub stride: u32,
}

/// What a source promised to deliver: the shape of each frame and how many a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameFormat {
    /// Size and layout.
    pub shape: FrameShape,
    /// Nominal frames a second; arrival may jitter.
    pub rate: FrameRate,
}

impl fmt::Display for FrameFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrameShape {
            format,
            width,
            height,
            ..
        } = self.shape;
        write!(f, "{width}x{height} {format} {}", self.rate.as_f64())
    }
}

/// Memory that a frame borrows. Dropping it hands the memory back to the driver or pool it came from.
pub trait FrameBytes: AsRef<[u8]> + Send + Sync + 'static {}

impl<T: AsRef<[u8]> + Send + Sync + 'static> FrameBytes for T {}

/// One picture.
pub struct Frame {
    /// Size and layout; constant within a run.
    pub shape: FrameShape,
    /// When the driver saw the picture's first row.
    pub captured_at: Monotonic,
    /// The driver's count; a step over 1 means that pictures were lost.
    pub sequence: u32,
    /// The picture.
    pub bytes: Box<dyn FrameBytes>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("shape", &self.shape)
            .field("captured_at", &self.captured_at)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}
