//! Checkpoints: both signatures hold, or nothing does.

use super::note::NoteSignature;
use super::*;

fn signed() -> (SigningKeys, SignedCheckpoint) {
    let keys = keys("porch", 1);
    let signed = keys.sign(1000, numbered_leaf(0), NOON).unwrap();
    (keys, signed)
}

fn refused(note: &str, keys: &PublicKeys) -> CheckpointError {
    match SignedCheckpoint::parse(note) {
        Err(error) => error,
        Ok(signed) => signed.verify(keys).unwrap_err(),
    }
}

/// The text, and each line with a signature.
fn parts(note: &str) -> (&str, [&str; 2]) {
    let (text, lines) = note.split_once("\n\n").unwrap();
    let (first, second) = lines.split_once('\n').unwrap();
    (text, [first, second.strip_suffix('\n').unwrap()])
}

#[test]
fn a_checkpoint_is_a_note_that_other_programs_read_too() {
    let (keys, signed) = signed();
    let (text, lines) = parts(signed.as_str());
    assert_eq!(
        text,
        "perch/porch\n1000\nbUlW7en07noJlCED3tFWh1znY9Rkk03jqFUKLyiVfbA=\nsigned 2026-11-21T12:00:00.123Z"
    );
    // Ed25519 is deterministic: key id and signature in full.
    assert_eq!(lines[0], ED25519_LINE);
    assert!(lines[1].starts_with("\u{2014} perch/porch "));
    assert!(signed.as_str().len() < 4_700);

    let checkpoint = signed.verify(keys.public_keys()).unwrap();
    assert_eq!(
        *checkpoint,
        Checkpoint {
            origin: Origin::of_box("porch").unwrap(),
            size: 1000,
            root: numbered_leaf(0),
            signed_at: NOON,
        }
    );
    let again = SignedCheckpoint::parse(signed.as_str()).unwrap();
    assert_eq!(again, signed);
}

/// As Go's `golang.org/x/mod/sumdb/note` v0.42.0 signs the same text with the seed 01…01.
const ED25519_LINE: &str = "\u{2014} perch/porch XFP4Dw5tgtCJoTHB5zISm9YKdtgGnuef2LSqDcLVbtSBkoVLgCAGpfk8Bgr4/nLd7EZHb\
    tgzDLGt2mUVdwOH+E+gLQ0=";

#[test]
fn a_bit_flipped_anywhere_is_refused() {
    let (keys, signed) = signed();
    let note = signed.as_str().as_bytes();
    for at in 0..note.len() {
        // Each bit of what is signed, one of each byte of the signatures.
        let bits = if at < 300 { 0..8 } else { at % 8..at % 8 + 1 };
        for bit in bits {
            let mut flipped = note.to_vec();
            flipped[at] ^= 1 << bit;
            if let Ok(text) = std::str::from_utf8(&flipped) {
                refused(text, keys.public_keys());
            }
        }
    }
}

#[test]
fn one_signature_without_the_other_is_refused() {
    let (keys, signed) = signed();
    let (text, [ed25519, ml_dsa]) = parts(signed.as_str());
    let check = |lines: &str, expected| {
        let note = format!("{text}\n\n{lines}");
        assert_eq!(refused(&note, keys.public_keys()), expected);
    };
    use Algorithm::{Ed25519, MlDsa65};
    check(&format!("{ed25519}\n"), CheckpointError::Unsigned(MlDsa65));
    check(&format!("{ml_dsa}\n"), CheckpointError::Unsigned(Ed25519));
    check("", CheckpointError::Malformed);

    let later = keys.sign(1001, numbered_leaf(0), NOON).unwrap();
    let (_, [other_ed25519, other_ml_dsa]) = parts(later.as_str());
    check(
        &format!("{ed25519}\n{other_ml_dsa}\n"),
        CheckpointError::WrongSignature(MlDsa65),
    );
    check(
        &format!("{other_ed25519}\n{ml_dsa}\n"),
        CheckpointError::WrongSignature(Ed25519),
    );
    // The order of the lines says nothing.
    let turned = format!("{text}\n\n{ml_dsa}\n{ed25519}\n");
    let turned = SignedCheckpoint::parse(&turned).unwrap();
    assert!(turned.verify(keys.public_keys()).is_ok());
}

#[test]
fn keys_of_another_box_are_refused_also_under_the_same_name() {
    let (_, signed) = signed();
    let garage = keys("garage", 1);
    assert_eq!(
        signed.verify(garage.public_keys()),
        Err(CheckpointError::OtherBox {
            origin: Origin::of_box("porch").unwrap(),
            keys: Origin::of_box("garage").unwrap(),
        })
    );
    let namesake = keys("porch", 2);
    assert_eq!(
        signed.verify(namesake.public_keys()),
        Err(CheckpointError::Unsigned(Algorithm::Ed25519))
    );
    // One key right, the other of the namesake: half is nothing.
    let origin = Origin::of_box("porch").unwrap();
    let seeds = [1, 2 ^ 0xFF].map(|byte| Zeroizing::new([byte; 32]));
    let half = SigningKeys::from_seeds(origin, seeds).unwrap();
    assert_eq!(
        signed.verify(half.public_keys()),
        Err(CheckpointError::Unsigned(Algorithm::MlDsa65))
    );
}

#[test]
fn a_signature_under_the_right_name_by_another_key_is_wrong() {
    let (keys, signed) = signed();
    let (text, [ed25519, _]) = parts(signed.as_str());
    let forger = super::keys("porch", 9);
    let message = format!("{text}\n");
    let forged = NoteSignature {
        name: "perch/porch",
        key_id: keys.public_keys().key_id(Algorithm::MlDsa65),
        bytes: forger
            .signature(Algorithm::MlDsa65, message.as_bytes())
            .unwrap(),
    };
    let note = format!("{text}\n\n{ed25519}\n{}", forged.line());
    assert_eq!(
        refused(&note, keys.public_keys()),
        CheckpointError::WrongSignature(Algorithm::MlDsa65)
    );
}

#[test]
fn witnesses_may_sign_too_but_not_without_end() {
    let (keys, signed) = signed();
    let witness = |i: u32| NoteSignature {
        name: "witness.example/w",
        key_id: i.to_be_bytes(),
        bytes: vec![1; 72],
    };
    let with = |count: u32| {
        let lines = (0..count).map(|i| witness(i).line()).collect::<String>();
        format!("{}{lines}", signed.as_str())
    };
    let witnessed = SignedCheckpoint::parse(&with(14)).unwrap();
    assert!(witnessed.verify(keys.public_keys()).is_ok());
    assert_eq!(
        refused(&with(15), keys.public_keys()),
        CheckpointError::Malformed
    );
    let twice = format!("{}{}", with(1), witness(0).line());
    assert_eq!(
        refused(&twice, keys.public_keys()),
        CheckpointError::Malformed
    );
}

#[test]
fn texts_that_are_not_written_as_perch_does_are_no_checkpoints() {
    let (keys, signed) = signed();
    let (text, [ed25519, ml_dsa]) = parts(signed.as_str());
    let malformed = |note: &str| {
        let error = refused(note, keys.public_keys());
        assert_eq!(error, CheckpointError::Malformed, "{note}");
    };
    for (from, to) in [
        ("\n1000\n", "\n01000\n"),
        ("\n1000\n", "\n+1000\n"),
        ("\n1000\n", "\n-1\n"),
        ("\n1000\n", "\n281474976710657\n"),
        ("\n1000\n", "\n99999999999999999999\n"),
        ("12:00:00.123Z", "12:00:00.1230Z"),
        ("12:00:00.123Z", "12:00:00Z"),
        ("12:00:00.123Z", "13:00:00.123+01:00"),
        ("signed ", "Signed "),
        ("bUlW", "bUl"),
        ("fbA=\n", "fbB=\n"),
        ("fbA=\n", "fbA\n"),
        ("perch/", "perch/perch/"),
        ("perch/porch\n", "perch/porch\r\n"),
        ("123Z", "123Z\nmore"),
    ] {
        let altered = text.replacen(from, to, 1);
        assert_ne!(altered, text, "{from}");
        malformed(&format!("{altered}\n\n{ed25519}\n{ml_dsa}\n"));
    }
    malformed("");
    malformed("\n\n");
    malformed(text);
    malformed(&format!("{text}\n{ed25519}\n{ml_dsa}\n"));
    malformed(&format!("{text}\n\n{ed25519}\n{ml_dsa}"));
    malformed(&format!("{text}\n\n{ed25519}\n\n{ml_dsa}\n"));
    malformed(&format!("{text}\n\n{ed25519}\n{ml_dsa}\n\n"));
    malformed(&format!(
        "{text}\n\n{ed25519}\n{}\n",
        ml_dsa.replace('\u{2014}', "-")
    ));
    malformed(&format!("{text}\n\n{ed25519} \n{ml_dsa}\n"));
    malformed(&"a".repeat(NOTE_BYTES_MAX + 1));
}

/// A run with `PERCH_BLESS=1` writes the files, which have landed and must be read for ever.
#[test]
fn a_checkpoint_and_keys_of_version_1_still_hold() {
    let (note, public) = (golden("checkpoint-v1.txt"), golden("public-keys-v1.txt"));
    if std::env::var_os("PERCH_BLESS").is_some() {
        let (keys, signed) = signed();
        std::fs::write(&note, signed.as_str()).unwrap();
        std::fs::write(&public, keys.public_keys().to_string()).unwrap();
    }
    let text = std::fs::read_to_string(&public).unwrap();
    let keys: PublicKeys = text.parse().unwrap();
    assert_eq!(keys.to_string(), text);
    let note = std::fs::read_to_string(&note).unwrap();
    let signed = SignedCheckpoint::parse(&note).unwrap();
    assert_eq!(signed.verify(&keys).unwrap().size, 1000);
}
