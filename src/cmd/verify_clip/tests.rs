//! Clips from end to end: recorded, signed, exported, and verified with the public keys and nothing else of the box.

mod forgeries;
mod joined;
mod sound;

use std::ops::Range;
use std::sync::Arc;

use super::*;
use crate::base::{Clock, SimulatedClock};
use crate::cmaf::file_box;
use crate::store::tests::fragments::{
    HIGH, LOW, NOON, SOUND, patient, read_all, record, recorded, wish,
};
use crate::store::{Archive, ClipFile, ProveError, Store};

/// A box that has recorded ten seconds, and six behind a gap, and what belongs to it.
struct Porch {
    dir: tempfile::TempDir,
    clock: SimulatedClock,
    keys: PublicKeys,
}

impl Porch {
    fn recorded() -> Self {
        Self::with(recorded)
    }

    /// A box that has recorded and signed what `record` does.
    fn with(record: impl FnOnce(&Store)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SimulatedClock::new(NOON);
        let store = open(dir.path(), &clock);
        record(&store);
        store.close();
        let keys = load_public_keys(&dir.path().join("keys/box.pub")).unwrap();
        Self { dir, clock, keys }
    }

    fn open(&self) -> Store {
        open(self.dir.path(), &self.clock)
    }

    fn clip(&self, from_ms: i64, to_ms: i64) -> ClipFile {
        let archive = Archive::open(self.dir.path()).unwrap();
        archive.clip_file(&wish(from_ms, to_ms)).unwrap()
    }

    /// A proven clip's bytes.
    fn proven(&self, from_ms: i64, to_ms: i64) -> Vec<u8> {
        let file = self.clip(from_ms, to_ms);
        assert!(file.unproven().is_none(), "{:?}", file.unproven());
        read_all(&Arc::new(file), 0)
    }

    fn verify(&self, file: &[u8]) -> anyhow::Result<Report> {
        // Without the box: a folder of its own, and its keys.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        std::fs::write(&path, file).unwrap();
        verify(&path, &self.keys)
    }

    fn holds(&self, file: &[u8]) -> Report {
        let report = self.verify(file).unwrap();
        assert!(report.proven, "{:?}", report.faults);
        report
    }

    /// Why a file is refused.
    fn refusal(&self, file: &[u8]) -> String {
        match self.verify(file) {
            Ok(report) => {
                assert!(!report.proven && !report.faults.is_empty());
                report.faults.join("\n")
            }
            Err(error) => format!("{error:#}"),
        }
    }
}

fn open(dir: &Path, clock: &SimulatedClock) -> Store {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Store::open(dir, patient(), clock).unwrap().0
}

/// Where the body of a box at the top level lies.
fn body(file: &[u8], kind: &[u8; 4]) -> Range<usize> {
    let mut at = 0;
    while let Some(found) = file_box(&file[at..], (file.len() - at) as u64) {
        let end = at + found.bytes_count as usize;
        if found.kind == *kind {
            return at + found.header_bytes as usize..end;
        }
        at = end;
    }
    panic!("no such box");
}

/// Where a name stands in a file, `nth` from 0.
fn position(file: &[u8], name: &[u8], nth: usize) -> usize {
    let mut found = (0..file.len()).filter(|at| file[*at..].starts_with(name));
    found.nth(nth).unwrap()
}

fn word(file: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(file[at..at + 4].try_into().unwrap())
}

#[test]
fn a_clip_with_a_gap_that_is_cut_at_both_ends_is_proven() {
    let porch = Porch::recorded();
    let file = porch.proven(1_250, 35_300);
    let report = porch.holds(&file);
    let tracks: Vec<_> = report
        .tracks
        .iter()
        .map(|track| (track.rendition.as_str(), track.segments))
        .collect();
    assert_eq!(tracks, [("low", 8), (SOUND.name(), 8)]);
    assert_eq!(report.tracks[0].from, NOON.to_string());
    // One within a segment, one of all segments, one whose pictures have no other rendition's sound beside them.
    for (from, to) in [(3_100, 3_300), (0, 36_000), (0, 10_000), (9_950, 30_050)] {
        porch.holds(&porch.proven(from, to));
    }
    let other = Porch::recorded();
    assert!(
        other.refusal(&file).contains("keys"),
        "{}",
        other.refusal(&file)
    );
}

#[test]
fn each_bit_of_the_media_counts() {
    let porch = Porch::recorded();
    let file = porch.proven(1_250, 35_300);
    for at in body(&file, b"mdat").step_by(1499) {
        let mut altered = file.clone();
        altered[at] ^= 1;
        let said = porch.refusal(&altered);
        assert!(said.contains("was altered"), "{at}: {said}");
    }
    // Of the evidence, too.
    for at in body(&file, b"uuid").step_by(97) {
        let mut altered = file.clone();
        altered[at] ^= 1;
        porch.refusal(&altered);
    }
}

#[test]
fn a_picture_left_out_of_the_tables_is_told() {
    let porch = Porch::recorded();
    let mut file = porch.proven(0, 10_000);
    // The last sample of a chunk in the midst of the pictures has no bytes any more.
    let head = &file[..body(&file, b"mdat").start];
    let ranges = HeadCheck::new(head).unwrap().ranges().remove(0);
    let end: u64 = ranges[..ranges.len() / 2].iter().map(|range| range.1).sum();
    let sizes = position(&file, b"stsz", 0) + 16;
    let (mut at, mut sum) = (sizes, 0);
    while sum < end {
        sum += u64::from(word(&file, at));
        at += 4;
    }
    assert_eq!(sum, end);
    file[at - 4..at].fill(0);
    let said = porch.refusal(&file);
    assert!(said.contains("some of it does not play"), "{said}");
}

#[test]
fn chunks_in_another_order_and_tracks_that_play_something_else_are_told() {
    let porch = Porch::recorded();
    let file = porch.proven(0, 10_000);
    let chunks = position(&file, b"stco", 0) + 12;
    let mut swapped = file.clone();
    swapped.copy_within(chunks + 12..chunks + 16, chunks + 16);
    swapped[chunks + 12..chunks + 16].copy_from_slice(&file[chunks + 16..chunks + 20]);
    let said = porch.refusal(&swapped);
    assert!(
        said.contains("in the wrong place") || said.contains("not proven"),
        "{said}"
    );

    // The sound's track plays what lies in a box of its own, or in the evidence.
    let chunks = position(&file, b"stco", 1) + 12;
    let mut replaced = file.clone();
    replaced[chunks + 8..chunks + 12].copy_from_slice(&(file.len() as u32 - 5000).to_be_bytes());
    let said = porch.refusal(&replaced);
    assert!(said.contains("not proven"), "{said}");
    let fake = file.len() as u32 + 8;
    replaced.extend([&1008u32.to_be_bytes()[..], b"free", &[0; 1000]].concat());
    replaced[chunks + 8..chunks + 12].copy_from_slice(&fake.to_be_bytes());
    let said = porch.refusal(&replaced);
    assert!(said.contains("`free`"), "{said}");

    // A track is taken out: its box is one that players skip.
    let mut silent = file.clone();
    let track = position(&file, b"trak", 1);
    silent[track..track + 4].copy_from_slice(b"free");
    let said = porch.refusal(&silent);
    assert!(said.contains("does not play"), "{said}");
}

#[test]
fn swapped_segments_and_a_file_that_is_cut_are_told() {
    let porch = Porch::recorded();
    let clip = porch.clip(0, 10_000);
    let segments: Vec<_> = clip.segments().collect();
    let file = read_all(&Arc::new(clip), 0);
    let store = porch.open();
    let mut at = body(&file, b"mdat").start;
    let mut stretches = Vec::new();
    for (rendition, msn) in segments {
        let stored = store.load_segment(&wish(0, 1).camera, rendition, msn);
        let end = at + stored.unwrap().unwrap().len();
        stretches.push(at..end);
        at = end;
    }
    // High pictures and low sound in turn.
    let [first, between, second] = [2, 3, 4].map(|index| file[stretches[index].clone()].to_vec());
    let swapped = [
        &file[..stretches[2].start],
        &second,
        &between,
        &first,
        &file[stretches[4].end..],
    ]
    .concat();
    assert_eq!(swapped.len(), file.len());
    let said = porch.refusal(&swapped);
    assert!(
        said.contains("was moved") || said.contains("was altered"),
        "{said}"
    );

    for end in (0..file.len()).step_by(4999).chain([file.len() - 1]) {
        porch.refusal(&file[..end]);
    }
    let evidence = body(&file, b"uuid").start - 24;
    let said = porch.refusal(&file[..evidence]);
    assert!(said.contains("carries no proof"), "{said}");
}

#[test]
fn a_clip_stays_the_same_while_the_box_goes_on_to_sign() {
    let porch = Porch::recorded();
    let before = porch.clip(1_250, 35_300);
    let store = porch.open();
    for msn in 12..20 {
        let at = NOON.plus_ms(msn as i64 * 3_000);
        for rendition in [LOW, SOUND] {
            record(&store, rendition, msn, 1280, [msn, msn, msn + 1], at);
        }
        porch.clock.advance(std::time::Duration::from_secs(61));
        store.clip_proof(&wish(0, 1).camera, &[(LOW, msn)]).unwrap();
    }
    let after = porch.clip(1_250, 35_300);
    assert_eq!(before.tag(), after.tag());
    assert_eq!(before.bytes_count(), after.bytes_count());
}

#[test]
fn what_is_not_signed_yet_is_signed_by_the_box_and_exported_without_proof_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimulatedClock::new(NOON);
    let store = open(dir.path(), &clock);
    record(&store, HIGH, 0, 1280, [0, 0, 3], NOON);
    let keys = load_public_keys(&dir.path().join("keys/box.pub")).unwrap();
    let porch = Porch { dir, clock, keys };
    let file = porch.clip(0, 6_000);
    let reason = file.unproven();
    assert!(
        matches!(reason, Some(ProveError::NotYetSigned(2))),
        "{reason:?}"
    );
    let bytes = read_all(&Arc::new(file), 0);
    assert_eq!(body(&bytes, b"mdat").end, bytes.len());
    let file = store.clip_file(&wish(0, 6_000)).unwrap();
    assert!(file.unproven().is_none(), "{:?}", file.unproven());
    porch.holds(&read_all(&Arc::new(file), 0));
    store.close();
}
