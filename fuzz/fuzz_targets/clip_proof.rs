//! Any bytes as the proof of a clip: an error, or a proof that is written the same again and that keys which did not
//! sign it refuse. `./scripts/fuzz clip_proof`

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use perch_fuzz::seal::{ClipProof, Origin, PublicKeys, SigningKeys};

/// New ones each time, so that no input can have been signed by them.
static KEYS: LazyLock<PublicKeys> = LazyLock::new(|| {
    let origin = Origin::of_box("porch").expect("a name of a box");
    let keys = SigningKeys::generate(origin).expect("randomness");
    keys.public_keys().clone()
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(proof) = ClipProof::decode(bytes) {
        assert_eq!(proof.encode(), bytes);
        let digests: Vec<_> = proof.leaves().map(|leaf| leaf.digest).collect();
        assert!(proof.verify(&KEYS, digests).is_err());
    }
});
