//! Places of a reel that the disk does not give back, found by a start: they cost the segments that lie there, which are
//! told, and nothing else. No byte goes because it could not be read.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::durable::open;
use super::faults::{check_files, folder};
use super::faulty_disk::FaultyDisk;
use super::made::*;
use super::outdated::reels;
use crate::base::{Clock, DigestKind, SimulatedClock};
use crate::media::Segment;
use crate::store::bad_sectors::SECTOR_BYTES;
use crate::store::file_system::{FileSystem, RealFileSystem};
use crate::store::queue::QueuedSegment;
use crate::store::recorder::Recorder;
use crate::store::reel::TRAILER_BYTES_MAX;
use crate::store::{RecoveryReport, StoreOptions, open_recorder, scrub_once};

/// Segments that were committed; one more was written.
const COMMITTED: u64 = 3;

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

fn start(dir: &Path, files: Arc<dyn FileSystem>) -> (Recorder, RecoveryReport) {
    // Short digests, so that trailers are not as long as trailers get.
    let options = StoreOptions {
        digest: DigestKind::Blake2b256,
        ..patient()
    };
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(NOON));
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
        let dir = folder();
        let (mut recorder, _) = start(dir.path(), Arc::new(RealFileSystem));
        for msn in 0..=COMMITTED {
            recorder.accept(&QueuedSegment {
                camera: camera("front"),
                rendition: VIDEO,
                segment: Arc::new(large(msn)),
            });
            if msn + 1 == COMMITTED {
                recorder.commit();
            }
        }
        drop(recorder);
        let (reel, _) = reels(dir.path()).remove(0);
        let bytes = std::fs::read(&reel).unwrap();
        let mut places = Vec::new();
        for msn in 0..=COMMITTED {
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
    /// the reel has its first `kept` bytes. Once the disk reads well, a scrub brings `recovered` back.
    fn check(&self, bad: &[Range<u64>], lost: &[u64], kept: usize, recovered: &[u64]) {
        let disk = FaultyDisk::default();
        disk.break_sectors(bad);
        let dir = self.dir.path();
        let (recorder, report) = start(dir, Arc::new(disk));
        drop(recorder);
        let told: Vec<_> = report.lost.iter().map(|lost| lost.msn).collect();
        assert_eq!((&told[..], &report.unreadable[..]), (lost, &[][..]));
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

#[test]
fn a_bad_sector_costs_the_segment_in_which_it_lies() {
    let crashed = Crashed::new();
    let bad = sector(crashed.places[2].0 + 2 * SECTOR_BYTES);
    crashed.check(&[bad], &[2], crashed.end(), &[2]);

    // The reel's head is no segment's.
    let crashed = Crashed::new();
    let bad = [sector(0), sector(crashed.places[2].0 + 2 * SECTOR_BYTES)];
    crashed.check(&bad, &[2], crashed.end(), &[2]);
}

#[test]
fn a_bad_sector_behind_what_was_committed_costs_nothing() {
    let crashed = Crashed::new();
    let end = crashed.end() as u64;
    let bad = end..end + 1;
    crashed.check(&[bad], &[], end as usize, &[]);
}

#[test]
fn a_trailer_in_a_bad_sector_stays_where_it_is() {
    let crashed = Crashed::new();
    let trailer_at = crashed.places[2].1;
    let kept = trailer_at + TRAILER_BYTES_MAX;
    crashed.check(&[sector(trailer_at)], &[2], kept as usize, &[2]);
}

#[test]
fn a_segment_that_its_row_misplaces_is_found_behind_a_bad_sector() {
    let crashed = Crashed::new();
    crashed.change_index("UPDATE segment SET offset = offset + 512 WHERE id % 256 = 2");
    let at = crashed.places[1].0;
    let bad = at..at + 1;
    crashed.check(&[bad], &[1], crashed.end(), &[1]);
}

#[test]
fn a_segment_that_may_lie_in_a_bad_sector_is_not_cut_off() {
    let crashed = Crashed::new();
    crashed.change_index("UPDATE segment SET offset = 600 WHERE id % 256 = 2");
    let bad = crashed.places[2].0 + SECTOR_BYTES..crashed.places[3].0;
    crashed.check(&[bad], &[2], crashed.bytes.len(), &[]);
}
