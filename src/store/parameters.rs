//! Track parameters as the head of a reel and the index keep them, so that both can tell how a
//! recording is decoded without reading media boxes.

use crate::base::{FieldReader, FieldWriter};
use crate::media::{AudioParameters, FrameRate, TrackParameters, VideoParameters};

const VIDEO: u8 = 1;
const AUDIO: u8 = 2;

/// Lays parameters out: a kind, then the fields in the order of their declaration.
pub(super) fn encode_parameters(parameters: &TrackParameters) -> Vec<u8> {
    let mut out = FieldWriter::default();
    match parameters {
        TrackParameters::Video(video) => {
            out.u8(VIDEO);
            out.counted(&video.avcc);
            out.u32(video.width);
            out.u32(video.height);
            out.u32(video.frame_rate.numerator);
            out.u32(video.frame_rate.denominator);
            out.u32(video.bitrate_bps);
        }
        TrackParameters::Audio(audio) => {
            out.u8(AUDIO);
            out.counted(&audio.asc);
            out.u32(audio.sample_rate);
            out.u8(audio.channels);
            out.u32(audio.bitrate_bps);
        }
    }
    out.0
}

/// Reads parameters back. `None` if the bytes end early, go on too long, are of an unknown kind,
/// or divide by nothing (a frame rate or sample rate of zero).
pub(super) fn decode_parameters(bytes: &[u8]) -> Option<TrackParameters> {
    let mut fields = FieldReader(bytes);
    let parameters = match fields.u8()? {
        VIDEO => TrackParameters::Video(VideoParameters {
            avcc: fields.counted()?,
            width: fields.u32()?,
            height: fields.u32()?,
            frame_rate: FrameRate {
                numerator: fields.u32()?,
                denominator: fields.u32().filter(|&count| count > 0)?,
            },
            bitrate_bps: fields.u32()?,
        }),
        AUDIO => TrackParameters::Audio(AudioParameters {
            asc: fields.counted()?,
            sample_rate: fields.u32().filter(|&rate| rate > 0)?,
            channels: fields.u8()?,
            bitrate_bps: fields.u32()?,
        }),
        _ => return None,
    };
    fields.0.is_empty().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn parameters_read_back_whole_or_not_at_all() {
        let video = TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x1F]),
            width: 1280,
            height: 720,
            frame_rate: FrameRate {
                numerator: 30_000,
                denominator: 1001,
            },
            bitrate_bps: 2_000_000,
        });
        let audio = TrackParameters::Audio(AudioParameters {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_bps: 128_000,
        });
        for parameters in [video, audio] {
            let mut bytes = encode_parameters(&parameters);
            assert_eq!(decode_parameters(&bytes), Some(parameters));
            for end in 0..bytes.len() {
                assert_eq!(decode_parameters(&bytes[..end]), None, "cut at {end}");
            }
            bytes.push(0);
            assert_eq!(decode_parameters(&bytes), None);
        }
        assert_eq!(decode_parameters(&[9, 0, 0]), None);
    }
}
