//! The two disks that a machine sees: one that is recorded to and logged, and one on which the disks of many cuts lie
//! side by side, so that one boot looks at all of them.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::cut::Cut;
use super::disk_log::{DiskLog, FinishedLog, Picture, SECTOR_BYTES};
use super::nbd::Disk;

/// Logs what is written to it. The log is shared with those who note what the machine told.
pub(crate) struct LoggedDisk {
    pub(crate) log: Arc<Mutex<DiskLog>>,
    pub(crate) bytes: u64,
}

impl LoggedDisk {
    fn with_log<T>(&self, act: impl FnOnce(&mut DiskLog) -> T) -> T {
        act(&mut self.log.lock().expect("nothing panics with the log held"))
    }
}

impl Disk for LoggedDisk {
    fn bytes_count(&self) -> u64 {
        self.bytes
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.with_log(|log| log.read(sector, buffer))
    }

    fn write(&mut self, sector: u64, data: &[u8], durable: bool) -> io::Result<()> {
        self.with_log(|log| log.write(sector, data, durable))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with_log(DiskLog::flush)
    }
}

type Written = HashMap<u64, [u8; SECTOR_BYTES]>;

/// The disk after each of some cuts, one behind the other. What is written to them stays in memory, and goes when one
/// that lies well behind is looked at.
pub(crate) struct CutDisks {
    log: FinishedLog,
    cuts: Vec<Cut>,
    disk_sectors: u64,
    picture: Option<(usize, Picture)>,
    written: HashMap<usize, Written>,
}

impl CutDisks {
    pub(crate) fn new(log: FinishedLog, cuts: Vec<Cut>, disk_bytes: u64) -> Self {
        Self {
            log,
            cuts,
            disk_sectors: disk_bytes / SECTOR_BYTES as u64,
            picture: None,
            written: HashMap::new(),
        }
    }

    /// Where sector `sector` of the whole lies: the cut, the sector of its disk, and how many of `count` are on it.
    fn place(&self, sector: u64, count: usize) -> (usize, u64, usize) {
        let (cut, within) = (sector / self.disk_sectors, sector % self.disk_sectors);
        let there = (self.disk_sectors - within).min(count as u64);
        (cut as usize, within, there as usize)
    }

    fn read_one(&mut self, cut: usize, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.picture.as_ref().is_none_or(|(of, _)| *of != cut) {
            let (picture, _) = self.cuts[cut].picture(&self.log.records, self.disk_sectors);
            self.picture = Some((cut, picture));
            // The kernel may read ahead into the next one.
            self.written.retain(|of, _| of + 2 > cut);
        }
        let (_, picture) = self.picture.as_ref().expect("just made");
        self.log.read(picture, sector, buffer)?;
        if let Some(written) = self.written.get(&cut) {
            for (at, piece) in buffer.chunks_mut(SECTOR_BYTES).enumerate() {
                if let Some(data) = written.get(&(sector + at as u64)) {
                    piece.copy_from_slice(data);
                }
            }
        }
        Ok(())
    }
}

impl Disk for CutDisks {
    fn bytes_count(&self) -> u64 {
        self.cuts.len() as u64 * self.disk_sectors * SECTOR_BYTES as u64
    }

    fn read(&mut self, mut sector: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let (cut, within, count) = self.place(sector, buffer.len() / SECTOR_BYTES);
            let (piece, rest) = buffer.split_at_mut(count * SECTOR_BYTES);
            self.read_one(cut, within, piece)?;
            (sector, buffer) = (sector + count as u64, rest);
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, data: &[u8], _durable: bool) -> io::Result<()> {
        for (at, piece) in data.chunks(SECTOR_BYTES).enumerate() {
            let (cut, within, _) = self.place(sector + at as u64, 1);
            let piece = piece.try_into().expect("whole sectors");
            self.written.entry(cut).or_default().insert(within, piece);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::plan_cuts;

    const DISK_BYTES: u64 = 4 * SECTOR_BYTES as u64;

    #[test]
    fn disks_of_cuts_lie_side_by_side_and_can_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = DiskLog::create(folder.path(), DISK_BYTES).expect("a log");
        let mut logged = LoggedDisk {
            log: Arc::new(Mutex::new(log)),
            bytes: DISK_BYTES,
        };
        logged.write(3, &[3; SECTOR_BYTES], false).expect("a write");
        logged.flush().expect("a flush");
        let mut back = [0; SECTOR_BYTES];
        logged.read(3, &mut back).expect("a read");
        assert_eq!(back, [3; SECTOR_BYTES]);
        logged.with_log(DiskLog::finish).expect("all of it");

        let log = FinishedLog::open(folder.path()).expect("the log");
        let cuts = plan_cuts(&log.records, 1, 3, 1);
        let mut disks = CutDisks::new(log, cuts, DISK_BYTES);
        assert_eq!(disks.bytes_count(), 3 * DISK_BYTES);
        // Over the border between the second and the third.
        disks
            .write(7, &[[7; SECTOR_BYTES], [8; SECTOR_BYTES]].concat(), false)
            .expect("a write");
        let mut all = vec![0; 3 * DISK_BYTES as usize];
        disks.read(0, &mut all).expect("a read");
        let firsts: Vec<_> = all.chunks(SECTOR_BYTES).map(|sector| sector[0]).collect();
        assert_eq!(firsts, [0, 0, 0, 3, 0, 0, 0, 7, 8, 0, 0, 3]);
    }
}
