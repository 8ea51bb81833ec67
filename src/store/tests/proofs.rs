//! What was recorded is in the log that the box signs, whatever ends the process; what was altered is not.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::durable::{open, open_whatever};
use super::faults::folder;
use super::made::*;
use super::outdated::reels;
use crate::base::{Clock, DigestKind, SimulatedClock};
use crate::media::RenditionId;
use crate::seal::{ClipEvidence, ClipPart, ClipProof, PublicKeys, SegmentPlace};
use crate::store::file_system::{FileSystem, RealFileSystem};
use crate::store::reel::{read_head, read_segments};
use crate::store::{Archive, CheckpointsReport, ProveError, Store, StoreOptions, load_public_keys};

fn record(store: &Store, name: &str, run: u64, msns: std::ops::Range<u64>) {
    for msn in msns {
        for rendition in [VIDEO, AUDIO] {
            store.append(&camera(name), rendition, segment(rendition, run, msn));
        }
        store.flush();
    }
}

pub(super) fn named(msns: std::ops::Range<u64>) -> Vec<(RenditionId, u64)> {
    msns.flat_map(|msn| [(VIDEO, msn), (AUDIO, msn)]).collect()
}

/// Checks a proof as somebody would who has the clip and the box's public keys, and nothing else.
pub(super) fn check(dir: &Path, proof: ClipProof, run: u64, msns: std::ops::Range<u64>) {
    let keys = load_public_keys(&dir.join("keys/box.pub")).unwrap();
    let mut file = Vec::new();
    let mut places = Vec::new();
    for (rendition, msn) in named(msns) {
        let offset = file.len() as u64;
        let parts = &segment(rendition, run, msn).parts;
        let parts = parts.iter().map(|part| {
            file.extend(&part.bytes);
            ClipPart {
                head_bytes: 8,
                media_bytes: part.bytes.len() as u32 - 8,
            }
        });
        places.push(SegmentPlace {
            offset,
            parts: parts.collect(),
        });
    }
    let evidence = ClipEvidence::new(proof, places).unwrap();
    let evidence = ClipEvidence::decode(&evidence.encode()).unwrap();
    let read = |offset: u64, buffer: &mut [u8]| {
        let start = offset as usize;
        buffer.copy_from_slice(&file[start..start + buffer.len()]);
        true
    };
    let verified = evidence.verify(&keys, read).unwrap();
    assert_eq!(verified.tracks.len(), 2);
}

#[test]
fn a_clip_is_proven_at_once_after_a_restart_and_beside_the_appliance() {
    let dir = folder();
    let front = camera("front");
    let store = open(dir.path());
    record(&store, "front", 0, 0..20);
    let proof = store.clip_proof(&front, &named(3..9)).unwrap();
    check(dir.path(), proof, 0, 3..9);
    record(&store, "front", 0, 20..30);
    store.close();
    let archive = Archive::open(dir.path()).unwrap();
    check(
        dir.path(),
        archive.clip_proof(&front, &named(15..30)).unwrap(),
        0,
        15..30,
    );

    let store = open(dir.path());
    record(&store, "front", 0, 30..33);
    let refused = archive.clip_proof(&front, &named(30..31));
    assert!(matches!(refused, Err(ProveError::NotYetSigned(30))));
    let proof = store.clip_proof(&front, &named(28..33)).unwrap();
    check(dir.path(), proof, 0, 28..33);
    let missing = store.clip_proof(&front, &[(VIDEO, 99)]);
    assert!(matches!(missing, Err(ProveError::NotRecorded(99))));
}

#[test]
fn a_killed_process_leaves_a_log_that_goes_on() {
    let dir = folder();
    let front = camera("front");
    for run in 0..4 {
        let store = open(dir.path());
        let first = run * 300;
        record(&store, "front", run, first..first + 300);
        if run == 1 {
            let proof = store.clip_proof(&front, &named(first..first + 2));
            check(dir.path(), proof.unwrap(), run, first..first + 2);
        }
        // As a kill leaves it: what lies on the disk now is all that is left.
        let copy = folder();
        super::fixture::copy(dir.path(), copy.path());
        let killed = Store::open(copy.path(), patient(), Arc::new(SimulatedClock::new(NOON)));
        let (killed, _) = killed.unwrap();
        record(&killed, "front", run + 10, first + 5_000..first + 5_002);
        let whole: Vec<_> = named(first..first + 300);
        let proof = killed.clip_proof(&front, &whole).unwrap();
        check(copy.path(), proof, run, first..first + 300);
        let proof = killed.clip_proof(&front, &named(first + 5_000..first + 5_002));
        check(
            copy.path(),
            proof.unwrap(),
            run + 10,
            first + 5_000..first + 5_002,
        );
    }
}

/// The places in the log that the reels name.
fn places(dir: &Path) -> Vec<u64> {
    let mut places = Vec::new();
    for (path, size) in reels(dir) {
        let file = RealFileSystem.open_file(&path).unwrap();
        let head = read_head(&*file, size).unwrap();
        let found = read_segments(&*file, head.init_bytes.into(), size);
        places.extend(found.iter().map(|found| found.trailer.link.unwrap().index));
    }
    places
}

#[test]
fn a_place_in_the_log_that_cannot_be_read_in_its_reel_is_not_given_out_again() {
    let dir = folder();
    let store = open(dir.path());
    record(&store, "front", 0, 0..3);
    for damaged in 1..=2 {
        let copy = folder();
        super::fixture::copy(dir.path(), copy.path());
        // The newest leaf is of the second reel, the one before it of the first.
        let reels: Vec<_> = reels(copy.path()).into_iter().rev().take(damaged).collect();
        let flip_ends = || {
            for (path, size) in &reels {
                let mut bytes = std::fs::read(path).unwrap();
                bytes[*size as usize - 1] ^= 1;
                std::fs::write(path, bytes).unwrap();
            }
        };
        flip_ends();
        let (killed, report) = open_whatever(copy.path());
        assert_eq!(report.lost.len(), damaged);
        record(&killed, "front", 1, 5_000..5_002);
        killed.close();
        drop(killed);
        let archive = Archive::open(copy.path()).unwrap();
        let proof = archive.clip_proof(&camera("front"), &named(5_000..5_002));
        check(copy.path(), proof.unwrap(), 1, 5_000..5_002);

        // What was damaged reads well again.
        flip_ends();
        let mut places = places(copy.path());
        places.sort_unstable();
        assert_eq!(places, (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn what_retention_removed_keeps_its_place_in_the_log() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let options = || {
        let mut options = StoreOptions {
            reel_duration: Duration::from_secs(6),
            ..patient()
        };
        options.retention.bytes_max = Some(10_000);
        options
    };
    let open = || {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        Store::open(dir.path(), options(), clock).unwrap()
    };
    let front = camera("front");
    for round in 0..3 {
        let (store, report) = open();
        assert!(report.is_clean());
        for msn in round * 50..round * 50 + 50 {
            record(&store, "front", round, msn..msn + 1);
            clock.advance(Duration::from_secs(10));
            store.flush();
        }
        assert!(store.status().reels_expired > 10);
        let last = round * 50 + 48;
        let proof = store.clip_proof(&front, &named(last..last + 2)).unwrap();
        check(dir.path(), proof, round, last..last + 2);
        // Killed or stopped, in turn.
        if round == 1 {
            store.close();
        }
    }
}

#[test]
fn both_lengths_of_digests_are_recorded_read_and_proven() {
    let dir = folder();
    let front = camera("front");
    for (run, digest) in [
        DigestKind::Blake2b256,
        DigestKind::Blake2b512,
        DigestKind::Blake2b256,
    ]
    .into_iter()
    .enumerate()
    {
        let run = run as u64;
        let options = StoreOptions {
            digest,
            ..patient()
        };
        let clock = Arc::new(SimulatedClock::new(NOON));
        let (store, report) = Store::open(dir.path(), options, clock).unwrap();
        assert!(report.is_clean(), "{report}");
        record(&store, "front", run, run * 10..run * 10 + 10);
        let proof = store.clip_proof(&front, &named(run * 10..run * 10 + 10));
        let proof = proof.unwrap();
        assert!(proof.leaves().all(|leaf| leaf.digest.kind() == digest));
        check(dir.path(), proof, run, run * 10..run * 10 + 10);
        store.close();
    }
    let report = Archive::open(dir.path())
        .unwrap()
        .verify(|_, _| {})
        .unwrap();
    assert_eq!((report.segments_sound, report.damaged.len()), (60, 0));
}

#[test]
fn a_log_whose_tail_was_cut_or_altered_proves_nothing_that_it_does_not_hold() {
    let dir = folder();
    let front = camera("front");
    let store = open(dir.path());
    record(&store, "front", 0, 0..300);
    store.close();
    let leaves = dir.path().join("log/tiles-0");
    let whole = std::fs::read(&leaves).unwrap();
    assert_eq!(whole.len(), 600 * 32);
    let archive = Archive::open(dir.path()).unwrap();
    for at in [0, 3 * 32, whole.len() - 1] {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(&leaves, altered).unwrap();
        let refused = archive.clip_proof(&front, &named(0..300));
        assert!(matches!(refused, Err(ProveError::Log(_))));
    }
    std::fs::write(&leaves, &whole[..whole.len() - 32]).unwrap();
    let refused = archive.clip_proof(&front, &named(299..300));
    assert!(matches!(refused, Err(ProveError::Log(_))));
    std::fs::write(&leaves, &whole).unwrap();

    // Hashes above leaves are computed again if they are gone.
    std::fs::remove_file(dir.path().join("log/tiles-1")).unwrap();
    let store = open(dir.path());
    record(&store, "front", 0, 300..301);
    let proof = store.clip_proof(&front, &named(290..301)).unwrap();
    check(dir.path(), proof, 0, 290..301);
}

#[test]
fn the_log_gives_back_what_is_over_and_proves_the_rest() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let front = camera("front");
    let open = || {
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        Store::open(dir.path(), patient(), shared).unwrap().0
    };
    let store = open();
    record(&store, "front", 0, 0..250);
    // Signs.
    store.clip_proof(&front, &named(249..250)).unwrap();
    record(&store, "front", 0, 250..1500);
    store.close();
    drop(store);
    // All but the last reels are over, as if retention had taken them.
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    index
        .execute_batch("DELETE FROM segment WHERE id / 256 < 90; DELETE FROM reel WHERE id < 90;")
        .unwrap();
    drop(index);
    for id in 1..90 {
        let folder = dir.path().join("reel/front").join(NOON.date());
        let _ = std::fs::remove_file(folder.join(format!("{id:010}.reel")));
    }
    let leaves = dir.path().join("log/tiles-0");
    let before = std::fs::metadata(&leaves).unwrap();
    assert_eq!(before.len(), 3000 * 32);

    for _ in 0..2 {
        let store = open();
        let position = store.camera_position(&front);
        let first = position.next_msn;
        clock.advance(Duration::from_secs(2 * 3600));
        record(&store, "front", 1 + position.next_run, first..first + 3);
        store.close();
        drop(store);
        let after = std::fs::metadata(&leaves).unwrap();
        assert!(after.len() > before.len());
        assert!(after.blocks() * 512 < 36_000, "{} blocks", after.blocks());
        let bytes = std::fs::read(&leaves).unwrap();
        assert!(bytes[..8 * 8192].iter().all(|byte| *byte == 0));
        let archive = Archive::open(dir.path()).unwrap();
        assert!(archive.verify_log_files(|_, _| {}).is_sound());
        let mut wanted = named(1400..1500);
        wanted.extend(named(first..first + 3));
        archive.clip_proof(&front, &wanted).unwrap();
        let report = archive
            .verify_range(
                &front,
                (NOON.plus_ms(2_800_000), NOON.plus_ms(3_000_000)),
                None,
                |_, _| {},
            )
            .unwrap();
        assert!(report.is_proven(), "{report:?}");
        // Of 500 leaves, whose last are gone; of 3000; and of each round.
        let notes = archive.verify_checkpoints(&checkpoints(dir.path()), &keys(dir.path()));
        let notes = notes.unwrap();
        assert_eq!((notes.too_old, notes.contradicted.len()), (1, 0));
        assert!(notes.held >= 2, "{notes:?}");
    }
    let report = crate::store::rebuild_index(dir.path(), |_, _| {}).unwrap();
    assert!(report.log.root_holds, "{report:?}");

    // Without the hashes above them, what is over cannot be told any more: nothing is made up for it, another log
    // begins, and what there was stays beside it.
    let above = dir.path().join("log/tiles-1");
    std::fs::write(&above, &std::fs::read(&above).unwrap()[..64]).unwrap();
    let names = [
        "tiles-0",
        "tiles-1",
        "checkpoints-000001",
        "checkpoints-hourly",
    ];
    let read = |folder: &str| {
        let folder = dir.path().join(folder);
        names.map(|name| std::fs::read(folder.join(name)).unwrap())
    };
    let before = read("log");
    let store = open();
    let kept = read("log/set-aside-1");
    assert!(before == kept);
    let position = store.camera_position(&front);
    let first = position.next_msn;
    for msns in [first..first + 3, first + 3..first + 6] {
        record(&store, "front", 1 + position.next_run, msns.clone());
        store.clip_proof(&front, &named(msns)).unwrap();
    }
    let refused = store.clip_proof(&front, &named(1400..1500));
    assert!(matches!(
        refused,
        Err(ProveError::Log(_) | ProveError::NotYetSigned(_))
    ));
    store.close();
    let leaves = std::fs::metadata(&leaves).unwrap().len() / 32;
    assert!((12..16).contains(&leaves), "{leaves} leaves");
}

fn checkpoints(dir: &Path) -> PathBuf {
    dir.join("log/checkpoints-000001")
}

fn keys(dir: &Path) -> PublicKeys {
    load_public_keys(&dir.join("keys/box.pub")).unwrap()
}

#[test]
fn checkpoints_that_were_kept_elsewhere_hold_against_a_log_written_anew() {
    let dir = folder();
    let front = camera("front");
    let store = open(dir.path());
    for end in [1, 5, 128, 300] {
        record(&store, "front", 0, end - 1..end);
        store.clip_proof(&front, &named(end - 1..end)).unwrap();
    }
    let kept = folder();
    let copy = kept.path().join("copy");
    std::fs::copy(checkpoints(dir.path()), &copy).unwrap();
    record(&store, "front", 0, 300..310);
    store.close();
    let archive = Archive::open(dir.path()).unwrap();
    let held = |count| CheckpointsReport {
        held: count,
        ..CheckpointsReport::default()
    };
    let report = archive.verify_checkpoints(&copy, &keys(dir.path()));
    assert_eq!(report.unwrap(), held(4));
    let report = archive.verify_checkpoints(&checkpoints(dir.path()), &keys(dir.path()));
    assert_eq!(report.unwrap(), held(5));

    // Whoever has the keys signs what he likes, shorter or longer; what was kept knows better.
    for segments in [2, 500] {
        let forged = folder();
        std::fs::create_dir(forged.path().join("keys")).unwrap();
        for name in ["box.key", "box.pub"] {
            let name = Path::new("keys").join(name);
            std::fs::copy(dir.path().join(&name), forged.path().join(&name)).unwrap();
        }
        let store = open(forged.path());
        record(&store, "back", 0, 0..segments);
        store.close();
        let forged = Archive::open(forged.path()).unwrap();
        let report = forged.verify_checkpoints(&copy, &keys(dir.path()));
        let sizes: Vec<u64> = report.unwrap().contradicted.iter().map(|c| c.1).collect();
        assert_eq!(sizes, [2, 4, 6, 8]);
    }

    // A digit of a time is another: not what these keys have signed.
    let notes = std::fs::read_to_string(&copy).unwrap();
    let year = NOON.to_string()[..4].to_owned();
    std::fs::write(&copy, notes.replacen(&year, "1999", 1)).unwrap();
    let report = archive
        .verify_checkpoints(&copy, &keys(dir.path()))
        .unwrap();
    assert_eq!((report.held, report.not_signed), (3, 1));
    std::fs::write(&copy, "no note\n\n").unwrap();
    let report = archive.verify_checkpoints(&copy, &keys(dir.path()));
    assert_eq!(report.unwrap(), held(0));
    let missing = archive.verify_checkpoints(&kept.path().join("none"), &keys(dir.path()));
    assert!(matches!(missing, Err(ProveError::Read(_))));
    let others = folder();
    open(others.path()).close();
    let refused = archive.verify_checkpoints(&copy, &keys(others.path()));
    assert!(matches!(refused, Err(ProveError::NothingSigned)));
}

#[test]
fn a_log_of_which_nothing_tells_how_long_it_was_is_set_aside_and_not_written_over() {
    let dir = folder();
    let front = camera("front");
    let store = open(dir.path());
    record(&store, "front", 0, 0..3);
    store.close();
    drop(store);
    // As if it were of some days; without the checkpoints, an index that was made again does not know of them.
    let leaves = dir.path().join("log/tiles-0");
    let bytes = (u64::from(u32::pow(2, 20)) + 1) * 32;
    let file = std::fs::File::options().write(true).open(&leaves).unwrap();
    file.set_len(bytes).unwrap();
    for name in ["checkpoints-000001", "checkpoints-hourly"] {
        std::fs::remove_file(dir.path().join("log").join(name)).unwrap();
    }
    crate::store::rebuild_index(dir.path(), |_, _| {}).unwrap();
    let store = open(dir.path());
    let kept = dir.path().join("log/set-aside-1/tiles-0");
    assert_eq!(std::fs::metadata(kept).unwrap().len(), bytes);
    let first = store.camera_position(&front).next_msn;
    record(&store, "front", 7, first..first + 3);
    let proof = store.clip_proof(&front, &named(first..first + 3)).unwrap();
    check(dir.path(), proof, 7, first..first + 3);
    store.close();
    assert_eq!(std::fs::metadata(&leaves).unwrap().len(), 6 * 32);
}

#[test]
fn a_piece_that_the_disk_lost_behind_the_checkpoints_costs_none_of_them() {
    let dir = folder();
    let store = open(dir.path());
    record(&store, "front", 0, 0..3);
    store.close();
    let names = ["checkpoints-hourly", "checkpoints-000001"];
    let paths = names.map(|name| dir.path().join("log").join(name));
    let before = paths.each_ref().map(|path| std::fs::read(path).unwrap());
    for (path, notes) in paths.iter().zip(&before) {
        std::fs::write(path, [&notes[..], &vec![0; 3 << 20]].concat()).unwrap();
    }
    let store = open(dir.path());
    record(&store, "front", 1, 3..6);
    store.close();
    for (path, notes) in paths.iter().zip(&before) {
        let after = std::fs::read(path).unwrap();
        assert!(after.starts_with(notes) && after.len() > notes.len());
        assert!(after.len() < 64 << 10, "{} bytes", after.len());
    }
}

#[test]
fn a_segment_costs_index_and_log_less_than_80_bytes() {
    let dir = folder();
    let record = |first: u64, end: u64| {
        let store = open(dir.path());
        for msn in first..end {
            for rendition in [VIDEO, AUDIO] {
                store.append(&camera("front"), rendition, segment(rendition, 0, msn));
            }
            if msn % 4 == 0 {
                store.flush();
            }
        }
        store.close();
        drop(store);
        let files = ["db/index.db", "log/tiles-0", "log/tiles-1"].map(|name| dir.path().join(name));
        let bytes = files.map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
        bytes.iter().sum::<u64>()
    };
    // Every table takes a page, however little it holds.
    let first = record(0, 1000);
    let each = (record(1000, 4000) - first) as f64 / 6000.0;
    assert!((32.0..80.0).contains(&each), "{each:.1} bytes");
}
