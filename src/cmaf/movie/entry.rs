//! The sample entry of a run's header (ISO/IEC 14496-12 §8.5.2), which goes into a movie as it stands.

use bytes::Bytes;

use crate::cmaf::TRACK_ID;
use crate::cmaf::box_walk::BoxView;
use crate::cmaf::header::write_sample_entry;
use crate::cmaf::read::{ReadError, ReadHeader, read_entry, read_init, sample_entry};
use crate::media::{AudioParameters, TrackKind, TrackParameters};

/// Samples a second that AAC knows (ISO/IEC 14496-3 §1.6.3.4).
const AAC_SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

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

    /// Takes it out of a movie's track of `timescale` ticks a second, given the entry's box, if it is byte for byte what
    /// the track writer makes. Of the frame rate it says nothing.
    pub(super) fn read_own(entry: &BoxView<'_>, timescale: u32) -> Result<Self, ReadError> {
        let parameters = read_entry(entry, timescale, timescale)?;
        let own = write_sample_entry(&parameters);
        if parameters.timescale() != timescale || own.as_deref() != Ok(entry.whole) {
            return Err(ReadError::MalformedBox("stsd"));
        }
        Ok(Self {
            parameters,
            bytes: Bytes::copy_from_slice(entry.whole),
        })
    }

    /// Stands for the entry of sound of which nothing is known but that `ticks` last for `duration_ms`.
    pub(super) fn assumed_sound(ticks: u64, duration_ms: u32) -> Self {
        let rate = ticks.saturating_mul(1000) / u64::from(duration_ms.max(1));
        let nearest = AAC_SAMPLE_RATES.into_iter();
        let nearest = nearest.min_by_key(|known| u64::from(*known).abs_diff(rate));
        Self {
            parameters: TrackParameters::Audio(AudioParameters {
                asc: Bytes::new(),
                sample_rate: nearest.expect("there are some"),
                channels: 1,
                bitrate_bps: 0,
            }),
            bytes: Bytes::new(),
        }
    }

    /// What a fragment of such samples is read with. It has to tell all that it may leave to a header.
    pub(super) fn fragment_header(&self) -> ReadHeader {
        ReadHeader {
            parameters: self.parameters.clone(),
            track_id: TRACK_ID,
            timescale: self.timescale(),
            default_duration_ticks: 0,
            default_size_bytes: 0,
            default_sync: false,
        }
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
