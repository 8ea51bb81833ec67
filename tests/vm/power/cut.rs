//! Power cuts: which moments of a log, and what a disk still holds after one. A cut keeps all that a flush had made
//! durable before it; of what came later, luck decides write by write or piece by piece, so also out of order.
//! The same seed over the same log always gives the same cuts.

use std::collections::HashSet;
use std::io;

use super::disk_log::{FinishedLog, Kind, Picture, Record, SECTOR_BYTES};

/// How many flushes a lying disk leaves out: a few commits' worth, so that what was told is gone.
const LYING_FLUSHES: usize = 60;

/// What is not torn, in sectors and at multiples of it. A disk promises no more than one; but ext4's superblocks are
/// 1 KiB long under one checksum, so that on torn ones the file system itself cannot be mounted.
const PIECE_SECTORS: u64 = 2;

/// Random numbers that depend on the seed alone. (Steele, Lea, Flood: SplitMix, OOPSLA 2014)
#[derive(Clone, Debug)]
pub(crate) struct Luck(u64);

impl Luck {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`, which is above 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn heads(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// What becomes of writes that no flush had covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survival {
    /// The disk had none of them down.
    Nothing,
    /// It had them all down.
    Everything,
    /// Each whole write by the toss of a coin.
    Writes,
    /// Each piece that is never torn, by the toss of a coin.
    Pieces,
    /// All but one of them.
    AllButOne,
    /// Only one of them.
    OnlyOne,
}

impl Survival {
    const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Everything,
        Self::Writes,
        Self::Pieces,
        Self::AllButOne,
        Self::OnlyOne,
    ];
}

/// What no honest disk does. A check that does not notice is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// The last flushes, so many, were acknowledged and not carried out.
    Flushes(usize),
    /// One write of the log, long flushed, is not there.
    LostWrite(usize),
}

/// A power cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// How many records of the log came before it.
    pub(crate) position: usize,
    pub(crate) survival: Survival,
    pub(crate) lie: Option<Lie>,
    seed: u64,
}

/// What a cut does to the writes that were not flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unflushed {
    /// How many there were.
    pub(crate) writes: usize,
    /// Sectors of them, and how many of those the disk holds.
    pub(crate) sectors: u64,
    pub(crate) kept_sectors: u64,
}

/// Chooses `count` cuts from record `first` on. The first is at the very end: where the machine was killed. Of the
/// others, half come right behind a write, so that something is not flushed; half are spread over time.
pub(crate) fn plan_cuts(records: &[Record], first: usize, count: usize, seed: u64) -> Vec<Cut> {
    let mut luck = Luck::new(seed);
    let end = records.len();
    let later = first.min(end)..end;
    let writes: Vec<_> = later.clone().filter(|&at| records[at].is_write()).collect();
    (0..count)
        .map(|index| {
            let chance = luck.next();
            let position = match (index, later.clone().last()) {
                (0, _) | (_, None) => end,
                _ if index % 2 == 1 && !writes.is_empty() => {
                    writes[(chance % writes.len() as u64) as usize] + 1
                }
                (_, Some(last)) => {
                    let (from, to) = (records[first].at_us, records[last].at_us);
                    let at_us = from + chance % (to - from + 1);
                    records.partition_point(|record| record.at_us <= at_us)
                }
            };
            let survival = Survival::ALL[luck.below(Survival::ALL.len() as u64) as usize];
            Cut {
                position,
                survival,
                lie: None,
                seed: luck.next(),
            }
        })
        .collect()
}

/// Chooses cuts that a check must notice: disks that lie about flushes, by turns with disks that lose a write whose
/// data holds `mark`. Those lose it from the first half of the log, which nobody disputes any more.
pub(crate) fn plan_lies(
    log: &FinishedLog,
    first: usize,
    count: usize,
    seed: u64,
    mark: &[u8],
) -> io::Result<Vec<Cut>> {
    let mut luck = Luck::new(!seed);
    let half = first + (log.records.len() - first) / 2;
    let mut marked = Vec::new();
    // What is written again later is not lost with a write, as the end of a file that grows.
    let mut again = HashSet::new();
    for (index, record) in log.records.iter().enumerate().skip(first).rev() {
        if !record.is_write() {
            continue;
        }
        if index < half {
            let data = log.data(record)?;
            let mut marks = data.windows(mark.len()).enumerate();
            let is_lost = |at: usize| {
                let sector = |byte: usize| record.sector + byte as u64 / SECTOR_BYTES as u64;
                (sector(at)..=sector(at + mark.len() - 1)).all(|sector| !again.contains(&sector))
            };
            if marks.any(|(at, bytes)| bytes == mark && is_lost(at)) {
                marked.push(index);
            }
        }
        again.extend(record.sector..record.sector + record.sectors());
    }
    let flushes = log.records[first..]
        .iter()
        .filter(|record| record.kind == Kind::Flush)
        .count();
    Ok((0..count)
        .map(|index| {
            let lie = if index % 2 == 0 || marked.is_empty() {
                Lie::Flushes((flushes / 2).min(LYING_FLUSHES))
            } else {
                Lie::LostWrite(marked[luck.below(marked.len() as u64) as usize])
            };
            Cut {
                position: log.records.len(),
                survival: Survival::Nothing,
                lie: Some(lie),
                seed: luck.next(),
            }
        })
        .collect())
}

impl Cut {
    /// The disk after this cut, and what became of the writes that no flush had covered.
    pub(crate) fn picture(&self, records: &[Record], disk_sectors: u64) -> (Picture, Unflushed) {
        let records = &records[..self.position];
        let ignored = match self.lie {
            Some(Lie::Flushes(count)) => count,
            _ => 0,
        };
        let flushed = records
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, record)| record.kind == Kind::Flush)
            .nth(ignored)
            .map_or(0, |(index, _)| index);
        let mut luck = Luck::new(self.seed);
        let loose = records[flushed..]
            .iter()
            .filter(|record| record.kind == Kind::Write);
        let loose = loose.count();
        let one = luck.below(loose.max(1) as u64) as usize;

        let mut disk = Picture::empty(disk_sectors);
        let mut unflushed = Unflushed::default();
        for (index, write) in records.iter().enumerate().filter(|(_, r)| r.is_write()) {
            if self.lie == Some(Lie::LostWrite(index)) {
                continue;
            }
            let all = 0..write.sectors();
            if index < flushed || write.kind == Kind::DurableWrite {
                disk.put(write, all);
                continue;
            }
            let number = unflushed.writes;
            unflushed.writes += 1;
            unflushed.sectors += write.sectors();
            let whole = match self.survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Writes => luck.heads(),
                Survival::AllButOne => number != one,
                Survival::OnlyOne => number == one,
                Survival::Pieces => {
                    for piece in pieces(write).filter(|_| luck.heads()) {
                        unflushed.kept_sectors += piece.end - piece.start;
                        disk.put(write, piece);
                    }
                    continue;
                }
            };
            if whole {
                disk.put(write, all);
                unflushed.kept_sectors += write.sectors();
            }
        }
        (disk, unflushed)
    }
}

/// The pieces of a write, as sectors counted from its first.
fn pieces(write: &Record) -> impl Iterator<Item = std::ops::Range<u64>> {
    let (first, end) = (write.sector, write.sector + write.sectors());
    let pieces = first / PIECE_SECTORS..end.div_ceil(PIECE_SECTORS);
    pieces.map(move |piece| {
        let from = (piece * PIECE_SECTORS).max(first);
        let to = ((piece + 1) * PIECE_SECTORS).min(end);
        from - first..to - first
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_log::{DiskLog, SECTOR_BYTES};

    const SECTORS: u64 = 64;

    /// A log in which write `n` fills sectors `n` and `n + 1` with `n`, with a flush behind every eighth.
    fn log_of(writes: u8) -> FinishedLog {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = DiskLog::create(folder.path(), SECTORS * SECTOR_BYTES as u64).expect("a log");
        for number in 1..=writes {
            let data = [number; 2 * SECTOR_BYTES];
            log.write(number.into(), &data, false).expect("a write");
            if number % 8 == 0 {
                log.flush().expect("a flush");
            }
        }
        log.finish().expect("all of it");
        FinishedLog::open(folder.path()).expect("the log")
    }

    fn sectors(log: &FinishedLog, picture: &Picture) -> Vec<u8> {
        let mut bytes = vec![0xFF; SECTORS as usize * SECTOR_BYTES];
        log.read(picture, 0, &mut bytes).expect("sectors");
        bytes.chunks(SECTOR_BYTES).map(|sector| sector[0]).collect()
    }

    fn cut(position: usize, survival: Survival, lie: Option<Lie>) -> Cut {
        Cut {
            position,
            survival,
            lie,
            seed: 7,
        }
    }

    #[test]
    fn what_was_flushed_stays_and_what_was_not_depends() {
        let log = log_of(12);
        let end = log.records.len();
        let after = |survival, lie| {
            let (picture, unflushed) = cut(end, survival, lie).picture(&log.records, SECTORS);
            (sectors(&log, &picture), unflushed)
        };
        let (nothing, unflushed) = after(Survival::Nothing, None);
        assert_eq!(nothing[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 0, 0]);
        assert_eq!((unflushed.writes, unflushed.sectors), (4, 8));
        let (everything, _) = after(Survival::Everything, None);
        assert_eq!(everything[8..15], [8, 9, 10, 11, 12, 12, 0]);
        for survival in Survival::ALL {
            let (kept, _) = after(survival, None);
            assert_eq!(kept[..9], nothing[..9], "{survival:?}");
            for (at, sector) in kept.iter().enumerate().skip(9) {
                let possible = [nothing[at], at as u8, at as u8 - 1];
                assert!(possible.contains(sector), "{survival:?}: {sector} at {at}");
            }
        }
    }

    #[test]
    fn a_write_that_was_durable_at_once_needs_no_flush() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = DiskLog::create(folder.path(), SECTORS * SECTOR_BYTES as u64).expect("a log");
        log.write(0, &[1; SECTOR_BYTES], false).expect("a write");
        log.write(1, &[2; SECTOR_BYTES], true).expect("a write");
        log.finish().expect("all of it");
        let log = FinishedLog::open(folder.path()).expect("the log");
        let (picture, _) = cut(2, Survival::Nothing, None).picture(&log.records, SECTORS);
        assert_eq!(sectors(&log, &picture)[..3], [0, 2, 0]);
        assert_eq!(picture.written(), [(1, 1)]);
    }

    #[test]
    fn a_write_is_torn_at_the_borders_of_pieces() {
        let write = Record {
            kind: Kind::Write,
            bytes: 4 * SECTOR_BYTES as u32,
            sector: 7,
            place: 0,
            at_us: 0,
        };
        assert_eq!(pieces(&write).collect::<Vec<_>>(), [0..1, 1..3, 3..4]);
    }

    #[test]
    fn lies_take_what_was_flushed() {
        let log = log_of(24);
        let end = log.records.len();
        let (picture, _) =
            cut(end, Survival::Nothing, Some(Lie::Flushes(1))).picture(&log.records, SECTORS);
        assert_eq!(sectors(&log, &picture)[16..19], [16, 16, 0]);
        let (picture, _) =
            cut(end, Survival::Nothing, Some(Lie::LostWrite(2))).picture(&log.records, SECTORS);
        assert_eq!(sectors(&log, &picture)[..6], [0, 1, 2, 2, 4, 5]);

        let lies = plan_lies(&log, 0, 4, 1, &[5; 8]).expect("a plan");
        assert_eq!(lies[0].lie, Some(Lie::Flushes(1)));
        assert_eq!(lies[1].lie, Some(Lie::LostWrite(4)));
    }

    #[test]
    fn what_is_written_again_is_no_write_to_lose() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = DiskLog::create(folder.path(), SECTORS * SECTOR_BYTES as u64).expect("a log");
        for (sector, byte) in [(3, 5), (9, 5), (20, 1), (3, 6), (21, 1), (22, 1)] {
            log.write(sector, &[byte; SECTOR_BYTES], false)
                .expect("a write");
        }
        log.finish().expect("all of it");
        let log = FinishedLog::open(folder.path()).expect("the log");
        let lies = plan_lies(&log, 0, 20, 1, &[5; 8]).expect("a plan");
        let lost = lies.iter().skip(1).step_by(2);
        assert!(
            lost.into_iter()
                .all(|cut| cut.lie == Some(Lie::LostWrite(1)))
        );
    }

    #[test]
    fn a_seed_gives_the_same_cuts_again_and_they_lie_behind_the_first() {
        let log = log_of(40);
        let cuts = plan_cuts(&log.records, 10, 50, 3);
        assert_eq!(cuts, plan_cuts(&log.records, 10, 50, 3));
        assert_ne!(cuts, plan_cuts(&log.records, 10, 50, 4));
        assert_eq!(cuts[0].position, log.records.len());
        assert!(
            cuts.iter()
                .all(|cut| cut.position > 10 && cut.position <= log.records.len())
        );
        for survival in Survival::ALL {
            assert!(
                cuts.iter().any(|cut| cut.survival == survival),
                "{survival:?}"
            );
        }
    }
}
