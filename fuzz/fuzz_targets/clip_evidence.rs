//! Any bytes as the evidence in a clip's file, over any bytes as the file: an error, or evidence that is written the same
//! again and that keys which did not sign it refuse. The bytes are also read as what stands before a clip's media.
//! `./scripts/fuzz clip_evidence`

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use perch_fuzz::cmaf::HeadCheck;
use perch_fuzz::seal::{ClipEvidence, Origin, PublicKeys, SigningKeys};

/// New ones each time, so that no input can have been signed by them.
static KEYS: LazyLock<PublicKeys> = LazyLock::new(|| {
    let origin = Origin::of_box("porch").expect("a name of a box");
    let keys = SigningKeys::generate(origin).expect("randomness");
    keys.public_keys().clone()
});

fuzz_target!(|bytes: &[u8]| {
    let check = HeadCheck::new(bytes).ok();
    let tracks = check.as_ref().map(HeadCheck::ranges).unwrap_or_default();
    // Nothing was recorded, so that there is no head that fits.
    assert!(check.is_none_or(|check| check.finish().is_err()));
    if let Ok(evidence) = ClipEvidence::decode(bytes) {
        assert_eq!(evidence.encode(), bytes);
        let read = |offset: u64, buffer: &mut [u8]| {
            let found = usize::try_from(offset).ok().and_then(|start| {
                let end = start.checked_add(buffer.len())?;
                bytes.get(start..end)
            });
            found.is_some_and(|found| {
                buffer.copy_from_slice(found);
                true
            })
        };
        assert!(evidence.verify(&KEYS, read).is_err());
        let _ = evidence.track_faults(&tracks);
    }
});
