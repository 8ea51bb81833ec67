//! Where chunks end.

use proptest::prelude::*;

use super::*;
use crate::base::DigestKind;

fn small() -> ChunkSizes {
    ChunkSizes::new(64, 256, 1024).expect("even, in order")
}

/// Where the crate's own splitter ends the chunks of bytes that lie in one piece.
fn peer_ends(bytes: &[u8], min: usize, average: usize, max: usize) -> Vec<u64> {
    fastcdc::v2020::FastCDC::new(bytes, min, average, max)
        .map(|chunk| (chunk.offset + chunk.length) as u64)
        .collect()
}

#[test]
fn chunks_end_where_the_peer_ends_them() {
    let bytes = noise(1, 12 << 20);
    let own = ends_in_pieces(&bytes, ChunkSizes::IMPORTS, &[], &[4097]);
    assert_eq!(own, peer_ends(&bytes, 16 << 10, 64 << 10, 256 << 10));
    let bytes = &bytes[..1 << 20];
    assert_eq!(ends(bytes, small(), &[]), peer_ends(bytes, 64, 256, 1024));
}

#[test]
fn chunks_stay_what_they_were() {
    let ends = ends(&noise(2, 4 << 20), ChunkSizes::IMPORTS, &[]);
    assert_eq!(ends.len(), 59);
    let listed: Vec<u8> = ends.iter().flat_map(|end| end.to_be_bytes()).collect();
    let digest = DigestKind::Blake2b256.digest(&listed).to_string();
    // A change of any end shares nothing with what is stored already.
    assert_eq!(&digest[..16], "11115834ae3f554f");
}

#[test]
fn no_content_and_no_cuts_are_chunks_of_the_largest_size() {
    let zeros = vec![0; 1 << 20];
    let quarters = [1 << 18, 2 << 18, 3 << 18, 4 << 18];
    assert_eq!(ends(&zeros, ChunkSizes::IMPORTS, &[]), quarters);
    assert_eq!(ends(&[], ChunkSizes::IMPORTS, &[]), [0u64; 0]);
    assert_eq!(ends(&[7], ChunkSizes::IMPORTS, &[]), [1]);
}

#[test]
fn cuts_that_do_not_ascend_or_lie_outside_change_nothing() {
    let bytes = noise(3, 10_000);
    let plain = ends(&bytes, small(), &[]);
    assert_eq!(ends(&bytes, small(), &[0, 10_000, 10_001, u64::MAX]), plain);
    let once = ends(&bytes, small(), &[5001]);
    assert_eq!(ends(&bytes, small(), &[5001, 5001, 17, 0]), once);
    assert!(once.contains(&5001));
}

#[test]
fn sizes_that_no_splitter_can_keep_are_refused() {
    for (min, average, max) in [
        (62, 256, 1024),
        (64, 254, 1024),
        (256, 256, 1024),
        (64, 256, 256),
        (65, 256, 1024),
        (64, 256, (1 << 20) + 2),
    ] {
        assert_eq!(ChunkSizes::new(min, average, max), None);
    }
    let imports = ChunkSizes::new(16 << 10, 64 << 10, 256 << 10);
    assert_eq!(imports, Some(ChunkSizes::IMPORTS));
}

proptest! {
    #[test]
    fn pieces_in_which_the_bytes_come_do_not_matter(
        seed in any::<u64>(),
        bytes_count in 0usize..20_000,
        cuts in prop::collection::btree_set(0u64..21_000, 0..12),
        pieces in prop::collection::vec(0usize..3000, 0..40),
    ) {
        let bytes = noise(seed, bytes_count);
        let cuts: Vec<u64> = cuts.into_iter().collect();
        let whole = ends(&bytes, small(), &cuts);
        prop_assert_eq!(&ends_in_pieces(&bytes, small(), &cuts, &pieces), &whole);
        prop_assert_eq!(&ends_in_pieces(&bytes, small(), &cuts, &[1]), &whole);
    }

    #[test]
    fn chunks_cover_the_file_within_their_sizes_and_end_at_every_cut(
        seed in any::<u64>(),
        bytes_count in 0u64..20_000,
        cuts in prop::collection::btree_set(1u64..20_000, 0..12),
    ) {
        let bytes = noise(seed, bytes_count as usize);
        let listed: Vec<u64> = cuts.iter().copied().collect();
        let ends = ends(&bytes, small(), &listed);
        prop_assert_eq!(ends.last().copied().unwrap_or(0), bytes_count);
        for cut in cuts.range(..bytes_count) {
            prop_assert!(ends.contains(cut));
        }
        let mut start = 0;
        for end in ends {
            prop_assert!((1..=1024).contains(&(end - start)));
            prop_assert!(end - start >= 64 || end == bytes_count || cuts.contains(&end));
            start = end;
        }
    }

    #[test]
    fn stretch_between_two_cuts_is_split_like_a_file_of_its_own(
        seed in any::<u64>(),
        before in 0usize..3000,
        stretch in 1usize..10_000,
        after in 1usize..3000,
    ) {
        let bytes = noise(seed, before + stretch + after);
        let (from, to) = (before as u64, (before + stretch) as u64);
        let all = ends(&bytes, small(), &[from, to]);
        let inside: Vec<u64> = all.into_iter().filter(|end| *end > from && *end <= to).collect();
        let alone = ends(&bytes[before..before + stretch], small(), &[]);
        prop_assert_eq!(inside, alone.iter().map(|end| end + from).collect::<Vec<_>>());
    }
}
