//! What cutting files this way saves, on files made for the purpose.

use std::collections::HashSet;

use super::mp4_file::*;
use super::*;
use crate::chunk::mp4_cuts;

/// The share of `new` that need not be stored when `old` is there, in percent of its bytes.
fn saved_percent(old: &[&[u8]], new: &[&[u8]]) -> f64 {
    let known: HashSet<&[u8]> = old.iter().copied().collect();
    let all: usize = new.iter().map(|chunk| chunk.len()).sum();
    let shared = new.iter().filter(|chunk| known.contains(*chunk));
    100.0 * shared.map(|chunk| chunk.len()).sum::<usize>() as f64 / all as f64
}

fn media_aware(bytes: &[u8]) -> Vec<&[u8]> {
    let sizes = ChunkSizes::IMPORTS;
    let cuts = mp4_cuts(bytes, bytes.len() as u64, sizes).expect("memory can be read");
    chunks(bytes, sizes, &cuts)
}

/// A minute of 2 Mb/s with a keyframe each 2 s, and sound.
fn minute() -> (Vec<Sample>, Vec<Sample>) {
    (pictures(20, 1800, 60, 6000), sounds(20, 2800))
}

#[test]
fn file_whose_tags_changed_saves_95_percent() {
    let (pictures, sounds) = minute();
    let with_tags = |tags_bytes| {
        let layout = Layout {
            tags_bytes,
            ..Layout::default()
        };
        progressive(&pictures, &sounds, &layout).bytes
    };
    let (plain, tagged) = (with_tags(10), with_tags(5003));
    let saved = saved_percent(&media_aware(&plain), &media_aware(&tagged));
    assert!(saved >= 95.0, "{saved:.1} %");
}

#[test]
fn file_whose_tables_moved_to_the_front_saves_95_percent() {
    let (pictures, sounds) = minute();
    let made = |moov_first| {
        let layout = Layout {
            moov_first,
            ..Layout::default()
        };
        progressive(&pictures, &sounds, &layout).bytes
    };
    let (camera, web) = (made(false), made(true));
    let saved = saved_percent(&media_aware(&camera), &media_aware(&web));
    assert!(saved >= 95.0, "{saved:.1} %");
}

#[test]
fn clip_that_starts_at_a_keyframe_saves_95_percent() {
    let (pictures, _) = minute();
    let layout = Layout::default();
    let whole = progressive(&pictures, &[], &layout).bytes;
    let clip = progressive(&pictures[600..1200], &[], &layout).bytes;
    let saved = saved_percent(&media_aware(&whole), &media_aware(&clip));
    assert!(saved >= 95.0, "{saved:.1} %");
}

#[test]
fn fragments_of_which_only_the_headers_differ_save_95_percent() {
    let (pictures, sounds) = minute();
    // The later file lacks the first fragment: every sequence number behind it differs.
    let file = |skipped: usize| {
        let (pictures, sounds) = (&pictures[skipped * 60..], &sounds[skipped * 93..2790]);
        fragmented(pictures, sounds, 60).bytes
    };
    let (whole, later) = (file(0), file(1));
    let saved = saved_percent(&media_aware(&whole), &media_aware(&later));
    assert!(saved >= 95.0, "{saved:.1} %");
}

#[test]
fn bytes_inserted_at_the_front_keep_90_percent_of_the_chunks() {
    let bytes = noise(21, 24 << 20);
    let moved = [&b"a few more"[..], &bytes].concat();
    let old = chunks(&bytes, ChunkSizes::IMPORTS, &[]);
    let new = chunks(&moved, ChunkSizes::IMPORTS, &[]);
    let known: HashSet<&[u8]> = old.into_iter().collect();
    let kept = new.iter().filter(|chunk| known.contains(*chunk)).count();
    assert!(kept * 10 >= new.len() * 9, "{kept} of {}", new.len());
}
