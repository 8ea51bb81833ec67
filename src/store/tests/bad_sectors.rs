//! Places of a reel that the disk does not give back, found by a start: they cost the segments that lie there, which are
//! told, and nothing else. No byte goes because it could not be read.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::durable::open;
use super::faults::{check_files, folder};
use super::faulty_disk::FaultyDisk;
use super::made::*;
use super::outdated::reels;
use crate::base::{Clock, DigestKind, SimulatedClock};
use crate::media::Segment;
use crate::store::bad_sectors::SECTOR_BYTES;
use crate::store::file_system::{FileSystem, RealFileSystem};
use crate::store::patience::REFUSALS_MAX;
use crate::store::queue::QueuedSegment;
use crate::store::recorder::Recorder;
use crate::store::reel::TRAILER_BYTES_MAX;
use crate::store::{DiscardedTail, RecoveryReport, StoreOptions, open_recorder, scrub_once};

/// Segments that were committed, of those that were written.
const COMMITTED: u64 = 3;
const WRITTEN: u64 = 5;

/// A segment of some sectors.
fn large(msn: u64) -> Segment {
    let mut segment = Segment::clone(&segment(VIDEO, 0, msn));
    for part in &mut segment.parts {
        let payload = vec![msn as u8 + 1; 3 * SECTOR_BYTES as usize];
        let size = (payload.len() as u32 + 8).to_be_bytes();
        part.bytes = [&size[..], b"mdat", &payload].concat().into();
    }
    segment
}

fn start(
    dir: &Path,
    files: Arc<dyn FileSystem>,
    clock: &SimulatedClock,
) -> (Recorder, RecoveryReport) {
    // Short digests, so that trailers are not as long as trailers get.
    let options = StoreOptions {
        digest: DigestKind::Blake2b256,
        ..patient()
    };
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let (recorder, _, report) = open_recorder(dir, &options, &clock, files).unwrap();
    (recorder, report)
}

/// A reel that was open when the power went.
struct Crashed {
    dir: tempfile::TempDir,
    reel: PathBuf,
    bytes: Vec<u8>,
    /// Where each segment starts and where its trailer does.
    places: Vec<(u64, u64)>,
}

impl Crashed {
    fn new() -> Self {
        Self::of(&["front"])
    }

    /// The same with a reel of each camera, all alike but for their heads; the first one's is told.
    fn of(cameras: &[&str]) -> Self {
        let dir = folder();
        let clock = SimulatedClock::new(NOON);
        let (mut recorder, _) = start(dir.path(), Arc::new(RealFileSystem), &clock);
        for msn in 0..WRITTEN {
            for name in cameras {
                recorder.accept(&QueuedSegment {
                    camera: camera(name),
                    rendition: VIDEO,
                    segment: Arc::new(large(msn)),
                });
            }
            if msn + 1 == COMMITTED {
                recorder.commit();
            }
        }
        drop(recorder);
        let (reel, _) = reels(dir.path()).remove(0);
        let bytes = std::fs::read(&reel).unwrap();
        let mut places = Vec::new();
        for msn in 0..WRITTEN {
            let segment = bytes_of(&large(msn));
            let mut windows = bytes.windows(segment.len());
            let at = windows.position(|window| window == segment).unwrap() as u64;
            places.push((at, at + segment.len() as u64));
        }
        Self {
            dir,
            reel,
            bytes,
            places,
        }
    }

    fn change_index(&self, change: &str) {
        let index = rusqlite::Connection::open(self.dir.path().join("db/index.db")).unwrap();
        assert_eq!(index.execute(change, ()).unwrap(), 1);
    }

    /// Starts on a disk that does not give `bad` back. Afterwards `lost` is told and not played, the rest is played, and
    /// the reel has its first `kept` bytes; of what is cut off behind, `cut_off` is told. Once the disk reads well, a
    /// scrub brings `recovered` back. Returns how often the disk refused to read.
    fn check(
        &self,
        bad: &[Range<u64>],
        lost: &[u64],
        (kept, cut_off): (usize, &[u64]),
        recovered: &[u64],
    ) -> u64 {
        let disk = FaultyDisk::default();
        disk.break_sectors(bad);
        let clock = SimulatedClock::new(NOON);
        let begun = clock.monotonic();
        disk.refuse_slowly(&clock, Duration::from_secs(1));
        let dir = self.dir.path();
        let (recorder, report) = start(dir, Arc::new(disk), &clock);
        drop(recorder);
        let took = clock.monotonic().since(begun);
        let told: Vec<_> = report.lost.iter().map(|lost| lost.msn).collect();
        assert_eq!((&told[..], &report.unreadable[..]), (lost, &[][..]));
        let bytes: u64 = report.discarded.iter().map(|tail| tail.bytes).sum();
        assert_eq!(bytes, (self.bytes.len() - kept) as u64);
        check_tails(&report.discarded, cut_off);
        let left = std::fs::read(&self.reel).unwrap();
        assert_eq!(left.len(), kept);
        assert!(left == self.bytes[..kept]);
        check_files(dir);
        self.check_played(lost);

        // The next start has nothing to tell.
        drop(open(dir));
        scrub_once(dir, |_, _| {}).unwrap();
        let still: Vec<u64> = lost
            .iter()
            .copied()
            .filter(|msn| !recovered.contains(msn))
            .collect();
        self.check_played(&still);
        took.as_secs()
    }

    fn check_played(&self, lost: &[u64]) {
        let store = open(self.dir.path());
        for msn in 0..COMMITTED {
            let loaded = store.load_segment(&camera("front"), VIDEO, msn).unwrap();
            let expected = (!lost.contains(&msn)).then(|| bytes_of(&large(msn)));
            assert!(loaded.as_deref() == expected.as_deref(), "{msn}");
        }
        store.close();
    }

    /// Where what was committed ends.
    fn end(&self) -> usize {
        self.places[COMMITTED as usize].0 as usize
    }
}

/// The sector in which a byte lies.
fn sector(at: u64) -> Range<u64> {
    let start = at - at % SECTOR_BYTES;
    start..start + SECTOR_BYTES
}

/// The segments `msns` are told to be cut off, with all their time.
fn check_tails(tails: &[DiscardedTail], msns: &[u64]) {
    let told = tails.iter().flat_map(|tail| &tail.segments);
    let told: Vec<_> = told
        .map(|lost| (lost.msn, lost.wall_start - NOON, lost.wall_end - NOON))
        .collect();
    let time = |msn: u64| msn as i64 * 2000;
    let expected = msns.iter().map(|&msn| (msn, time(msn), time(msn + 1)));
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[test]
fn a_bad_sector_costs_the_segment_in_which_it_lies() {
    let crashed = Crashed::new();
    let bad = sector(crashed.places[2].0 + 2 * SECTOR_BYTES);
    let refusals = crashed.check(&[bad], &[2], (crashed.end(), &[3, 4]), &[2]);
    assert_eq!(refusals, 2);
}

#[test]
fn a_head_in_a_bad_sector_costs_nothing() {
    let crashed = Crashed::new();
    let bad = [sector(0), sector(crashed.places[2].0 + 2 * SECTOR_BYTES)];
    crashed.check(&bad, &[2], (crashed.end(), &[3, 4]), &[2]);
}

#[test]
fn a_bad_sector_behind_what_was_committed_costs_nothing() {
    let crashed = Crashed::new();
    let end = crashed.end() as u64;
    let bad = end..end + 1;
    crashed.check(&[bad], &[], (end as usize, &[4]), &[]);
}

#[test]
fn a_trailer_in_a_bad_sector_stays_where_it_is() {
    let crashed = Crashed::new();
    let trailer_at = crashed.places[2].1;
    let kept = trailer_at + TRAILER_BYTES_MAX;
    let bad = sector(trailer_at);
    crashed.check(&[bad], &[2], (kept as usize, &[4]), &[2]);
}

#[test]
fn a_segment_that_its_row_misplaces_is_found_behind_a_bad_sector() {
    let crashed = Crashed::new();
    crashed.change_index("UPDATE segment SET offset = offset + 512 WHERE id % 256 = 2");
    let at = crashed.places[1].0;
    let bad = at..at + 1;
    crashed.check(&[bad], &[1], (crashed.end(), &[3, 4]), &[1]);
}

#[test]
fn a_segment_that_may_lie_in_a_bad_sector_is_not_cut_off() {
    let crashed = Crashed::new();
    crashed.change_index("UPDATE segment SET offset = 600 WHERE id % 256 = 2");
    let bad = crashed.places[2].0 + SECTOR_BYTES..crashed.places[3].0;
    crashed.check(&[bad], &[2], (crashed.bytes.len(), &[]), &[]);
}

#[test]
fn a_start_waits_only_so_long_for_what_it_cannot_read_and_leaves_the_rest_alone() {
    const CAMERAS: [&str; 4] = ["a", "b", "c", "d"];
    let each = Duration::from_secs(12);
    let crashed = Crashed::of(&CAMERAS);
    let dir = crashed.dir.path();
    let before: Vec<_> = reels(dir)
        .into_iter()
        .map(|(path, _)| (std::fs::read(&path).unwrap(), path))
        .collect();
    let disk = FaultyDisk::default();
    disk.break_sectors(&[sector(crashed.places[2].0 + 2 * SECTOR_BYTES)]);
    let clock = SimulatedClock::new(NOON);
    let begun = clock.monotonic();
    disk.refuse_slowly(&clock, each);
    let (recorder, report) = start(dir, Arc::new(disk), &clock);
    drop(recorder);
    let took = clock.monotonic().since(begun);
    assert!(took < REFUSALS_MAX + each, "{took:?}");

    // The first reel takes two refusals, the second what is left and more.
    let lost: Vec<_> = report.lost.iter().map(|lost| &lost.camera).collect();
    assert_eq!(lost, [&camera("a")]);
    check_tails(&report.discarded, &[3, 4]);
    let left: Vec<_> = report.unreadable.iter().map(|reel| &reel.path).collect();
    assert_eq!(
        left,
        before[1..].iter().map(|(_, path)| path).collect::<Vec<_>>()
    );
    for (bytes, path) in &before[1..] {
        assert!(*bytes == std::fs::read(path).unwrap(), "{}", path.display());
    }

    // With a disk that reads well the next start does the rest.
    let (recorder, report) = start(dir, Arc::new(RealFileSystem), &clock);
    drop(recorder);
    assert_eq!(
        (&report.lost[..], &report.unreadable[..]),
        (&[][..], &[][..])
    );
    check_tails(&report.discarded, &[3, 4].repeat(3));
    check_files(dir);
    let store = open(dir);
    for name in &CAMERAS[1..] {
        for msn in 0..COMMITTED {
            let loaded = store.load_segment(&camera(name), VIDEO, msn).unwrap();
            assert!(loaded.unwrap() == bytes_of(&large(msn)), "{name} {msn}");
        }
    }
}
