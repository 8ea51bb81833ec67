//! What a decoder must know before the first access unit.

use bytes::Bytes;

/// Frames a second as a fraction: 30000/1001 is NTSC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameRate {
    /// Frames in `denominator` seconds.
    pub numerator: u32,
    /// Seconds; at least 1.
    pub denominator: u32,
}

impl FrameRate {
    /// A whole number of frames a second.
    pub const fn whole(frames_per_second: u32) -> Self {
        Self {
            numerator: frames_per_second,
            denominator: 1,
        }
    }

    /// Frames a second, rounded only by floating point.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

/// H.264 video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoParameters {
    /// AVCDecoderConfigurationRecord with 4-byte NAL lengths (ISO/IEC 14496-15 §5.3.3.1).
    pub avcc: Bytes,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Constant: what arrives unsteadily is made steady before the encoder.
    pub frame_rate: FrameRate,
    /// What the encoder was asked to keep to, in bits a second.
    pub bitrate_bps: u32,
}

/// AAC-LC sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioParameters {
    /// AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
    pub asc: Bytes,
    /// Samples a second, which is also the track's timescale.
    pub sample_rate: u32,
    /// Number of channels, 1 to 8.
    pub channels: u8,
    /// What the encoder was asked to keep to, in bits a second.
    pub bitrate_bps: u32,
}

/// A track's parameters, fixed for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackParameters {
    /// H.264.
    Video(VideoParameters),
    /// AAC-LC.
    Audio(AudioParameters),
}

impl TrackParameters {
    /// The timescale of all video: divides evenly by 24, 25, 30, 50 and 60 frames a second.
    pub const VIDEO_TIMESCALE: u32 = 90_000;

    /// Ticks a second of this track's times.
    pub fn timescale(&self) -> u32 {
        match self {
            Self::Video(_) => Self::VIDEO_TIMESCALE,
            Self::Audio(audio) => audio.sample_rate,
        }
    }

    /// The codec as playlists name it (RFC 6381 §3.3): `avc1.42C01F`, `mp4a.40.2`.
    /// A configuration record too short to tell gives the family alone.
    pub fn rfc6381(&self) -> String {
        match self {
            Self::Video(video) => match video.avcc.get(1..4) {
                Some(&[profile, constraints, level]) => {
                    format!("avc1.{profile:02X}{constraints:02X}{level:02X}")
                }
                _ => "avc1".to_owned(),
            },
            Self::Audio(audio) => match audio.asc.first() {
                Some(first) => format!("mp4a.40.{}", first >> 3),
                None => "mp4a.40".to_owned(),
            },
        }
    }

    /// What the encoder was asked to keep to, in bits a second.
    pub fn bitrate_bps(&self) -> u32 {
        match self {
            Self::Video(video) => video.bitrate_bps,
            Self::Audio(audio) => audio.bitrate_bps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_strings_follow_the_configuration_records() {
        let video = TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x1F, 0xFF]),
            width: 1280,
            height: 720,
            frame_rate: FrameRate::whole(30),
            bitrate_bps: 2_000_000,
        });
        assert_eq!(video.rfc6381(), "avc1.42C01F");
        let audio = TrackParameters::Audio(AudioParameters {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_bps: 128_000,
        });
        assert_eq!(audio.rfc6381(), "mp4a.40.2");
        assert_eq!(audio.timescale(), 48_000);
    }
}
