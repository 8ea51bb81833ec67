//! The sample entry of a run's header (ISO/IEC 14496-12 §8.5.2), which goes into a movie as it stands.

use bytes::Bytes;

use super::super::read::{ReadError, read_init, sample_entry};
use crate::media::{TrackKind, TrackParameters};

/// How the samples of a run are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleEntry {
    parameters: TrackParameters,
    bytes: Bytes,
}

impl SampleEntry {
    /// Takes it out of a header as the track writer makes them.
    pub fn read(header: &[u8]) -> Result<Self, ReadError> {
        let read = read_init(header)?;
        if read.timescale != read.parameters.timescale() {
            return Err(ReadError::MalformedBox("mdhd"));
        }
        Ok(Self {
            parameters: read.parameters,
            bytes: Bytes::copy_from_slice(sample_entry(header)?),
        })
    }

    /// Sound or picture.
    pub fn kind(&self) -> TrackKind {
        match self.parameters {
            TrackParameters::Video(_) => TrackKind::Video,
            TrackParameters::Audio(_) => TrackKind::Audio,
        }
    }

    /// Ticks a second.
    pub fn timescale(&self) -> u32 {
        self.parameters.timescale()
    }

    /// Width and height in pixels, of a picture.
    pub(super) fn picture_size(&self) -> Option<(u32, u32)> {
        match &self.parameters {
            TrackParameters::Video(video) => Some((video.width, video.height)),
            TrackParameters::Audio(_) => None,
        }
    }

    /// Whether a decoder takes both for the same, whatever bitrate and frame rate they tell.
    pub(super) fn decodes_like(&self, other: &Self) -> bool {
        match (&self.parameters, &other.parameters) {
            (TrackParameters::Video(one), TrackParameters::Video(other)) => {
                (one.width, one.height, &one.avcc) == (other.width, other.height, &other.avcc)
            }
            (TrackParameters::Audio(one), TrackParameters::Audio(other)) => {
                (one.sample_rate, one.channels, &one.asc)
                    == (other.sample_rate, other.channels, &other.asc)
            }
            _ => false,
        }
    }

    /// Whether one track can hold both (§8.5.2: one kind; the format has one size and one timescale a track).
    pub(super) fn shares_track_with(&self, other: &Self) -> bool {
        (self.kind(), self.timescale(), self.picture_size())
            == (other.kind(), other.timescale(), other.picture_size())
    }
}

impl AsRef<[u8]> for SampleEntry {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
