//! The CMAF header of one track: `ftyp` + `moov` (ISO/IEC 23000-19 §7.3.1). No samples, no edit list:
//! without B-frames presentation starts where decoding does. Written once a run by the track writer.

use bytes::Bytes;
use mp4_atom::{
    Atom, Audio, Avc1, Avcc, Btrt, Codec, Decode, Dinf, Dref, DrefEntry, Encode, FixedPoint, Ftyp,
    Hdlr, Mdhd, Mdia, Minf, Moov, Mp4a, Mvex, Mvhd, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url,
    Visual, Vmhd,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, Esds, SLConfig},
};

use super::track_writer::WriteError;
use super::{DELTA_SAMPLE_FLAGS, SYNC_SAMPLE_FLAGS, TRACK_ID};
use crate::media::{AudioParameters, InitSegment, TrackParameters, VideoParameters};

/// Samples of one AAC-LC frame (ISO/IEC 14496-3 §4.5.2.1.1).
const AAC_FRAME_SAMPLES: u32 = 1024;
/// `objectTypeIndication` of MPEG-4 audio (ISO/IEC 14496-1 §7.2.6.6).
const MPEG4_AUDIO: u8 = 0x40;
/// `streamType` of audio (ISO/IEC 14496-1 §7.2.6.6).
const AUDIO_STREAM: u8 = 5;

/// Writes the header. Fails with `InvalidParameters` if they cannot be written down.
pub(super) fn write_header(parameters: &TrackParameters) -> Result<InitSegment, WriteError> {
    let moov = moov(parameters)?;
    let mut bytes = Vec::with_capacity(1024);
    ftyp()
        .encode(&mut bytes)
        .and_then(|()| moov.encode(&mut bytes))
        .map_err(|_| WriteError::InvalidParameters("the header's boxes"))?;
    Ok(InitSegment {
        parameters: parameters.clone(),
        bytes: Bytes::from(bytes.into_boxed_slice()),
    })
}

/// The sample entry that a header has for these parameters. Fails with `InvalidParameters` if there is none.
pub(super) fn write_sample_entry(parameters: &TrackParameters) -> Result<Vec<u8>, WriteError> {
    let entry = match parameters {
        TrackParameters::Video(video) => Codec::from(avc1(video)?),
        TrackParameters::Audio(audio) => Codec::from(mp4a(audio)?),
    };
    let mut bytes = Vec::new();
    entry
        .encode(&mut bytes)
        .map_err(|_| WriteError::InvalidParameters("the sample entry"))?;
    Ok(bytes)
}

/// How long a sample lasts unless its fragment says otherwise, in ticks; at least 1.
fn default_duration_ticks(parameters: &TrackParameters) -> u32 {
    match parameters {
        TrackParameters::Video(video) => {
            let ticks = u64::from(TrackParameters::VIDEO_TIMESCALE)
                * u64::from(video.frame_rate.denominator)
                / u64::from(video.frame_rate.numerator.max(1));
            u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
        }
        TrackParameters::Audio(_) => AAC_FRAME_SAMPLES,
    }
}

fn ftyp() -> Ftyp {
    Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"cmfc".into(), b"mp41".into()],
    }
}

fn moov(parameters: &TrackParameters) -> Result<Moov, WriteError> {
    let default_sample_flags = match parameters {
        TrackParameters::Video(_) => DELTA_SAMPLE_FLAGS,
        TrackParameters::Audio(_) => SYNC_SAMPLE_FLAGS,
    };
    Ok(Moov {
        mvhd: Mvhd {
            timescale: parameters.timescale(),
            rate: FixedPoint::new(1, 0),
            volume: FixedPoint::new(1, 0),
            next_track_id: TRACK_ID + 1,
            ..Default::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: TRACK_ID,
                default_sample_description_index: 1,
                default_sample_duration: default_duration_ticks(parameters),
                default_sample_size: 0,
                default_sample_flags,
            }],
        }),
        trak: vec![trak(parameters)?],
        ..Default::default()
    })
}

fn trak(parameters: &TrackParameters) -> Result<Trak, WriteError> {
    let (handler, codec, width, height, volume) = match parameters {
        TrackParameters::Video(video) => {
            let entry = avc1(video)?;
            let size = (entry.visual.width, entry.visual.height);
            ("vide", Codec::from(entry), size.0, size.1, 0)
        }
        TrackParameters::Audio(audio) => ("soun", Codec::from(mp4a(audio)?), 0, 0, 1),
    };
    let is_video = matches!(parameters, TrackParameters::Video(_));
    let handler_bytes: [u8; 4] = handler
        .as_bytes()
        .try_into()
        .expect("handler names have four letters");
    Ok(Trak {
        tkhd: Tkhd {
            track_id: TRACK_ID,
            enabled: true,
            in_movie: true,
            volume: FixedPoint::new(volume, 0),
            width: FixedPoint::new(width, 0),
            height: FixedPoint::new(height, 0),
            ..Default::default()
        },
        mdia: Mdia {
            mdhd: Mdhd {
                timescale: parameters.timescale(),
                language: "und".to_owned(),
                ..Default::default()
            },
            hdlr: Hdlr {
                handler: handler_bytes.into(),
                name: String::new(),
            },
            minf: Minf {
                vmhd: is_video.then(Vmhd::default),
                smhd: (!is_video).then(Smhd::default),
                dinf: Dinf {
                    dref: Dref {
                        entries: vec![DrefEntry::Url(Url::default())],
                    },
                },
                stbl: Stbl {
                    stsd: Stsd {
                        codecs: vec![codec],
                    },
                    stco: Some(Stco::default()),
                    ..Default::default()
                },
                ..Default::default()
            },
        },
        ..Default::default()
    })
}

fn avc1(video: &VideoParameters) -> Result<Avc1, WriteError> {
    let avcc = Avcc::decode_body(&mut &video.avcc[..])
        .map_err(|_| WriteError::InvalidParameters("the avcC record"))?;
    if avcc.length_size != 4 {
        return Err(WriteError::InvalidParameters("the avcC's NAL length size"));
    }
    let pixels = |count: u32| match u16::try_from(count) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(WriteError::InvalidParameters("the picture's size")),
    };
    if video.frame_rate.numerator == 0 || video.frame_rate.denominator == 0 {
        return Err(WriteError::InvalidParameters("the frame rate"));
    }
    Ok(Avc1 {
        visual: Visual {
            data_reference_index: 1,
            width: pixels(video.width)?,
            height: pixels(video.height)?,
            ..Default::default()
        },
        avcc,
        btrt: Some(btrt(video.bitrate_bps)),
        ..Default::default()
    })
}

fn mp4a(audio: &AudioParameters) -> Result<Mp4a, WriteError> {
    if audio.asc.len() < 2 || audio.asc.len() > 64 {
        return Err(WriteError::InvalidParameters("the AudioSpecificConfig"));
    }
    if audio.channels == 0 || audio.sample_rate == 0 {
        return Err(WriteError::InvalidParameters("the sound's format"));
    }
    let dec_specific = DecoderSpecific::decode(&mut &audio.asc[..])
        .map_err(|_| WriteError::InvalidParameters("the AudioSpecificConfig"))?;
    Ok(Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: u16::from(audio.channels),
            sample_size: 16,
            // A rate above 65535 does not fit the field; mdhd's timescale tells it (ISO/IEC 14496-12 §12.2.3).
            sample_rate: FixedPoint::new(u16::try_from(audio.sample_rate).unwrap_or(0), 0),
        },
        esds: Esds {
            es_desc: EsDescriptor {
                es_id: 0,
                dec_config: DecoderConfig {
                    object_type_indication: MPEG4_AUDIO,
                    stream_type: AUDIO_STREAM,
                    max_bitrate: audio.bitrate_bps,
                    avg_bitrate: audio.bitrate_bps,
                    dec_specific: Some(dec_specific),
                    ..Default::default()
                },
                sl_config: SLConfig {},
                ..Default::default()
            },
        },
        btrt: Some(btrt(audio.bitrate_bps)),
        taic: None,
    })
}

fn btrt(bitrate_bps: u32) -> Btrt {
    Btrt {
        buffer_size_db: 0,
        max_bitrate: bitrate_bps,
        avg_bitrate: bitrate_bps,
    }
}
