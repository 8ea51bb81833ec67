//! One fragment, `moof` + `mdat` (ISO/IEC 23000-19 §7.3.2), from samples that are already cut.
//! Copies each payload once, into a buffer of exactly the right size.

use bytes::Bytes;
use mp4_atom::{Encode, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};

use super::{DELTA_SAMPLE_FLAGS, SYNC_SAMPLE_FLAGS, TRACK_ID};

/// Bytes of an `mdat` header with a 32-bit size.
const MDAT_HEADER_BYTES: usize = 8;

/// One sample of a fragment.
#[derive(Debug)]
pub(super) struct Sample {
    /// In ticks; at least 1.
    pub(super) duration_ticks: u32,
    /// Decodes by itself.
    pub(super) sync: bool,
    /// The coded bytes.
    pub(super) data: Bytes,
}

/// Writes a fragment whose first sample decodes at `start_ticks`. `scratch` is reused between calls.
/// `samples` is not empty and holds less than 2 GiB; `default_sync` is what the header's `trex` says.
pub(super) fn write_fragment(
    sequence: u32,
    start_ticks: u64,
    samples: &[Sample],
    default_sync: bool,
    scratch: &mut Vec<u8>,
) -> Bytes {
    let mut moof = moof(sequence, start_ticks, samples, default_sync);
    encode_moof(&moof, scratch);
    // The offset's field has a fixed size, so the box measured with a zero in it is as long as the final one.
    let data_offset = scratch.len() + MDAT_HEADER_BYTES;
    moof.traf[0].trun[0].data_offset =
        Some(i32::try_from(data_offset).expect("a moof of bounded samples is small"));
    encode_moof(&moof, scratch);

    let payload: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let mut bytes = Vec::with_capacity(data_offset + payload);
    bytes.extend_from_slice(scratch);
    let mdat_bytes = u32::try_from(MDAT_HEADER_BYTES + payload).expect("parts are bounded");
    bytes.extend_from_slice(&mdat_bytes.to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    for sample in samples {
        bytes.extend_from_slice(&sample.data);
    }
    Bytes::from(bytes)
}

fn encode_moof(moof: &Moof, scratch: &mut Vec<u8>) {
    scratch.clear();
    moof.encode(scratch)
        .expect("a moof without composition offsets always encodes");
}

fn moof(sequence: u32, start_ticks: u64, samples: &[Sample], default_sync: bool) -> Moof {
    let shared_duration = samples
        .iter()
        .all(|sample| sample.duration_ticks == samples[0].duration_ticks)
        .then_some(samples[0].duration_ticks);
    // Sound says nothing, a picture part that opens with an IDR says it of the first sample alone.
    let plain_tail = samples[1..].iter().all(|s| s.sync == default_sync);
    let entries: Vec<TrunEntry> = samples
        .iter()
        .enumerate()
        .map(|(index, sample)| TrunEntry {
            duration: shared_duration.is_none().then_some(sample.duration_ticks),
            size: Some(sample.data.len() as u32),
            flags: match (plain_tail, index) {
                (true, 0) if sample.sync != default_sync => Some(sample_flags(sample.sync)),
                (true, _) => None,
                (false, _) => Some(sample_flags(sample.sync)),
            },
            cts: None,
        })
        .collect();
    Moof {
        mfhd: Mfhd {
            sequence_number: sequence,
        },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: TRACK_ID,
                default_sample_duration: shared_duration,
                default_sample_flags: Some(sample_flags(default_sync)),
                default_base_is_moof: true,
                ..Default::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: start_ticks,
            }),
            trun: vec![Trun {
                data_offset: Some(0),
                samples: entries.into(),
            }],
            ..Default::default()
        }],
    }
}

fn sample_flags(sync: bool) -> u32 {
    if sync {
        SYNC_SAMPLE_FLAGS
    } else {
        DELTA_SAMPLE_FLAGS
    }
}
