//! The record of a segment: one encoding, and nothing else is read.

use proptest::prelude::*;

use super::*;
use crate::media::{RenditionId, Rung};

fn of_golden(previous: Option<NodeHash>) -> Leaf {
    Leaf {
        camera: "front-door".parse().unwrap(),
        rendition: RenditionId::audio(Rung::VeryLow),
        run: 3,
        msn: 4711,
        wall_start: Wall(1_795_336_200_123),
        duration_ms: 2_000,
        digest: DigestKind::Blake2b512.digest_pieces([&b"seg"[..], b"", b"ment"]),
        previous,
    }
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    let names = ("[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", 0..8usize);
    let numbers = any::<(u64, u64, i64, u32)>();
    let hashes = (
        prop::array::uniform32(any::<u8>()),
        any::<(u8, bool, bool)>(),
    );
    (names, numbers, hashes).prop_map(
        |(
            (camera, rendition),
            (run, msn, wall, duration_ms),
            (previous, (digest, first, short)),
        )| Leaf {
            camera: camera.parse().unwrap(),
            rendition: match Rung::ALL[rendition / 2] {
                rung if rendition % 2 == 0 => RenditionId::video(rung),
                rung => RenditionId::audio(rung),
            },
            run,
            msn,
            wall_start: Wall(wall),
            duration_ms,
            digest: match short {
                true => Digest::Blake2b256([digest; 32]),
                false => Digest::Blake2b512([digest; 64]),
            },
            previous: (!first).then_some(NodeHash(previous)),
        },
    )
}

#[test]
fn records_are_those_that_an_independent_program_wrote() {
    let text = std::fs::read_to_string(golden("merkle.txt")).unwrap();
    let mut checked = 0;
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let ["record", previous, bytes, hash] = words[..] else {
            continue;
        };
        let leaf = of_golden((previous != "none").then(|| unhex_hash(previous)));
        assert_eq!(leaf.encode(), unhex(bytes));
        assert_eq!(leaf.hash(), unhex_hash(hash));
        checked += 1;
    }
    assert_eq!(checked, 2);
}

#[test]
fn a_record_of_a_newer_version_says_so() {
    let mut bytes = of_golden(None).encode();
    bytes[21] = 2;
    assert_eq!(Leaf::decode(&bytes), Err(LeafError::Version(2)));
}

proptest! {
    #[test]
    fn a_record_is_read_back_and_no_change_of_it_is_taken_for_the_same(
        leaf in any_leaf(),
        at: prop::sample::Index,
        bit in 0..8u8,
    ) {
        let bytes = leaf.encode();
        let read = Leaf::decode(&bytes);
        prop_assert_eq!(read.as_ref(), Ok(&leaf));
        for cut in 0..bytes.len() {
            prop_assert_eq!(Leaf::decode(&bytes[..cut]), Err(LeafError::Malformed));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        prop_assert_eq!(Leaf::decode(&longer), Err(LeafError::Malformed));

        let mut altered = bytes.clone();
        altered[at.index(bytes.len())] ^= 1 << bit;
        if let Ok(other) = Leaf::decode(&altered) {
            prop_assert_ne!(&other, &leaf);
            prop_assert_ne!(other.hash(), leaf.hash());
            prop_assert_eq!(other.encode(), altered);
        }
    }
}
