//! A stretch is proven, or what is wrong with it is told: altered, damaged, taken out, too young.

use std::path::{Path, PathBuf};

use super::durable::open;
use super::faults::folder;
use super::made::*;
use crate::base::Wall;
use crate::seal::PublicKeys;
use crate::store::{Archive, Gap, GapReason, RangeReport, Store, load_public_keys};

fn record(store: &Store, msns: std::ops::Range<u64>) {
    for msn in msns {
        for rendition in [VIDEO, AUDIO] {
            store.append(&camera("front"), rendition, segment(rendition, 0, msn));
        }
        store.flush();
    }
}

fn at(msn: u64) -> Wall {
    NOON.plus_ms(msn as i64 * 2000)
}

fn verify(dir: &Path, from: u64, to: u64) -> RangeReport {
    let archive = Archive::open(dir).unwrap();
    let mut last = (0, 0);
    let range = (at(from), at(to));
    let report = archive.verify_range(&camera("front"), range, None, |done, total| {
        last = (done, total);
    });
    assert_eq!(last.0, last.1);
    report.unwrap()
}

#[test]
fn keys_that_are_given_count_whatever_lies_in_the_directory() {
    let (dir, other) = (recorded(), recorded());
    let keys = |of: &Path| load_public_keys(&of.join("keys/box.pub")).unwrap();
    let (genuine, foreign) = (keys(dir.path()), keys(other.path()));
    let archive = Archive::open(dir.path()).unwrap();
    let verify = |keys: Option<&PublicKeys>| {
        let range = (at(0), at(120));
        archive
            .verify_range(&camera("front"), range, keys, |_, _| {})
            .unwrap()
    };
    assert!(verify(Some(&genuine)).is_proven());
    // A recording and its keys, replaced as a whole: it holds by itself, and not under the keys that were kept.
    let report = verify(Some(&foreign));
    assert!(report.signed.is_none() && !report.is_proven());
    assert!(verify(None).is_proven());
}

/// Four reels of a minute each of picture and sound.
fn recorded() -> tempfile::TempDir {
    let dir = folder();
    let store = open(dir.path());
    record(&store, 0..120);
    store.close();
    dir
}

fn reel(dir: &Path, id: u64) -> PathBuf {
    let folder = dir.join("reel/front").join(NOON.date());
    folder.join(format!("{id:010}.reel"))
}

fn told(report: &RangeReport) -> Vec<(bool, u64, &str)> {
    let faults = report.faults.iter();
    faults
        .map(|fault| (fault.rendition == VIDEO, fault.msn, fault.what.as_str()))
        .collect()
}

#[test]
fn what_the_box_signed_is_proven_and_what_is_too_young_is_told() {
    let dir = recorded();
    let report = verify(dir.path(), 10, 50);
    assert!(report.is_proven(), "{report:?}");
    assert!(report.tracks.iter().all(|track| track.proven == 40));
    let (origin, _) = report.signed.clone().unwrap();
    assert!(origin.as_str().starts_with("perch/"));
    assert!(verify(dir.path(), 0, 120).is_proven());

    let store = open(dir.path());
    record(&store, 120..130);
    let gap = Gap {
        rendition: None,
        from: at(130),
        to: at(132),
        reason: GapReason::CameraGone,
    };
    store.mark_gap(&camera("front"), gap.clone());
    store.flush();
    let report = verify(dir.path(), 110, 140);
    assert!(!report.is_proven() && report.faults.is_empty());
    for track in &report.tracks {
        assert_eq!((track.proven, track.unsigned), (10, 10));
    }
    assert_eq!(report.gaps, [gap]);
    store.close();
    assert!(verify(dir.path(), 110, 140).is_proven());
    let nothing = verify(dir.path(), 500, 600);
    assert!(!nothing.is_proven() && nothing.tracks.is_empty());
}

#[test]
fn nothing_is_signed_before_the_first_checkpoint() {
    let dir = folder();
    let store = open(dir.path());
    record(&store, 0..3);
    let report = verify(dir.path(), 0, 3);
    assert_eq!((report.signed.is_none(), report.is_proven()), (true, false));
    assert!(report.faults.is_empty());
}

#[test]
fn a_bit_flipped_anywhere_in_a_reel_is_told() {
    let dir = recorded();
    let path = reel(dir.path(), 3);
    let whole = std::fs::read(&path).unwrap();
    let head_end = whole
        .windows(15)
        .position(|w| w == b"perch reel head")
        .unwrap();
    let behind_head = head_end + 150;
    let in_head = (0..behind_head).step_by(13);
    let heads_damaged = || {
        let verified = Archive::open(dir.path()).unwrap().verify(|_, _| {});
        verified.unwrap().heads_damaged.len()
    };
    for byte in in_head.chain((behind_head..whole.len()).step_by(997)) {
        let mut altered = whole.clone();
        altered[byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &altered).unwrap();
        let report = verify(dir.path(), 0, 120);
        let faults = told(&report);
        // The head is not signed; `store verify` compares it with the index.
        if byte < behind_head && faults.is_empty() {
            assert_eq!(heads_damaged(), 1, "byte {byte}");
            continue;
        }
        let is_damage = |what: &str| what.contains("mismatch") || what.contains("ends early");
        assert!(
            faults.len() == 1 && is_damage(faults[0].2),
            "byte {byte}: {faults:?}"
        );
    }
    std::fs::write(&path, &whole).unwrap();
    assert!(verify(dir.path(), 0, 120).is_proven());
    assert_eq!(heads_damaged(), 0);
}

#[test]
fn a_segment_that_was_recorded_by_somebody_else_is_told() {
    let dir = recorded();
    let forger = folder();
    let store = open(forger.path());
    for msn in 0..120 {
        for rendition in [VIDEO, AUDIO] {
            // Another picture in one segment, in a reel that is sound by itself.
            let run = u64::from(msn == 40 && rendition == VIDEO);
            let mut forged = (*segment(rendition, run, msn)).clone();
            forged.run = 0;
            store.append(&camera("front"), rendition, forged.into());
        }
        store.flush();
    }
    store.close();
    std::fs::copy(reel(forger.path(), 3), reel(dir.path(), 3)).unwrap();
    let report = verify(dir.path(), 0, 120);
    // All behind it hang on it, to the end of the forged reel and over into the next.
    assert_eq!(report.faults.first().map(|fault| fault.msn), Some(40));
    let not_signed = "its record is not the one that the box signed, or the log is damaged";
    assert_eq!(told(&report)[0], (true, 40, not_signed));
    assert_eq!(report.faults.len(), 21, "{report:?}");
    assert!(verify(dir.path(), 0, 30).is_proven());
}

#[test]
fn what_was_taken_out_is_missed_in_the_middle_and_at_both_ends() {
    let dir = recorded();
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    // Reels in turn of picture and sound: 1 and 2 are the first minute.
    index
        .execute_batch("DELETE FROM segment WHERE id / 256 = 3; DELETE FROM reel WHERE id = 3;")
        .unwrap();
    std::fs::remove_file(reel(dir.path(), 3)).unwrap();
    let missing = "what was recorded right before it is missing";
    let expected = [(true, 60, missing)];
    assert_eq!(told(&verify(dir.path(), 0, 120)), expected);
    assert_eq!(told(&verify(dir.path(), 20, 45)), expected);
    assert_eq!(told(&verify(dir.path(), 60, 120)), expected);
    assert!(verify(dir.path(), 61, 120).is_proven());
    assert!(verify(dir.path(), 0, 29).is_proven());
}

#[test]
fn what_retention_removes_meanwhile_is_no_fault() {
    let dir = recorded();
    let archive = Archive::open(dir.path()).unwrap();
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let mut is_removed = false;
    let range = (at(0), at(120));
    let report = archive.verify_range(&camera("front"), range, None, |_, _| {
        // While the first reel of pictures is read: two minutes of both are over, as retention removes them.
        if !std::mem::replace(&mut is_removed, true) {
            let rows = "DELETE FROM segment WHERE id / 256 < 5; DELETE FROM reel WHERE id < 5;";
            index.execute_batch(rows).unwrap();
            for id in 1..5 {
                std::fs::remove_file(reel(dir.path(), id)).unwrap();
            }
        }
    });
    let report = report.unwrap();
    assert_eq!(told(&report), []);
    let proven: Vec<_> = report.tracks.iter().map(|track| track.proven).collect();
    assert_eq!(proven, [30 + 60, 60]);
}

#[test]
fn a_log_or_checkpoint_that_was_altered_proves_nothing() {
    let dir = recorded();
    let log = dir.path().join("log");
    for name in ["tiles-0", "checkpoints-000001", "checkpoints-hourly"] {
        let path = log.join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut altered = whole.clone();
        altered[7 * 32 + 5] ^= 1;
        std::fs::write(&path, altered).unwrap();
        // Not of all: those prove each other.
        let report = verify(dir.path(), 20, 30);
        // What people read of the hours is not what is verified against.
        assert_eq!(report.is_proven(), name == "checkpoints-hourly", "{name}");
        std::fs::write(&path, whole).unwrap();
    }
    let keys = dir.path().join("keys/box.pub");
    let other = recorded();
    std::fs::copy(other.path().join("keys/box.pub"), keys).unwrap();
    assert!(verify(dir.path(), 0, 120).signed.is_none());
}
