//! Any bytes as a CMAF header: an error or a header, never a panic.
//! `./scripts/fuzz read_init`

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = perch_fuzz::cmaf::read_init(bytes) {
        assert!(header.timescale > 0);
    }
});
