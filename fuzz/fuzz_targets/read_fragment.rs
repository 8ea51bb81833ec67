//! Any bytes as a fragment behind a header of ours: an error, or samples that all lie inside of the bytes.
//! `./scripts/fuzz read_fragment`

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use perch_fuzz::cmaf::{ReadHeader, TrackOrigin, TrackWriter, read_fragment, read_init};
use perch_fuzz::media::{AudioParameters, TrackParameters};

static HEADER: LazyLock<ReadHeader> = LazyLock::new(|| {
    let parameters = TrackParameters::Audio(AudioParameters {
        asc: vec![0x11, 0x90].into(),
        sample_rate: 48_000,
        channels: 2,
        bitrate_bps: 64_000,
    });
    let origin = TrackOrigin {
        msn: 0,
        start_ticks: 0,
    };
    let writer = TrackWriter::new(parameters, origin).expect("parameters that fit a header");
    read_init(&writer.init_segment().bytes).expect("our own header")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(fragment) = read_fragment(bytes, &HEADER) {
        assert!(fragment.bytes_count <= bytes.len());
        for sample in &fragment.samples {
            assert!(
                bytes
                    .get(sample.offset..sample.offset + sample.size_bytes)
                    .is_some()
            );
        }
    }
});
