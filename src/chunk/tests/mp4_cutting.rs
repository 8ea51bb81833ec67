//! Where MP4 files are cut.

use std::cell::Cell;
use std::io;

use proptest::prelude::*;

use super::mp4_file::*;
use super::*;
use crate::chunk::{ReadAt, mp4_cuts};

/// Chunks small enough that no cut is too close to another.
fn fine() -> ChunkSizes {
    ChunkSizes::new(64, 256, 1024).expect("even, in order")
}

fn cuts_of(bytes: &[u8], sizes: ChunkSizes) -> Vec<u64> {
    mp4_cuts(bytes, bytes.len() as u64, sizes).expect("memory can be read")
}

/// Start and end of each payload, and the sync samples between them.
#[track_caller]
fn check(made: &Made) {
    let mut expected = made.sync.clone();
    expected.extend(made.payloads.iter().flat_map(|p| [p.start, p.end]));
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(cuts_of(&made.bytes, fine()), expected);
}

#[test]
fn payload_and_sync_samples_are_cut_wherever_the_tables_stand() {
    let (pictures, sounds) = (pictures(1, 90, 30, 400), sounds(1, 140));
    for moov_first in [true, false] {
        for wide in [true, false] {
            for pictures_in_run in [1, 7, 15, 90] {
                let layout = Layout {
                    moov_first,
                    wide,
                    pictures_in_run,
                    ..Layout::default()
                };
                check(&progressive(&pictures, &sounds, &layout));
            }
        }
    }
}

#[test]
fn fragments_are_cut_around_their_payload_and_at_sync_samples_inside() {
    let (pictures, sounds) = (pictures(2, 90, 30, 400), sounds(2, 140));
    for in_fragment in [10, 30, 45, 90] {
        check(&fragmented(&pictures, &sounds, in_fragment));
    }
}

#[test]
fn every_picture_is_a_sync_sample_where_none_is_listed() {
    let all_sync = pictures(3, 20, 1, 100);
    check(&progressive(&all_sync, &sounds(3, 30), &Layout::default()));
}

#[test]
fn sound_alone_is_cut_around_its_payload_only() {
    let made = progressive(&[], &[], &Layout::default());
    assert_eq!(cuts_of(&made.bytes, fine()), [0u64; 0]);
    let mut sound_only = progressive(&pictures(4, 30, 1, 400), &[], &Layout::default());
    let handler = sound_only.bytes.windows(4).position(|w| w == b"vide");
    let handler = handler.expect("there is one");
    sound_only.bytes[handler..handler + 4].copy_from_slice(b"soun");
    sound_only.sync.clear();
    check(&sound_only);
}

#[test]
fn sync_samples_closer_than_the_smallest_chunk_leave_the_cut_to_content() {
    // Groups of pictures of 39 KB, and of 8 KB.
    for (group, delta_bytes, every) in [(30, 1000, true), (10, 420, false)] {
        let pictures = pictures(5, 120, group, delta_bytes);
        let made = progressive(&pictures, &[], &Layout::default());
        let payload = &made.payloads[0];
        let cuts = cuts_of(&made.bytes, ChunkSizes::IMPORTS);
        let expected: Vec<u64> = match every {
            true => made.sync.iter().copied().chain([payload.end]).collect(),
            false => vec![payload.start, payload.end],
        };
        assert_eq!(cuts, expected);
    }
}

#[test]
fn payloads_smaller_than_the_smallest_chunk_flow_together() {
    let made = fragmented(&pictures(6, 60, 30, 400), &[], 10);
    let cuts = cuts_of(&made.bytes, ChunkSizes::IMPORTS);
    assert_eq!(cuts, [0u64; 0]);
}

#[test]
fn a_file_cut_off_is_cut_where_the_whole_one_is() {
    let whole = progressive(&pictures(7, 90, 30, 400), &[], &Layout::default());
    let end = whole.sync[2] as usize + 100;
    let cuts = cuts_of(&whole.bytes[..end], fine());
    let expected = [&whole.sync[..], &[end as u64]].concat();
    assert_eq!(cuts, expected);
}

#[test]
fn boxes_with_wide_sizes_and_without_size_are_read() {
    let made = progressive(&pictures(8, 60, 30, 400), &[], &Layout::default());
    let start = made.payloads[0].start as usize;
    let mut endless = made.bytes.clone();
    endless[start - 8..start - 4].copy_from_slice(&[0; 4]);
    let expected = cuts_of(&made.bytes, fine());
    assert_eq!(cuts_of(&endless, fine()), expected);
    let payload = &made.bytes[start..];
    let wide = [
        &words(&[1])[..],
        b"mdat",
        &words(&[0, payload.len() as u32 + 16]),
        payload,
    ]
    .concat();
    let moov_last = [&wide[..], b"\0\0\0\x08free"].concat();
    let end = 16 + payload.len() as u64;
    assert_eq!(cuts_of(&moov_last, fine()), [16, end]);
}

#[test]
fn a_damaged_table_gives_no_cuts_and_leaves_the_payload() {
    let made = progressive(&pictures(9, 60, 30, 400), &[], &Layout::default());
    let payload = [made.payloads[0].start, made.payloads[0].end];
    for kind in [
        b"stsz", b"stsc", b"stco", b"stss", b"stbl", b"hdlr", b"tkhd",
    ] {
        let place = made.bytes.windows(4).position(|w| w == kind);
        let place = place.expect("there is one");
        let mut bad = made.bytes.clone();
        // The box is longer than what it is in.
        bad[place - 4..place].copy_from_slice(&[0x7f; 4]);
        assert_eq!(cuts_of(&bad, fine()), payload, "{kind:?}");
    }
    for (kind, count_at) in [(b"stsz", 12), (b"stsc", 8), (b"stco", 8), (b"stss", 8)] {
        let place = made.bytes.windows(4).position(|w| w == kind);
        let place = place.expect("there is one") + count_at;
        let mut bad = made.bytes.clone();
        bad[place..place + 4].copy_from_slice(&[0xff; 4]);
        assert_eq!(cuts_of(&bad, fine()), payload, "{kind:?}");
    }
}

#[test]
fn counts_without_bytes_end_with_the_file_s_budget() {
    // Samples of one size take no bytes of the table: 2^32 of them, in one run.
    let tables = [
        boxed(b"stsc", &[&words(&[0, 1, 1, u32::MAX, 1])]),
        boxed(b"stsz", &[&words(&[0, 0x100, u32::MAX])]),
        boxed(b"stco", &[&words(&[0, 1, 0])]),
    ];
    let stbl = boxed(b"stbl", &[&tables.concat()]);
    let hdlr = boxed(b"hdlr", &[&words(&[0, 0]), b"vide", &[0; 13]]);
    let mdia = boxed(b"mdia", &[&hdlr, &boxed(b"minf", &[&stbl])]);
    let tkhd = boxed(b"tkhd", &[&words(&[7, 0, 0, 1]), &[0; 68]]);
    let trak = boxed(b"trak", &[&tkhd, &mdia]);
    let moov = boxed(b"moov", &[&trak.repeat(40)]);
    let payload = noise(10, 10_000);
    let bytes = [boxed(b"mdat", &[&payload]), moov].concat();
    let cuts = cuts_of(&bytes, fine());
    assert_eq!((cuts[0], *cuts.last().expect("some")), (8, 10_008));
    assert!(cuts.len() < 200);
}

#[test]
fn other_files_are_not_cut() {
    for bytes in [
        &b""[..],
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
        b"Some text",
        &[0; 100],
    ] {
        assert_eq!(cuts_of(bytes, fine()), [0u64; 0]);
    }
    assert_eq!(cuts_of(&noise(11, 100_000), fine()), [0u64; 0]);
}

/// A disk that fails at some place.
struct BadDisk<'a> {
    bytes: &'a [u8],
    bad: u64,
    reads: Cell<u32>,
}

impl ReadAt for BadDisk<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        if (offset..offset + buffer.len() as u64).contains(&self.bad) {
            return Err(io::Error::other("bad block"));
        }
        self.bytes.read_exact_at(buffer, offset)
    }
}

#[test]
fn a_disk_that_fails_is_told_and_the_media_is_not_read() {
    let made = progressive(&pictures(12, 300, 30, 4000), &[], &Layout::default());
    let read = |bad| {
        let disk = BadDisk {
            bytes: &made.bytes,
            bad,
            reads: Cell::new(0),
        };
        (
            mp4_cuts(&disk, made.bytes.len() as u64, fine()),
            disk.reads.get(),
        )
    };
    assert!(read(0).0.is_err());
    let (cuts, reads) = read(made.payloads[0].end - 1);
    assert_eq!(
        cuts.expect("the media is not read"),
        cuts_of(&made.bytes, fine())
    );
    assert!(reads < 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        cuts_of(&bytes, fine());
    }

    #[test]
    fn damage_never_panics_and_cuts_ascend_inside_of_the_file(
        in_fragments in any::<bool>(),
        damage in prop::collection::vec((0usize..1200, any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let pictures = pictures(13, 60, 20, 80);
        let made = match in_fragments {
            true => fragmented(&pictures, &sounds(13, 20), 10),
            false => progressive(&pictures, &sounds(13, 20), &Layout::default()),
        };
        let mut bytes = made.bytes;
        for (place, byte) in damage {
            bytes[place] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let cuts = cuts_of(bytes, fine());
            prop_assert!(cuts.is_sorted_by(|a, b| a < b));
            prop_assert!(cuts.last().is_none_or(|last| *last <= bytes.len() as u64));
        }
    }
}
