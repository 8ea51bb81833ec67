//! Any bytes as a box of a clip's file and as the start of a fragment: nothing, or what lies inside of the bytes, and the
//! same of a fragment's head as of all of it. `./scripts/fuzz clip_boxes`

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use perch_fuzz::cmaf::{
    FragmentHead, ReadHeader, SampleEntry, TrackOrigin, TrackWriter, file_box, read_fragment,
    read_fragment_head, read_init,
};
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
    let total = bytes.len() as u64;
    if let Some(found) = file_box(bytes, total) {
        assert!(found.header_bytes <= found.bytes_count && found.bytes_count <= total);
    }
    let _ = SampleEntry::read(bytes);
    let mut known = 0;
    let told = loop {
        match read_fragment_head(&bytes[..known], total, &HEADER) {
            Ok(FragmentHead::Needs(more)) => {
                assert!(known < more && more <= bytes.len());
                known = more;
            }
            told => break told.ok(),
        }
    };
    let whole = read_fragment(bytes, &HEADER).ok();
    if let Some(FragmentHead::Whole(told)) = told {
        assert_eq!(Some(told), whole);
    }
});
