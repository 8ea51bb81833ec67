//! What is said of a clip that was tampered with: each segment concerned, by name.

use proptest::prelude::*;

use super::clip::{RECORDED, digests};
use super::clip_order::{SegmentFault, SegmentName, order_faults};
use super::*;

const FOREIGN: Digest = Digest::Blake2b512([0xEE; 64]);

/// The faults of a clip whose digests were changed by `tamper`.
fn faults(tamper: impl FnOnce(&mut Vec<Digest>)) -> Vec<SegmentFault> {
    let clip = RECORDED.clip();
    let proof = RECORDED.make(clip.clone());
    let mut found = digests(&clip);
    tamper(&mut found);
    match RECORDED.verify(&proof, found) {
        Ok(_) => Vec::new(),
        Err(ClipProofError::Segments(faults)) => faults,
        Err(error) => panic!("{error}"),
    }
}

fn name(place: usize) -> SegmentName {
    SegmentName::of(&RECORDED.clip()[place].1)
}

fn moved(found: usize, belongs: usize) -> SegmentFault {
    SegmentFault::Moved {
        segment: name(belongs),
        found,
        belongs,
    }
}

#[test]
fn an_altered_segment_is_named() {
    let found = faults(|digests| digests[7] = FOREIGN);
    assert_eq!(found, [SegmentFault::Altered(name(7))]);
    assert_eq!(
        found[0].to_string(),
        "porch/audio-high segment 53 of 2026-11-21T12:01:46.123Z was altered"
    );
}

#[test]
fn missing_segments_are_named_wherever_they_were() {
    for place in [0, 7, 39] {
        let found = faults(|digests| {
            digests.remove(place);
        });
        assert_eq!(found, [SegmentFault::Missing(name(place))]);
    }
    let found = faults(|digests| digests.truncate(38));
    assert_eq!(
        found,
        [38, 39].map(|place| SegmentFault::Missing(name(place)))
    );
    assert_eq!(faults(Vec::clear).len(), 40);
}

#[test]
fn what_was_put_in_is_told_by_its_place() {
    for place in [0, 7, 40] {
        let found = faults(|digests| digests.insert(place, FOREIGN));
        assert_eq!(found, [SegmentFault::Foreign(place)]);
    }
    let found = faults(|digests| digests.insert(9, digests[3]));
    assert_eq!(found, [SegmentFault::Foreign(9)], "a segment shown twice");
}

#[test]
fn moved_segments_are_named_and_those_beside_them_are_not() {
    let found = faults(|digests| {
        let taken = digests.remove(30);
        digests.insert(5, taken);
    });
    assert_eq!(found, [moved(5, 30)]);
    let swapped = faults(|digests| digests.swap(10, 11));
    assert_eq!(swapped.len(), 1);
    assert!(matches!(swapped[0], SegmentFault::Moved { .. }));
}

#[test]
fn several_faults_are_all_told() {
    let found = faults(|digests| {
        digests[35] = FOREIGN;
        digests.remove(20);
        digests[3] = FOREIGN;
    });
    let expected = [
        SegmentFault::Altered(name(3)),
        SegmentFault::Missing(name(20)),
        SegmentFault::Altered(name(35)),
    ];
    assert_eq!(found, expected);
    let all = ClipProofError::Segments(faults(Vec::clear)).to_string();
    assert!(all.ends_with("; and 20 more"), "{all}");
}

#[test]
fn pictures_of_one_camera_with_the_sound_of_another_are_refused() {
    let refused = |clip: Vec<(u64, Leaf)>| {
        let proof = RECORDED.make(clip.clone());
        let refused = RECORDED.verify(&proof, digests(&clip));
        matches!(refused, Err(ClipProofError::SeveralCameras(a, b)) if a != b)
    };
    // The garden's pictures, and behind each the porch's sound of the same run and number.
    let segment = |index: usize| (index as u64, RECORDED.leaves[index].clone());
    let joined = |msn: usize| [segment(msn * 3 + 2), segment(msn * 3 + 1)];
    assert!(refused((50..70).flat_map(joined).collect()));
    assert!(refused(joined(50).to_vec()));
    // The whole log, which leads to its root.
    assert!(refused((0..600).map(segment).collect()));
}

#[test]
fn a_segment_left_out_of_clip_and_proof_breaks_the_chain() {
    let mut clip = RECORDED.clip();
    clip.remove(10);
    let proof = RECORDED.make(clip.clone());
    let refused = RECORDED.verify(&proof, digests(&clip));
    let fault = SegmentFault::LeftOutBefore(name(12));
    assert_eq!(refused, Err(ClipProofError::Segments(vec![fault])));
}

#[test]
fn segments_in_another_order_in_clip_and_proof_break_the_chain() {
    let mut clip = RECORDED.clip();
    clip.swap(10, 12);
    let proof = RECORDED.make(clip.clone());
    let refused = RECORDED.verify(&proof, digests(&clip));
    assert!(matches!(refused, Err(ClipProofError::Segments(faults)) if faults.len() == 3));
}

#[test]
fn a_record_that_was_rewritten_does_not_lead_to_the_signed_root() {
    let clip = RECORDED.clip();
    let bytes = RECORDED.make(clip.clone()).encode();
    // The civil time of the first segment, an hour later.
    let (was, is) = (clip[0].1.encode(), {
        let mut leaf = clip[0].1.clone();
        leaf.wall_start = leaf.wall_start.plus_ms(3_600_000);
        leaf.encode()
    });
    let at = bytes.windows(was.len()).position(|w| w == was).unwrap();
    let mut rewritten = bytes.clone();
    rewritten[at..at + is.len()].copy_from_slice(&is);
    let proof = ClipProof::decode(&rewritten).unwrap();
    let refused = RECORDED.verify(&proof, digests(&clip));
    assert_eq!(refused, Err(ClipProofError::OtherRoot));
}

proptest! {
    #[test]
    fn clips_that_differ_have_a_fault_and_equal_ones_have_none(
        expected in prop::collection::vec(0..6u8, 1..12),
        found in prop::collection::vec(0..8u8, 0..14),
    ) {
        let leaf = |(msn, content): (usize, &u8)| Leaf {
            msn: msn as u64,
            digest: Digest::Blake2b512([*content; 64]),
            ..RECORDED.leaves[0].clone()
        };
        let leaves: Vec<_> = expected.iter().enumerate().map(leaf).collect();
        let leaves: Vec<_> = leaves.iter().collect();
        let of = |contents: &[u8]| -> Vec<_> {
            contents.iter().map(|content| Digest::Blake2b512([*content; 64])).collect()
        };
        prop_assert!(order_faults(&leaves, &of(&expected)).is_empty());
        let faults = order_faults(&leaves, &of(&found));
        prop_assert_eq!(faults.is_empty(), expected == found);
        // Each expected segment is named at most once.
        prop_assert!(faults.len() <= expected.len() + found.len());
    }
}
