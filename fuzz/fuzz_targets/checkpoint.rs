//! Any text as a signed checkpoint: refused, or kept as it is; and it holds under no keys that did not sign it.
//! `./scripts/fuzz checkpoint`

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use perch_fuzz::seal::{Origin, PublicKeys, SignedCheckpoint, SigningKeys};

/// New ones each time, so that no input can have been signed by them.
static KEYS: LazyLock<PublicKeys> = LazyLock::new(|| {
    let origin = Origin::of_box("porch").expect("a name of a box");
    let keys = SigningKeys::generate(origin).expect("randomness");
    keys.public_keys().clone()
});

fuzz_target!(|text: &str| {
    if let Ok(checkpoint) = SignedCheckpoint::parse(text) {
        assert_eq!(checkpoint.as_str(), text);
        assert!(checkpoint.verify(&KEYS).is_err());
    }
    if let Ok(keys) = text.parse::<PublicKeys>() {
        assert_eq!(keys.to_string().parse(), Ok(keys));
    }
});
