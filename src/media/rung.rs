//! The ladder: what we encode (rungs) and what we advertise (renditions).

use std::fmt;
use std::str::FromStr;

/// A step of the ladder, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// 240 rows: phones, emergencies.
    VeryLow,
    /// 480 rows.
    Low,
    /// 720 rows.
    Medium,
    /// 1080 rows: recording.
    High,
}

impl Rung {
    /// Every rung, lowest first.
    pub const ALL: [Self; 4] = [Self::VeryLow, Self::Low, Self::Medium, Self::High];

    /// The name in addresses, configuration and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::VeryLow => "very_low",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rung {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|rung| rung.name() == text)
            .ok_or(())
    }
}

/// What one rung asks of the encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RungSpec {
    /// Which step this is.
    pub rung: Rung,
    /// Picture width in pixels, even.
    pub width: u32,
    /// Picture height in pixels, even.
    pub height: u32,
    /// Video bits a second.
    pub video_bitrate_bps: u32,
    /// Sound bits a second.
    pub audio_bitrate_bps: u32,
}

/// The ladder for a 1080p camera or better, lowest first.
pub const LADDER: [RungSpec; 4] = [
    rung(Rung::VeryLow, 426, 240, 500_000, 64_000),
    rung(Rung::Low, 854, 480, 1_000_000, 128_000),
    rung(Rung::Medium, 1280, 720, 2_000_000, 192_000),
    rung(Rung::High, 1920, 1080, 4_000_000, 320_000),
];

const fn rung(rung: Rung, width: u32, height: u32, video: u32, audio: u32) -> RungSpec {
    RungSpec {
        rung,
        width,
        height,
        video_bitrate_bps: video,
        audio_bitrate_bps: audio,
    }
}

/// Fits a ladder to a camera's picture of `width` x `height` pixels: each rung keeps the camera's aspect
/// inside its box, none is larger than the camera, and the one whose box first holds the whole
/// picture ends the ladder at the camera's own size. Never empty for a non-empty ladder.
pub fn fit_ladder(ladder: &[RungSpec], width: u32, height: u32) -> Vec<RungSpec> {
    let mut fitted = Vec::with_capacity(ladder.len());
    for spec in ladder {
        let (w, h) = fit_box(width, height, spec.width, spec.height);
        fitted.push(RungSpec {
            width: w,
            height: h,
            ..*spec
        });
        if spec.width >= width && spec.height >= height {
            break;
        }
    }
    fitted
}

/// The largest even size of the same aspect as `width` x `height` inside the box, never enlarged.
fn fit_box(width: u32, height: u32, box_width: u32, box_height: u32) -> (u32, u32) {
    let scale = (f64::from(box_width) / f64::from(width))
        .min(f64::from(box_height) / f64::from(height))
        .min(1.0);
    let even = |size: u32, bound: u32| {
        let scaled = (f64::from(size) * scale / 2.0).round() as u32 * 2;
        scaled.clamp(2, bound.max(2) & !1)
    };
    (even(width, box_width), even(height, box_height))
}

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackKind {
    /// H.264.
    Video,
    /// AAC.
    Audio,
}

/// One track of one rung as it is advertised: `high`, `audio-high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RenditionId {
    /// Sound or picture.
    pub kind: TrackKind,
    /// The rung it belongs to.
    pub rung: Rung,
}

impl RenditionId {
    /// The picture of a rung.
    pub const fn video(rung: Rung) -> Self {
        Self {
            kind: TrackKind::Video,
            rung,
        }
    }

    /// The sound of a rung.
    pub const fn audio(rung: Rung) -> Self {
        Self {
            kind: TrackKind::Audio,
            rung,
        }
    }

    /// The name in addresses and folders.
    pub fn name(self) -> &'static str {
        match (self.kind, self.rung) {
            (TrackKind::Video, rung) => rung.name(),
            (TrackKind::Audio, Rung::VeryLow) => "audio-very_low",
            (TrackKind::Audio, Rung::Low) => "audio-low",
            (TrackKind::Audio, Rung::Medium) => "audio-medium",
            (TrackKind::Audio, Rung::High) => "audio-high",
        }
    }
}

impl fmt::Display for RenditionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RenditionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.strip_prefix("audio-") {
            Some(rung) => rung.parse().map(Self::audio),
            None => text.parse().map(Self::video),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: u32, height: u32, expected: &[(u32, u32)]) {
        let fitted = fit_ladder(&LADDER, width, height);
        let sizes: Vec<_> = fitted
            .iter()
            .map(|spec| (spec.width, spec.height))
            .collect();
        assert_eq!(sizes, expected, "{width}x{height}");
    }

    #[test]
    fn rungs_above_the_camera_are_not_made_up() {
        check(
            1920,
            1080,
            &[(426, 240), (854, 480), (1280, 720), (1920, 1080)],
        );
        check(
            3840,
            2160,
            &[(426, 240), (854, 480), (1280, 720), (1920, 1080)],
        );
        check(1280, 720, &[(426, 240), (854, 480), (1280, 720)]);
        check(640, 360, &[(426, 240), (640, 360)]);
        check(160, 120, &[(160, 120)]);
    }

    #[test]
    fn rungs_keep_the_cameras_aspect() {
        check(640, 480, &[(320, 240), (640, 480)]);
        check(
            1280,
            960,
            &[(320, 240), (640, 480), (960, 720), (1280, 960)],
        );
        check(
            720,
            1280,
            &[(136, 240), (270, 480), (406, 720), (608, 1080)],
        );
    }

    #[test]
    fn every_rendition_name_reads_back() {
        for rung in Rung::ALL {
            for id in [RenditionId::video(rung), RenditionId::audio(rung)] {
                assert_eq!(id.name().parse(), Ok(id));
            }
        }
        assert!("audio-".parse::<RenditionId>().is_err());
        assert!("ultra".parse::<RenditionId>().is_err());
    }
}
