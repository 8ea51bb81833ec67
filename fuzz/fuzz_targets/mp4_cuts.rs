//! Any bytes as an MP4 file: cuts that ascend inside of the file, and chunks that end at each of them.
//! `./scripts/fuzz mp4_cuts`

#![no_main]

use libfuzzer_sys::fuzz_target;
use perch_fuzz::chunk::{ChunkSizes, Splitter, mp4_cuts};

fuzz_target!(|bytes: &[u8]| {
    let bytes_count = bytes.len() as u64;
    // So small that samples of a few bytes are worth a cut.
    let sizes = ChunkSizes::new(64, 256, 1024).expect("even, in order");
    let cuts = mp4_cuts(bytes, bytes_count, sizes).expect("memory can be read");
    assert!(cuts.is_sorted_by(|a, b| a < b));
    assert!(cuts.last().is_none_or(|last| *last <= bytes_count));
    let mut ends = Vec::new();
    let mut splitter = Splitter::new(sizes, cuts.iter().copied());
    splitter.feed(bytes, |end| ends.push(end));
    ends.extend(splitter.finish());
    assert_eq!(ends.last().copied().unwrap_or(0), bytes_count);
    for cut in cuts.iter().filter(|cut| **cut > 0) {
        assert!(ends.binary_search(cut).is_ok());
    }
});
