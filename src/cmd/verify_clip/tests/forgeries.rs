//! Genuine clips that were made to play something else: each is refused, by the name of what was done to it.

use proptest::prelude::*;

use super::*;

fn iso_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

/// Where the box lies to which the kinds lead, header and all: of several of a kind, the `nth`th of the last.
fn whole(file: &[u8], path: &[&[u8; 4]], nth: usize) -> Range<usize> {
    let (mut at, mut end) = (0, file.len());
    for (depth, kind) in path.iter().enumerate() {
        let mut skip = if depth + 1 == path.len() { nth } else { 0 };
        loop {
            assert!(at < end, "there is no such box");
            let bytes = word(file, at) as usize;
            if file[at + 4..at + 8] == **kind {
                if skip == 0 {
                    (at, end) = (at, at + bytes);
                    break;
                }
                skip -= 1;
            }
            at += bytes;
        }
        if depth + 1 < path.len() {
            at += 8;
        }
    }
    at..end
}

const STBL: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];

fn within<'a>(path: &[&'a [u8; 4]], kind: &'a [u8; 4]) -> Vec<&'a [u8; 4]> {
    path.iter().copied().chain([kind]).collect()
}

/// Puts bytes into the head of a clip and leaves it a file that plays: the boxes around grow, chunks and proof point to
/// where the media is then.
fn insert(file: &[u8], around: &[&[u8; 4]], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut grown = file.to_vec();
    for depth in 1..=around.len() {
        let start = whole(file, &around[..depth], 0).start;
        let size = word(file, start) + bytes.len() as u32;
        grown[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }
    for nth in 0..2 {
        let table = position(file, b"stco", nth) + 8;
        for entry in 0..word(file, table) as usize {
            let place = table + 4 + 4 * entry;
            let offset = word(file, place) + bytes.len() as u32;
            grown[place..place + 4].copy_from_slice(&offset.to_be_bytes());
        }
    }
    let evidence = body(file, b"uuid");
    let told = ClipEvidence::decode(&file[evidence.clone()]).unwrap();
    let moved = told.moved_by(bytes.len() as u64).encode();
    grown[evidence].copy_from_slice(&moved);
    grown.splice(at..at, bytes.iter().copied());
    grown
}

#[test]
fn a_second_moov_with_tables_of_other_media_is_refused() {
    let porch = Porch::recorded();
    let file = porch.proven(0, 10_000);
    // As a player reads it: the old tables are skipped, the new ones have a forged `stco` before the genuine `co64`.
    let moov = whole(&file, &[b"moov"], 0);
    let mut forged = file.clone();
    forged[moov.start + 4..moov.start + 8].copy_from_slice(b"free");
    forged.extend_from_slice(&file[moov]);
    forged.extend(iso_box(b"mdat", &[7; 5000]));
    let said = porch.refusal(&forged);
    assert!(said.contains("has a `free` box at byte 32"), "{said}");

    // A second one behind the first.
    let moov = file[whole(&file, &[b"moov"], 0)].to_vec();
    let said = porch.refusal(&[&file[..], &moov].concat());
    assert!(said.contains("has a `moov` box"), "{said}");
}

#[test]
fn two_tables_of_offsets_are_refused_whichever_stands_first() {
    let porch = Porch::recorded();
    let file = porch.proven(0, 10_000);
    let path = within(&STBL, b"stco");
    let table = whole(&file, &path, 0);
    let genuine = file[table.clone()].to_vec();
    let offsets = genuine[16..].chunks_exact(4);
    let wide: Vec<u8> = offsets
        .flat_map(|offset| [&[0; 4], offset].concat())
        .collect();
    let wide = iso_box(b"co64", &[&genuine[8..16], &wide].concat());
    for (at, bytes, told) in [
        (table.start, &wide, "`co64` box where perch writes `stco`"),
        (table.end, &wide, "`co64` box"),
        (table.start, &genuine, "`stco` box"),
    ] {
        let said = porch.refusal(&insert(&file, &STBL, at, bytes));
        assert!(said.contains(told) && said.contains("stbl"), "{said}");
    }
}

#[test]
fn fragments_behind_the_clip_are_refused() {
    let porch = Porch::recorded();
    let file = porch.proven(0, 10_000);
    let media = body(&file, b"mdat");
    // A genuine part, as of another recording.
    let parts = file[media.start..media.start + 5000].to_vec();
    let moof = whole(&parts, &[b"moof"], 0);
    let mdat = whole(&parts, &[b"mdat"], 0);
    let fragment = &parts[moof.start..mdat.end];
    let trex = [
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 1],
        [0; 4],
        [0; 4],
        [0; 4],
    ]
    .concat();
    let mvex = iso_box(b"mvex", &iso_box(b"trex", &trex));
    let moov = whole(&file, &[b"moov"], 0);
    let fragmented = insert(&file, &[b"moov"], moov.end, &mvex);
    let said = porch.refusal(&fragmented);
    assert!(said.contains("moov has a `mvex` box"), "{said}");
    for forged in [&file, &fragmented] {
        let said = porch.refusal(&[&forged[..], fragment].concat());
        assert!(said.contains("has a `moof` box"), "{said}");
    }
}

#[test]
fn media_out_of_another_file_and_other_tables_are_refused() {
    let porch = Porch::recorded();
    let file = porch.proven(1_250, 10_000);
    // Another file: no longer said to be this one.
    let mut elsewhere = file.clone();
    let url = position(&file, b"url ", 0);
    elsewhere[url + 7] = 0;
    let said = porch.refusal(&elsewhere);
    assert!(
        said.contains("`dref` box in moov/trak/mdia/minf/dinf"),
        "{said}"
    );

    let minf = [b"moov", b"trak", b"mdia", b"minf"] as [&[u8; 4]; 4];
    for (around, kind) in [
        (&STBL[..], b"stsz"),
        (&STBL, b"stsc"),
        (&STBL, b"stts"),
        (&minf, b"stbl"),
        (&minf[..3], b"minf"),
        (&minf[..2], b"mdia"),
        (&minf[..2], b"edts"),
        (&minf[..1], b"trak"),
    ] {
        let path = within(around, kind);
        let again = whole(&file, &path, 0);
        for at in [again.start, again.end] {
            let said = porch.refusal(&insert(&file, around, at, &file[again.clone()]));
            let named = format!("`{}`", String::from_utf8_lossy(kind));
            // Another track is told by its kind.
            assert!(said.contains(&named) || said.contains("`vide`"), "{said}");
        }
    }
    // Small sizes, which other readers prefer.
    let stsz = whole(&file, &within(&STBL, b"stsz"), 0);
    let small = iso_box(b"stz2", &[0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
    let said = porch.refusal(&insert(&file, &STBL, stsz.end, &small));
    assert!(said.contains("`stz2`"), "{said}");
}

#[test]
fn pictures_hidden_by_edits_pace_or_entries_are_refused() {
    let porch = Porch::recorded();
    let file = porch.proven(0, 10_000);
    let edits = whole(&file, &[b"moov", b"trak", b"edts", b"elst"], 0);
    let stts = whole(&file, &within(&STBL, b"stts"), 0);
    let stsc = whole(&file, &within(&STBL, b"stsc"), 0);
    let altered = |at: usize, value: u32| {
        let mut altered = file.clone();
        altered[at..at + 4].copy_from_slice(&value.to_be_bytes());
        porch.refusal(&altered)
    };
    // Shown for a moment; from the fifth second on; so long for a picture; with an entry that is not there.
    for (at, value) in [
        (edits.start + 16, 3000),
        (edits.start + 20, 450_000),
        (edits.start + 20, u32::MAX),
        (edits.start + 24, 0x2_0000),
        (stts.start + 20, 1 << 30),
        (stsc.start + 24, 2),
    ] {
        let said = altered(at, value);
        assert!(said.contains("not what perch writes"), "{said}");
    }
    let edit = iso_box(b"elst", &[0; 8]);
    let around = [b"moov", b"trak", b"edts"] as [&[u8; 4]; 3];
    let said = porch.refusal(&insert(&file, &around, edits.start, &edit));
    assert!(said.contains("elst"), "{said}");
}

#[test]
fn what_lies_in_the_media_and_is_not_proven_is_told() {
    let porch = Porch::recorded();
    let file = porch.proven(0, 10_000);
    let media = whole(&file, &[b"mdat"], 0);
    let mut stuffed = file.clone();
    stuffed.splice(media.end..media.end, [0; 100]);
    let size = word(&file, media.start) + 100;
    stuffed[media.start..media.start + 4].copy_from_slice(&size.to_be_bytes());
    let said = porch.refusal(&stuffed);
    let told = format!("in `mdat` at byte {} that is not proven", media.end);
    assert!(said.contains(&told), "{said}");
}

/// Every place in a clip where a box can begin, and the boxes around it.
fn places(file: &[u8]) -> Vec<(Vec<[u8; 4]>, usize)> {
    const CONTAINERS: [&[u8; 4]; 7] = [
        b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl",
    ];
    fn walk(
        file: &[u8],
        range: Range<usize>,
        around: &[[u8; 4]],
        found: &mut Vec<(Vec<[u8; 4]>, usize)>,
    ) {
        let mut at = range.start;
        while at < range.end {
            found.push((around.to_vec(), at));
            let kind: [u8; 4] = file[at + 4..at + 8].try_into().unwrap();
            let end = at + word(file, at) as usize;
            // `insert` grows the first of a kind.
            let is_first = !found
                .iter()
                .any(|(known, _)| known.len() > around.len() && known[around.len()] == kind);
            if CONTAINERS.contains(&&kind) && is_first {
                walk(file, at + 8..end, &[around, &[kind]].concat(), found);
            }
            at = end;
        }
        found.push((around.to_vec(), at));
    }
    let mut found = Vec::new();
    walk(file, 0..file.len(), &[], &mut found);
    found
}

#[test]
fn any_box_put_in_anywhere_is_refused() {
    let porch = Porch::recorded();
    let file = porch.proven(1_250, 35_300);
    porch.holds(&file);
    let places = places(&file);
    assert!(places.len() > 30, "{}", places.len());
    let kinds = || {
        prop_oneof![
            prop::sample::select(vec![
                *b"free", *b"moov", *b"moof", *b"mdat", *b"trak", *b"edts", *b"elst", *b"mvex",
                *b"stbl", *b"stco", *b"co64", *b"stsz", *b"stz2", *b"stsc", *b"stsd", *b"dref",
                *b"uuid", *b"udta", *b"meta", *b"sidx",
            ]),
            any::<[u8; 4]>(),
        ]
    };
    let strategy = (
        kinds(),
        prop::collection::vec(any::<u8>(), 0..40),
        any::<prop::sample::Index>(),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
    runner
        .run(&strategy, |(kind, mut content, at)| {
            if kind == *b"uuid" {
                // Without its name it is no box.
                content.resize(content.len().max(16), 0);
            }
            let (around, at) = at.get(&places);
            let around: Vec<_> = around.iter().collect();
            let forged = insert(&file, &around, *at, &iso_box(&kind, &content));
            let said = porch.refusal(&forged);
            prop_assert!(!said.contains("cut off"), "{}", said);
            Ok(())
        })
        .unwrap();
}
