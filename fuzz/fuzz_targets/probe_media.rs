//! Any first bytes of a file: what they are taken for is media, by a type that a header can carry, and does not depend
//! on what lies behind the bytes that are looked at.
//! `./scripts/fuzz probe_media`

#![no_main]

use libfuzzer_sys::fuzz_target;
use perch_fuzz::chunk::{MediaKind, probe_media};

fuzz_target!(|bytes: &[u8]| {
    if let Some(media) = probe_media(bytes) {
        assert!(media.kind != MediaKind::Other);
        let of = ["video/", "audio/", "image/"];
        assert!(of.iter().any(|of| media.content_type.starts_with(of)));
        assert!(media.content_type.bytes().all(|byte| byte.is_ascii_graphic()));
    }
});
