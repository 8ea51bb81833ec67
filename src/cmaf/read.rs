//! Reads headers and fragments back, as the store does after a crash and whoever receives pushed segments.
//! Returns an error, never panics, on any input; allocates no more than the input's own size.

use std::ops::Range;

use bytes::Bytes;
use mp4_atom::{Atom, Avcc, Btrt, Mdhd, Tfdt, Tfhd, Trex, Trun, esds::Esds};

use super::NON_SYNC_BIT;
use super::box_walk::{BoxView, BoxWalk, find, find_optional, kind_name};
use crate::media::{AudioParameters, FrameRate, TrackParameters, VideoParameters};

/// Bytes before the child boxes of a visual sample entry (ISO/IEC 14496-12 §12.1.3).
const VISUAL_ENTRY_BYTES: usize = 78;
/// Bytes before the child boxes of an audio sample entry (ISO/IEC 14496-12 §12.2.3).
const AUDIO_ENTRY_BYTES: usize = 28;
/// Descriptors nest in each other without a bound of their own; this many bytes cannot nest deep.
const ESDS_BYTES_MAX: usize = 1024;
/// More samples than any fragment of ours or of a sane sender has.
const SAMPLES_MAX: usize = 1 << 16;

/// Why bytes are no header or fragment that we can use.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    /// A box's size is less than its header or more than what is left.
    #[error("box at byte {offset} does not fit what holds it")]
    BoxOutOfBounds {
        /// From the start of the box that holds it.
        offset: usize,
    },
    /// A box that must be there is not.
    #[error("no {0} box")]
    MissingBox(&'static str),
    /// A box whose fields contradict its size or each other.
    #[error("malformed {0} box")]
    MalformedBox(&'static str),
    /// A codec other than H.264 (`avc1`) and AAC (`mp4a`).
    #[error("sample entry is neither avc1 nor mp4a")]
    UnknownCodec,
    /// A sample that lies outside the fragment's `mdat`.
    #[error("sample {index} lies outside of mdat")]
    SampleOutOfBounds {
        /// Of the sample, from 0.
        index: usize,
    },
    /// More than 65536 samples.
    #[error("{0} samples in one fragment are too many")]
    TooManySamples(usize),
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadHeader {
    /// How to decode the track. `frame_rate` is exact when a frame is a whole number of ticks;
    /// `bitrate_bps` is 0 when the header does not tell.
    pub parameters: TrackParameters,
    /// The track's number within the file.
    pub track_id: u32,
    /// Ticks a second of the fragments' times; at least 1.
    pub timescale: u32,
    /// Duration of a sample whose fragment gives none, in ticks.
    pub default_duration_ticks: u32,
    /// Size of a sample whose fragment gives none, in bytes.
    pub default_size_bytes: u32,
    /// Whether a sample whose fragment gives no flags decodes alone.
    pub default_sync: bool,
}

/// One sample of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSample {
    /// Of its first byte, from the fragment's first byte.
    pub offset: usize,
    /// In bytes.
    pub size_bytes: usize,
    /// In ticks.
    pub duration_ticks: u32,
    /// Decodes by itself.
    pub sync: bool,
}

/// What a fragment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFragment {
    /// `mfhd`'s sequence number.
    pub sequence: u32,
    /// Decode time of the first sample, in ticks.
    pub start_ticks: u64,
    /// Its samples in order; all within the given bytes.
    pub samples: Vec<ReadSample>,
    /// Size of the fragment in bytes, `moof` and `mdat` and what stands between; the next one starts here.
    pub bytes_count: usize,
}

impl ReadFragment {
    /// Sum of the samples' durations, in ticks.
    pub fn duration_ticks(&self) -> u64 {
        self.samples
            .iter()
            .map(|sample| u64::from(sample.duration_ticks))
            .sum()
    }
}

/// Reads a header with one track (ISO/IEC 23000-19 §7.3.1).
pub fn read_init(bytes: &[u8]) -> Result<ReadHeader, ReadError> {
    let moov = find(bytes, b"moov")?;
    let trak = find(moov, b"trak")?;
    let mdia = find(trak, b"mdia")?;
    let mdhd: Mdhd = decode(find(mdia, b"mdhd")?, "mdhd")?;
    if mdhd.timescale == 0 {
        return Err(ReadError::MalformedBox("mdhd"));
    }
    let trex: Trex = decode(find(find(moov, b"mvex")?, b"trex")?, "trex")?;
    let entry = sample_entry_box(mdia)?;
    let parameters = read_entry(&entry, mdhd.timescale, trex.default_sample_duration)?;
    Ok(ReadHeader {
        parameters,
        track_id: trex.track_id,
        timescale: mdhd.timescale,
        default_duration_ticks: trex.default_sample_duration,
        default_size_bytes: trex.default_sample_size,
        default_sync: trex.default_sample_flags & NON_SYNC_BIT == 0,
    })
}

/// The sample entry of a header with one track, header and body (ISO/IEC 14496-12 §8.5.2).
pub(super) fn sample_entry(bytes: &[u8]) -> Result<&[u8], ReadError> {
    let trak = find(find(bytes, b"moov")?, b"trak")?;
    let entry = sample_entry_box(find(trak, b"mdia")?)?;
    Ok(entry.whole)
}

fn sample_entry_box(mdia: &[u8]) -> Result<BoxView<'_>, ReadError> {
    let stbl = find(find(mdia, b"minf")?, b"stbl")?;
    let stsd = find(stbl, b"stsd")?;
    // Version, flags and a count of entries stand before the entries.
    let entries = stsd.get(8..).ok_or(ReadError::MalformedBox("stsd"))?;
    BoxWalk::new(entries)
        .next()
        .ok_or(ReadError::MalformedBox("stsd"))?
}

/// What a sample entry says of how to decode a track of `timescale` ticks a second, whose samples last `duration_ticks`.
pub(super) fn read_entry(
    entry: &BoxView<'_>,
    timescale: u32,
    duration_ticks: u32,
) -> Result<TrackParameters, ReadError> {
    match &entry.kind {
        b"avc1" => {
            let frame_rate = reduced(timescale, duration_ticks.max(1));
            read_avc1(entry.body, frame_rate).map(TrackParameters::Video)
        }
        b"mp4a" => read_mp4a(entry.body, timescale).map(TrackParameters::Audio),
        _ => Err(ReadError::UnknownCodec),
    }
}

fn read_avc1(body: &[u8], frame_rate: FrameRate) -> Result<VideoParameters, ReadError> {
    let malformed = ReadError::MalformedBox("avc1");
    let children = body.get(VISUAL_ENTRY_BYTES..).ok_or(malformed)?;
    let size = |at: usize| u32::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let avcc: Avcc = decode(find(children, b"avcC")?, "avcC")?;
    let mut record = Vec::new();
    avcc.encode_body(&mut record)
        .map_err(|_| ReadError::MalformedBox("avcC"))?;
    Ok(VideoParameters {
        avcc: Bytes::from(record),
        width: size(24),
        height: size(26),
        frame_rate,
        bitrate_bps: read_bitrate(children)?,
    })
}

fn read_mp4a(body: &[u8], sample_rate: u32) -> Result<AudioParameters, ReadError> {
    let malformed = ReadError::MalformedBox("mp4a");
    let children = body.get(AUDIO_ENTRY_BYTES..).ok_or(malformed)?;
    let channels = u16::from_be_bytes([body[16], body[17]]);
    let esds = find(children, b"esds")?;
    if esds.len() > ESDS_BYTES_MAX {
        return Err(ReadError::MalformedBox("esds"));
    }
    let esds: Esds = decode(esds, "esds")?;
    let config = esds.es_desc.dec_config;
    let asc = config
        .dec_specific
        .ok_or(ReadError::MalformedBox("esds"))?
        .raw;
    Ok(AudioParameters {
        asc: Bytes::from(asc),
        sample_rate,
        channels: u8::try_from(channels).map_err(|_| malformed)?,
        bitrate_bps: config.avg_bitrate,
    })
}

fn read_bitrate(children: &[u8]) -> Result<u32, ReadError> {
    match find_optional(children, b"btrt")? {
        Some(body) => Ok(decode::<Btrt>(body, "btrt")?.avg_bitrate),
        None => Ok(0),
    }
}

/// Reads the first fragment of `bytes` (ISO/IEC 23000-19 §7.3.2); boxes before its `moof` are skipped.
/// `header` fills in what the fragment leaves out. Fragments of several tracks are refused.
pub fn read_fragment(bytes: &[u8], header: &ReadHeader) -> Result<ReadFragment, ReadError> {
    let mut walk = BoxWalk::new(bytes);
    let moof = seek(&mut walk, b"moof")?;
    let mdat = seek(&mut walk, b"mdat")?;
    let media = mdat.body_offset..mdat.body_offset + mdat.body.len();
    read_moof(&moof, media, header)
}

/// Reads a `moof` whose samples lie in `media`, both by offsets from the walked buffer's start.
pub(super) fn read_moof(
    moof: &BoxView<'_>,
    media: Range<usize>,
    header: &ReadHeader,
) -> Result<ReadFragment, ReadError> {
    let mfhd = find(moof.body, b"mfhd")?;
    let sequence = mfhd
        .get(4..8)
        .and_then(|field| field.try_into().ok())
        .map(u32::from_be_bytes)
        .ok_or(ReadError::MalformedBox("mfhd"))?;
    let traf = find(moof.body, b"traf")?;
    let tfhd: Tfhd = decode(find(traf, b"tfhd")?, "tfhd")?;
    if tfhd.track_id != header.track_id || !tfhd.default_base_is_moof {
        return Err(ReadError::MalformedBox("tfhd"));
    }
    let tfdt: Tfdt = decode(find(traf, b"tfdt")?, "tfdt")?;

    let defaults = SampleDefaults {
        duration_ticks: tfhd
            .default_sample_duration
            .unwrap_or(header.default_duration_ticks),
        size_bytes: tfhd
            .default_sample_size
            .unwrap_or(header.default_size_bytes),
        sync: tfhd
            .default_sample_flags
            .map_or(header.default_sync, |flags| flags & NON_SYNC_BIT == 0),
    };
    let mut samples = Vec::new();
    let mut offset = media.start;
    for view in BoxWalk::new(traf) {
        let view = view?;
        if &view.kind != b"trun" {
            continue;
        }
        let trun: Trun = decode(view.body, "trun")?;
        if let Some(data_offset) = trun.data_offset {
            offset = usize::try_from(data_offset)
                .ok()
                .and_then(|from_moof| moof.offset.checked_add(from_moof))
                .ok_or(ReadError::MalformedBox("trun"))?;
        }
        let count = samples.len() + trun.samples.len();
        if count > SAMPLES_MAX {
            return Err(ReadError::TooManySamples(count));
        }
        for entry in trun.samples.iter() {
            let size_bytes = entry.size.unwrap_or(defaults.size_bytes) as usize;
            let end = offset.checked_add(size_bytes);
            if offset < media.start || end.is_none_or(|end| end > media.end) {
                return Err(ReadError::SampleOutOfBounds {
                    index: samples.len(),
                });
            }
            samples.push(ReadSample {
                offset,
                size_bytes,
                duration_ticks: entry.duration.unwrap_or(defaults.duration_ticks),
                sync: entry
                    .flags
                    .map_or(defaults.sync, |flags| flags & NON_SYNC_BIT == 0),
            });
            offset += size_bytes;
        }
    }
    Ok(ReadFragment {
        sequence,
        start_ticks: tfdt.base_media_decode_time,
        samples,
        bytes_count: media.end,
    })
}

struct SampleDefaults {
    duration_ticks: u32,
    size_bytes: u32,
    sync: bool,
}

fn seek<'a>(walk: &mut BoxWalk<'a>, kind: &'static [u8; 4]) -> Result<BoxView<'a>, ReadError> {
    for view in walk {
        let view = view?;
        if &view.kind == kind {
            return Ok(view);
        }
    }
    Err(ReadError::MissingBox(kind_name(kind)))
}

/// Decodes a box's body with `mp4-atom`. Only for boxes without children: its containers recurse as
/// deep as the input nests.
fn decode<T: Atom>(mut body: &[u8], name: &'static str) -> Result<T, ReadError> {
    T::decode_body(&mut body).map_err(|_| ReadError::MalformedBox(name))
}

fn reduced(numerator: u32, denominator: u32) -> FrameRate {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    FrameRate {
        numerator: numerator / a,
        denominator: denominator / a,
    }
}
