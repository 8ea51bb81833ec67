//! Proofs of clips: what a box exported is proven without the box; hostile bytes are refused.

use std::sync::LazyLock;

use super::*;
use crate::media::{RenditionId, Rung};

/// A recorded log of two cameras with three renditions, 200 segments each.
pub(super) struct Recorded {
    pub(super) log: MemoryLog,
    pub(super) leaves: Vec<Leaf>,
    pub(super) keys: SigningKeys,
    pub(super) checkpoint: SignedCheckpoint,
}

pub(super) static RECORDED: LazyLock<Recorded> =
    LazyLock::new(|| recorded(|name| name.as_bytes().to_vec()));

/// The same, given what stands for a segment's bytes from its name.
pub(super) fn recorded(bytes_of: impl Fn(&str) -> Vec<u8>) -> Recorded {
    let tracks = [
        ("porch", RenditionId::video(Rung::High)),
        ("porch", RenditionId::audio(Rung::High)),
        ("garden", RenditionId::video(Rung::High)),
    ];
    let mut previous = [None; 3];
    let mut log = MemoryLog::default();
    let mut leaves = Vec::new();
    for msn in 0..200 {
        for (track, (camera, rendition)) in tracks.into_iter().enumerate() {
            let media = bytes_of(&format!("{camera} {rendition} {msn}"));
            let leaf = Leaf {
                camera: camera.parse().unwrap(),
                rendition,
                run: 1,
                msn,
                wall_start: NOON.plus_ms(2_000 * msn as i64),
                duration_ms: 2_000,
                digest: DigestKind::Blake2b512.digest_pieces([&media[..]]),
                previous: previous[track],
            };
            previous[track] = Some(leaf.hash());
            log.append(leaf.hash());
            leaves.push(leaf);
        }
    }
    let keys = keys("porch", 1);
    let (size, root) = (log.frontier.size(), log.frontier.root());
    Recorded {
        checkpoint: keys.sign(size, root, NOON.plus_ms(400_000)).unwrap(),
        log,
        leaves,
        keys,
    }
}

impl Recorded {
    pub(super) fn make(&self, segments: Vec<(u64, Leaf)>) -> ClipProof {
        let mut log = self.log.clone();
        let mut tree = log.tree(self.leaves.len() as u64);
        ClipProof::make(&self.checkpoint, &mut tree, segments).unwrap()
    }

    /// Picture and sound of the porch, segments 50 to 69, the picture of each before its sound.
    pub(super) fn clip(&self) -> Vec<(u64, Leaf)> {
        let segment = |i: usize| (i as u64, self.leaves[i].clone());
        (50..70)
            .flat_map(|msn| [segment(msn * 3), segment(msn * 3 + 1)])
            .collect()
    }

    pub(super) fn verify(
        &self,
        proof: &ClipProof,
        digests: Vec<Digest>,
    ) -> Result<VerifiedClip, ClipProofError> {
        proof.verify(self.keys.public_keys(), digests)
    }
}

pub(super) fn digests(clip: &[(u64, Leaf)]) -> Vec<Digest> {
    clip.iter().map(|(_, leaf)| leaf.digest).collect()
}

#[test]
fn a_whole_clip_is_proven_with_its_times() {
    let clip = RECORDED.clip();
    let proof = ClipProof::decode(&RECORDED.make(clip.clone()).encode()).unwrap();
    let verified = RECORDED.verify(&proof, digests(&clip)).unwrap();
    let span = |rendition| TrackSpan {
        camera: "porch".parse().unwrap(),
        rendition,
        from: NOON.plus_ms(100_000),
        to: NOON.plus_ms(140_000),
        segments: 20,
    };
    let expected = VerifiedClip {
        origin: Origin::of_box("porch").unwrap(),
        signed_at: NOON.plus_ms(400_000),
        tracks: vec![
            span(RenditionId::video(Rung::High)),
            span(RenditionId::audio(Rung::High)),
        ],
        silences: vec![],
    };
    assert_eq!(verified, expected);
}

#[test]
fn a_proof_is_small() {
    let bytes = RECORDED.make(RECORDED.clip()).encode();
    assert!(bytes.len() < 5_000 + 40 * 240, "{}", bytes.len());
}

#[test]
fn one_segment_alone_and_all_of_a_camera_are_proven() {
    let all: Vec<_> = (0..).zip(RECORDED.leaves.iter().cloned()).collect();
    let own = all
        .iter()
        .filter(|(_, leaf)| leaf.camera.as_str() == "porch");
    for clip in [
        all[..1].to_vec(),
        all[599..].to_vec(),
        own.cloned().collect(),
    ] {
        let proof = RECORDED.make(clip.clone());
        assert!(RECORDED.verify(&proof, digests(&clip)).is_ok());
    }
}

#[test]
fn other_keys_prove_nothing() {
    let clip = RECORDED.clip();
    let proof = RECORDED.make(clip.clone());
    for (name, seed) in [("garage", 1), ("porch", 2)] {
        let refused = proof.verify(keys(name, seed).public_keys(), digests(&clip));
        assert!(matches!(refused, Err(ClipProofError::Checkpoint(_))));
    }
}

#[test]
fn a_record_that_the_log_does_not_have_is_not_put_into_a_proof() {
    let mut log = RECORDED.log.clone();
    let size = log.frontier.size();
    let mut make = |size, segments| {
        ClipProof::make(&RECORDED.checkpoint, &mut log.tree(size), segments).map(|_| ())
    };
    let (mut other, mut twice) = (RECORDED.clip(), RECORDED.clip());
    other[4].1.msn += 1;
    let refused = make(size, other);
    assert_eq!(refused, Err(MakeProofError::OtherLeaf(156)));
    twice[1] = twice[0].clone();
    assert_eq!(make(size, twice), Err(MakeProofError::Segments));
    assert_eq!(make(size, vec![]), Err(MakeProofError::Segments));
    let outside = vec![(size, RECORDED.leaves[0].clone())];
    let refused = make(size, outside);
    assert!(matches!(refused, Err(MakeProofError::Tree(_))));
    let refused = make(size - 1, RECORDED.clip());
    assert!(matches!(refused, Err(MakeProofError::OtherSize { .. })));
}

#[test]
fn a_bit_flipped_anywhere_in_a_proof_is_refused() {
    let clip = RECORDED.clip();
    let bytes = RECORDED.make(clip.clone()).encode();
    for at in (0..bytes.len()).filter(|at| at % 3 == 0 || *at < 300) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(proof) = ClipProof::decode(&flipped) {
            assert!(RECORDED.verify(&proof, digests(&clip)).is_err(), "{at}");
        }
    }
}

#[test]
fn a_proof_that_is_cut_or_goes_on_is_refused() {
    let bytes = RECORDED.make(RECORDED.clip()).encode();
    for cut in 0..bytes.len() {
        assert!(ClipProof::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(ClipProof::decode(&longer), Err(ClipProofError::Malformed));
    let mut newer = bytes.clone();
    newer[17] = 2;
    assert_eq!(ClipProof::decode(&newer), Err(ClipProofError::Version(2)));
}

#[test]
fn counts_that_the_bytes_do_not_hold_take_no_memory() {
    let note = RECORDED.checkpoint.as_str();
    let mut head = b"perch clip proof\0\x01".to_vec();
    let huge = u32::MAX.to_be_bytes();
    let malformed = |bytes: &[u8]| {
        assert_eq!(ClipProof::decode(bytes), Err(ClipProofError::Malformed));
    };
    malformed(&[head.as_slice(), &huge].concat());
    head.extend((note.len() as u32).to_be_bytes());
    head.extend(note.as_bytes());
    malformed(&[head.as_slice(), &huge].concat());
    let most = (CLIP_SEGMENTS_MAX as u32).to_be_bytes();
    malformed(&[head.as_slice(), &most].concat());
    head.extend(0u32.to_be_bytes());
    malformed(&[head.as_slice(), &huge].concat());
    malformed(&[head.as_slice(), &1u32.to_be_bytes()].concat());

    // Nothing is wrong with the form of a proof of nothing; but it proves nothing.
    head.extend(0u32.to_be_bytes());
    let empty = ClipProof::decode(&head).unwrap();
    let refused = RECORDED.verify(&empty, vec![]);
    assert_eq!(refused, Err(ClipProofError::Malformed));
}

/// A run with `PERCH_BLESS=1` writes the file, which has landed and must open for ever.
#[test]
fn a_proof_of_version_1_still_holds() {
    let path = golden("clip-proof-v1.bin");
    let clip = RECORDED.clip();
    if std::env::var_os("PERCH_BLESS").is_some() {
        std::fs::write(&path, RECORDED.make(clip.clone()).encode()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    let proof = ClipProof::decode(&bytes).unwrap();
    assert!(RECORDED.verify(&proof, digests(&clip)).is_ok());
    assert_eq!(proof.encode(), bytes);
}
