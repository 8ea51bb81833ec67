//! Any lines as the header fields of an upload: refused, or metadata that reads back, names that are one in any folder
//! and lengths that hold. `./scripts/fuzz upload_fields`

#![no_main]

use libfuzzer_sys::fuzz_target;
use perch_fuzz::upload::{Fields, Metadata, Request, SIZE_BYTES_MAX, UploadKind, UploadState};

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split(|&byte| byte == b'\n').take(16);
    let fields = lines.filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((std::str::from_utf8(&line[..colon]).ok()?, &line[colon + 1..]))
    });
    let Ok(request) = Request::read(fields.collect::<Fields<'_>>()) else {
        return;
    };
    if let Ok(creation) = request.creation() {
        let text = creation.metadata.as_str();
        assert_eq!(Metadata::parse(text).as_ref(), Ok(&creation.metadata));
        if let Some(name) = creation.metadata.name() {
            assert!(!name.contains(['/', '\\', '\0']) && name != "." && name != "..");
        }
        assert!(creation.length.is_none_or(|length| length <= SIZE_BYTES_MAX));
    }
    if let Ok(delivery) = request.delivery() {
        for length in [None, Some(0), Some(100)] {
            let state = UploadState {
                kind: UploadKind::Single,
                length,
                offset: 0,
                is_complete: false,
            };
            if let Ok(admitted) = delivery.admit(&state) {
                assert_eq!(admitted.offset, 0);
                assert!(length.is_none() || admitted.allows(101).is_err());
            }
        }
    }
});
