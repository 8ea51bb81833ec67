//! The files of the signed log are read again: whatever is altered in them is found once, what is certain is written
//! again, and what was given back or is just being written is no damage.

use std::cell::Cell;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::durable::open;
use super::faults::folder;
use super::faulty_disk::FaultyDisk;
use super::made::*;
use crate::base::{Clock, SimulatedClock};
use crate::seal::{Frontier, leaf_hash};
use crate::store::box_keys::load_or_make_keys;
use crate::store::file_system::RealFileSystem;
use crate::store::log_files::{CheckpointWriter, TileWriter};
use crate::store::log_scrub::scrub_log;
use crate::store::reader::Reader;
use crate::store::scrub::Round;
use crate::store::writer::Writer;
use crate::store::{Archive, LogReport, RecordingState, lock_directory, open_recorder, scrub_once};

/// Three tiles of leaves, of which the last is not full.
const SMALL: u64 = 600;

/// A full tile of hashes above leaves, and two more of them.
const LARGE: u64 = 65_536 + SMALL;

const TILE_BYTES: usize = 256 * 32;

/// A directory whose log has so many leaves and was signed three times, an hour after each other.
fn log_of(leaves: u64) -> tempfile::TempDir {
    let dir = folder();
    open(dir.path()).close();
    let (mut frontier, mut entries) = (Frontier::default(), Vec::new());
    for index in 0..leaves {
        frontier.append(leaf_hash(&index.to_be_bytes()), &mut entries);
    }
    let mut tiles = TileWriter::new(dir.path(), 0);
    tiles.push(&entries);
    tiles.flush(&RealFileSystem).unwrap();
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let changed = index.execute("UPDATE log SET size = ?", [leaves]).unwrap();
    assert_eq!(changed, 1);
    let keys = load_or_make_keys(dir.path()).unwrap();
    let mut checkpoints = CheckpointWriter::new(dir.path()).unwrap();
    for hour in 0..3 {
        let at = NOON.plus_ms(hour * 3_600_000);
        let note = keys.sign(leaves, frontier.root(), at).unwrap();
        checkpoints.append(&RealFileSystem, &note, at).unwrap();
    }
    dir
}

fn verify(dir: &Path) -> LogReport {
    let archive = Archive::open(dir).unwrap();
    archive.verify_log_files(|_, _| {})
}

fn sound(leaves: u64) -> LogReport {
    LogReport {
        leaves,
        ..LogReport::default()
    }
}

/// File, leaves, and whether it is known what stood there.
fn told(report: &LogReport) -> Vec<(&str, Range<u64>, bool)> {
    let damaged = report.tiles_damaged.iter();
    damaged
        .map(|tiles| {
            let name = tiles.path.file_name().unwrap().to_str().unwrap();
            (name, tiles.leaves.clone(), !tiles.renewal.is_empty())
        })
        .collect()
}

fn log_file(dir: &Path, name: &str) -> PathBuf {
    dir.join("log").join(name)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Has tiles of leaves read as zeros.
fn zero(dir: &Path, tiles: Range<usize>) {
    let path = log_file(dir, "tiles-0");
    let file = File::options().write(true).open(path).unwrap();
    let zeros = vec![0; tiles.len() * TILE_BYTES];
    let offset = (tiles.start * TILE_BYTES) as u64;
    file.write_all_at(&zeros, offset).unwrap();
}

fn record(dir: &Path, msns: Range<u64>) {
    let store = open(dir);
    for msn in msns {
        for rendition in [VIDEO, AUDIO] {
            store.append(&camera("front"), rendition, segment(rendition, 0, msn));
        }
        store.flush();
    }
    store.close();
}

#[test]
fn of_a_log_that_is_what_it_was_nothing_is_told() {
    for leaves in [1, 255, 256, 257, SMALL, 65_536, LARGE] {
        let dir = log_of(leaves);
        assert_eq!(verify(dir.path()), sound(leaves));
    }
    let dir = folder();
    open(dir.path()).close();
    assert_eq!(verify(dir.path()), sound(0));
    record(dir.path(), 0..150);
    assert_eq!(verify(dir.path()), sound(300));
    let report = scrub_once(dir.path(), |_, _| {}).unwrap();
    assert!(report.log.is_sound());
    assert_eq!(report.marked.unwrap().tiles_repaired, 0);
}

#[test]
fn how_far_the_log_is_read_is_told_up_to_its_end() {
    let dir = log_of(LARGE);
    let size = |name| log_file(dir.path(), name).metadata().unwrap().len();
    let mut told = Vec::new();
    let archive = Archive::open(dir.path()).unwrap();
    archive.verify_log_files(|done, total| told.push((done, total)));
    assert!(told.is_sorted() && told.len() > 10, "{told:?}");
    let (done, total) = told[told.len() - 1];
    assert_eq!(done, total);
    let files = [
        "tiles-0",
        "tiles-1",
        "tiles-2",
        "checkpoints-000001",
        "checkpoints-hourly",
    ];
    assert_eq!(total, files.map(size).iter().sum::<u64>());
}

#[test]
fn a_bit_flipped_in_any_tile_is_told_once_and_hashes_above_leaves_are_written_again() {
    let dir = log_of(LARGE);
    for (name, at, leaves, is_known) in [
        ("tiles-0", 5 * TILE_BYTES + 9, 1280..1536, false),
        ("tiles-0", 256 * TILE_BYTES + 9, 65_536..65_792, false),
        // In the last tile, without which nothing leads to what was signed.
        ("tiles-0", LARGE as usize * 32 - 1, 0..LARGE, false),
        ("tiles-1", 3 * 32, 0..65_536, true),
        ("tiles-1", 257 * 32 + 1, 0..LARGE, true),
        ("tiles-2", 0, 0..LARGE, true),
    ] {
        let path = log_file(dir.path(), name);
        let whole = std::fs::read(&path).unwrap();
        flip(&path, at);
        let expected = [(name, leaves, is_known)];
        assert_eq!(told(&verify(dir.path())), expected);
        let report = scrub_once(dir.path(), |_, _| {}).unwrap();
        assert_eq!(told(&report.log), expected);
        assert!(report.log.checkpoints_damaged.is_empty());
        let repaired = report.marked.unwrap().tiles_repaired;
        assert_eq!(repaired, u64::from(is_known), "{name} {at}");
        if is_known {
            assert!(std::fs::read(&path).unwrap() == whole, "{name} {at}");
        } else {
            assert_eq!(told(&verify(dir.path())), expected);
            std::fs::write(&path, whole).unwrap();
        }
        assert_eq!(verify(dir.path()), sound(LARGE));
    }
}

#[test]
fn a_hash_is_not_written_again_out_of_leaves_that_are_damaged_too() {
    let dir = log_of(SMALL);
    let paths = ["tiles-0", "tiles-1"].map(|name| log_file(dir.path(), name));
    for path in &paths {
        flip(path, 3);
    }
    let read = || paths.each_ref().map(|path| std::fs::read(path).unwrap());
    let before = read();
    let report = scrub_once(dir.path(), |_, _| {}).unwrap();
    assert_eq!(told(&report.log), [("tiles-1", 0..SMALL, false)]);
    assert_eq!(report.marked.unwrap().tiles_repaired, 0);
    assert!(read() == before);
}

#[test]
fn a_log_whose_keys_cannot_be_read_is_compared_with_itself() {
    let dir = log_of(LARGE);
    std::fs::remove_file(dir.path().join("keys/box.pub")).unwrap();
    assert_eq!(verify(dir.path()), sound(LARGE));
    let above = log_file(dir.path(), "tiles-1");
    let whole = std::fs::read(&above).unwrap();
    flip(&above, 3 * 32);
    assert_eq!(told(&verify(dir.path())), [("tiles-1", 0..65_536, true)]);
    std::fs::write(&above, whole).unwrap();
    flip(&log_file(dir.path(), "tiles-0"), TILE_BYTES);
    assert_eq!(told(&verify(dir.path())), [("tiles-0", 256..512, false)]);
}

#[test]
fn the_thread_writes_hashes_again_beside_the_writer() {
    let dir = folder();
    record(dir.path(), 0..150);
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(NOON));
    let lock = lock_directory(dir.path()).unwrap();
    let opened = open_recorder(dir.path(), &patient(), &clock, Arc::new(RealFileSystem));
    let writer = Writer::spawn_writer(opened.unwrap().0, lock, Arc::clone(&clock)).unwrap();
    let above = log_file(dir.path(), "tiles-1");
    let whole = std::fs::read(&above).unwrap();
    flip(&above, 7);
    assert_eq!(told(&verify(dir.path())), [("tiles-1", 0..300, true)]);
    // One that is broken off has found nothing.
    let broken_off = scrub_log(dir.path(), &Reader::new(dir.path()), &|| true);
    assert_eq!(broken_off, None);
    let mut round = Round::new(dir.path(), &writer);
    round.step(NOON.plus_ms(1000), || false);
    assert!(round.position().is_some());
    assert!(std::fs::read(&above).unwrap() == whole);
    assert!(writer.close(Duration::from_secs(60)));
    assert_eq!(verify(dir.path()), sound(300));
}

#[test]
fn leaves_are_given_back_from_the_first_on_and_nowhere_else() {
    let leaves = 20 * 256 + 10;
    let dir = log_of(leaves);
    zero(dir.path(), 0..3);
    assert_eq!(verify(dir.path()), sound(leaves));
    zero(dir.path(), 5..6);
    assert_eq!(told(&verify(dir.path())), [("tiles-0", 1280..1536, false)]);
    // One beside the other is one piece of damage.
    zero(dir.path(), 6..8);
    assert_eq!(told(&verify(dir.path())), [("tiles-0", 1280..2048, false)]);
    zero(dir.path(), 3..5);
    assert_eq!(verify(dir.path()), sound(leaves));

    // While it is read, more of them go.
    let has_paused = Cell::new(false);
    let report = scrub_log(dir.path(), &Reader::new(dir.path()), &|| {
        if !has_paused.replace(true) {
            zero(dir.path(), 8..17);
        }
        false
    });
    assert_eq!(report, Some(sound(leaves)));
    let dir = log_of(leaves);
    let has_paused = Cell::new(false);
    let report = scrub_log(dir.path(), &Reader::new(dir.path()), &|| {
        if !has_paused.replace(true) {
            zero(dir.path(), 0..17);
        }
        false
    });
    assert_eq!(report, Some(sound(leaves)));
}

#[test]
fn zeros_in_place_of_leaves_that_are_recorded_are_damage() {
    let dir = folder();
    record(dir.path(), 0..150);
    zero(dir.path(), 0..1);
    assert_eq!(told(&verify(dir.path())), [("tiles-0", 0..256, false)]);
}

#[test]
fn what_the_disk_does_not_take_again_costs_no_recording() {
    let dir = folder();
    record(dir.path(), 0..150);
    let above = log_file(dir.path(), "tiles-1");
    let whole = std::fs::read(&above).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(NOON));
    let disk = FaultyDisk::default();
    let opened = open_recorder(dir.path(), &patient(), &clock, Arc::new(disk.clone()));
    let mut recorder = opened.unwrap().0;
    flip(&above, 7);
    let found = verify(dir.path());
    disk.fail_next_sync();
    assert_eq!(recorder.renew_log(&found), 0);
    assert_eq!(recorder.status().state, RecordingState::Recording);
    assert_eq!(recorder.renew_log(&found), 1);
    assert!(std::fs::read(&above).unwrap() == whole);
    std::fs::remove_file(&above).unwrap();
    let found = verify(dir.path());
    assert_eq!(told(&found), [("tiles-1", 0..300, true)]);
    assert_eq!(recorder.renew_log(&found), 1);
    assert!(std::fs::read(&above).unwrap() == whole);
}

#[test]
fn a_start_builds_upon_nothing_that_is_damaged() {
    let dir = folder();
    record(dir.path(), 0..150);
    let above = log_file(dir.path(), "tiles-1");
    let whole = std::fs::read(&above).unwrap();
    flip(&above, 7);
    record(dir.path(), 150..160);
    assert!(std::fs::read(&above).unwrap() == whole);
    assert_eq!(verify(dir.path()), sound(320));
}

#[test]
fn a_log_that_cannot_be_read_keeps_nothing_else_from_being_marked() {
    let dir = folder();
    record(dir.path(), 0..20);
    // A folder is no file to read.
    let path = log_file(dir.path(), "checkpoints-hourly");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let reel = super::outdated::reels(dir.path()).pop().unwrap().0;
    flip(&reel, 3000);
    let report = scrub_once(dir.path(), |_, _| {}).unwrap();
    assert!(report.log.unread.is_some() && !report.log.is_sound());
    assert_eq!(report.marked.unwrap().segments, 1);
}

#[test]
fn a_file_that_ends_early_is_told() {
    for bytes in [0, 31, 300 * 32, SMALL * 32 - 1] {
        let dir = log_of(SMALL);
        let path = log_file(dir.path(), "tiles-0");
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(bytes).unwrap();
        assert_eq!(told(&verify(dir.path())), [("tiles-0", 0..SMALL, false)]);
    }
    let dir = log_of(SMALL);
    let above = log_file(dir.path(), "tiles-1");
    let whole = std::fs::read(&above).unwrap();
    for bytes in [0, 33] {
        std::fs::write(&above, &whole[..bytes]).unwrap();
        let report = scrub_once(dir.path(), |_, _| {}).unwrap();
        assert_eq!(told(&report.log), [("tiles-1", 0..SMALL, true)]);
        assert!(std::fs::read(&above).unwrap() == whole);
    }
}

#[test]
fn a_bit_flipped_in_any_checkpoint_is_told_and_one_half_written_is_not() {
    let dir = log_of(SMALL);
    for name in ["checkpoints-000001", "checkpoints-hourly"] {
        let path = log_file(dir.path(), name);
        let whole = std::fs::read(&path).unwrap();
        let note = whole.len() / 3;
        for at in (0..note).step_by(199).chain([note - 1, note + 9]) {
            flip(&path, at);
            let report = verify(dir.path());
            assert_eq!(told(&report), [], "{name} {at}");
            let [damaged] = report.checkpoints_damaged.as_slice() else {
                panic!("{name} {at}: {report:?}");
            };
            let range = damaged.offset..damaged.offset + damaged.bytes;
            assert!(
                damaged.path == path && range.contains(&(at as u64)),
                "{name} {at}: {report:?}"
            );
            std::fs::write(&path, &whole).unwrap();
        }
        for bytes in [10, 200, note - 1] {
            std::fs::write(&path, [&whole[..], &whole[..bytes]].concat()).unwrap();
            assert_eq!(verify(dir.path()), sound(SMALL), "{name} {bytes}");
        }
        // Nothing half written stands in a file behind which another was begun.
        if name == "checkpoints-000001" {
            std::fs::write(log_file(dir.path(), "checkpoints-000002"), &whole).unwrap();
            std::fs::write(&path, [&whole[..], &[0; 99]].concat()).unwrap();
            assert_eq!(verify(dir.path()).checkpoints_damaged.len(), 1);
            std::fs::remove_file(log_file(dir.path(), "checkpoints-000002")).unwrap();
        }
        // A stretch that the disk has lost, longer than is read at once and than any note.
        let lost = vec![0; 400 << 10];
        std::fs::write(&path, [&whole[..], &lost, &whole].concat()).unwrap();
        let report = verify(dir.path());
        let lost_bytes: u64 = report.checkpoints_damaged.iter().map(|d| d.bytes).sum();
        assert!(lost_bytes >= 400 << 10, "{report:?}");
        assert_eq!(report.checkpoints_damaged.len(), 1);
        std::fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn what_was_signed_with_keys_that_are_lost_is_no_damage() {
    let dir = log_of(SMALL);
    for name in ["box.key", "box.pub"] {
        std::fs::remove_file(dir.path().join("keys").join(name)).unwrap();
    }
    load_or_make_keys(dir.path()).unwrap();
    assert_eq!(verify(dir.path()), sound(SMALL));
}
