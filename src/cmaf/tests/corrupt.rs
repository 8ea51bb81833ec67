//! The reader on bytes that nobody wrote on purpose.

use proptest::prelude::*;

use super::super::{ReadError, read_fragment, read_init};
use super::*;

fn samples_of_both() -> [(Bytes, Bytes); 2] {
    let mut pictures_writer = writer(video(30));
    let picture = push_all(&mut pictures_writer, pictures(30, 10)).remove(0);
    let mut sounds_writer = writer(audio(48_000));
    let sound = push_all(&mut sounds_writer, sounds(15)).remove(0);
    [
        (pictures_writer.init_segment().bytes, picture.bytes),
        (sounds_writer.init_segment().bytes, sound.bytes),
    ]
}

/// Reads without panicking, and with every sample inside of the bytes.
fn read_both(init: &[u8], fragment: &[u8]) {
    let Ok(header) = read_init(init) else { return };
    if let Ok(read) = read_fragment(fragment, &header) {
        assert!(read.bytes_count <= fragment.len());
        for sample in &read.samples {
            assert!(
                fragment
                    .get(sample.offset..sample.offset + sample.size_bytes)
                    .is_some()
            );
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    for (init, fragment) in samples_of_both() {
        let header = read_init(&init).expect("whole");
        for end in 0..init.len() {
            assert!(read_init(&init[..end]).is_err(), "header cut at {end}");
        }
        for end in 0..fragment.len() {
            assert!(
                read_fragment(&fragment[..end], &header).is_err(),
                "fragment cut at {end}"
            );
        }
    }
}

#[test]
fn boxes_that_nest_without_end_are_refused() {
    let mut nested = Vec::new();
    for depth in (1..200_000u32).rev() {
        nested.extend_from_slice(&(depth * 8).to_be_bytes());
        nested.extend_from_slice(b"moov");
    }
    assert_eq!(read_init(&nested), Err(ReadError::MissingBox("trak")));
}

#[test]
fn a_count_of_samples_that_the_bytes_do_not_hold_is_refused() {
    let [_, (init, fragment)] = samples_of_both();
    let header = read_init(&init).expect("whole");
    let at = fragment
        .windows(4)
        .position(|w| w == b"trun")
        .expect("there is one")
        + 8;
    for count in [16u32, 70_000, u32::MAX] {
        let mut bad = fragment.to_vec();
        bad[at..at + 4].copy_from_slice(&count.to_be_bytes());
        assert!(read_fragment(&bad, &header).is_err(), "{count}");
        // Without any field of its own a sample takes no bytes of the box.
        bad[at - 4..at].copy_from_slice(&[0, 0, 0, 1]);
        assert!(
            read_fragment(&bad, &header).is_err() || count == 16,
            "{count}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_both(&bytes, &bytes);
    }

    #[test]
    fn no_damage_makes_the_reader_panic(
        sound in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        fragment_damage in prop::collection::vec((0usize..220, any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (init, fragment) = samples_of_both()[usize::from(sound)].clone();
        let mut bad_init = init.to_vec();
        for (index, byte) in damage {
            let at = index.index(bad_init.len());
            bad_init[at] = byte;
        }
        let mut bad_fragment = fragment.to_vec();
        for (at, byte) in fragment_damage {
            bad_fragment[at] = byte;
        }
        read_both(&bad_init, &bad_fragment);
        read_both(&init, &bad_fragment);
        read_both(&init, &bad_fragment[..cut.index(bad_fragment.len())]);
    }
}
