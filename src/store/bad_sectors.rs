//! A file on a disk that fails here and there: what it does not give back reads as zeros, which are no record and have
//! the digest of nothing that was written.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;

use super::file_system::is_damage;
use crate::chunk::ReadAt;

/// What a disk gives back or refuses at once.
pub(super) const SECTOR_BYTES: u64 = 4096;

/// Reads around what cannot be read.
pub(super) struct WithoutBadSectors<R> {
    file: R,
    /// Numbers of sectors that were refused. They are not asked for again: a disk may take seconds to refuse one.
    bad: RefCell<BTreeSet<u64>>,
}

impl<R> WithoutBadSectors<R> {
    pub(super) fn new(file: R) -> Self {
        let bad = RefCell::default();
        Self { file, bad }
    }
}

impl<R: ReadAt> ReadAt for WithoutBadSectors<R> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut bad = self.bad.borrow_mut();
        let first = offset / SECTOR_BYTES;
        let last = offset.saturating_add(buffer.len() as u64).saturating_sub(1) / SECTOR_BYTES;
        if first < last && bad.range(first..=last).next().is_none() {
            match self.file.read_exact_at(buffer, offset) {
                Err(error) if is_damage(&error) => {}
                read => return read,
            }
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let room = (SECTOR_BYTES - at % SECTOR_BYTES).min((buffer.len() - done) as u64);
            let piece = &mut buffer[done..done + room as usize];
            let sector = at / SECTOR_BYTES;
            if bad.contains(&sector) {
                piece.fill(0);
            } else {
                match self.file.read_exact_at(piece, at) {
                    Err(error) if is_damage(&error) => {
                        bad.insert(sector);
                        piece.fill(0);
                    }
                    read => read?,
                }
            }
            done += room as usize;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use nix::errno::Errno;
    use proptest::prelude::*;

    use super::*;

    /// Ones, of which some sectors cannot be read.
    struct Failing {
        bytes: Vec<u8>,
        bad: Vec<u64>,
        refusals: Cell<usize>,
    }

    fn failing(bytes_count: usize, bad: &[u64]) -> WithoutBadSectors<Failing> {
        WithoutBadSectors::new(Failing {
            bytes: vec![1; bytes_count],
            bad: bad.to_vec(),
            refusals: Cell::default(),
        })
    }

    impl ReadAt for Failing {
        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            let end = offset + buffer.len() as u64;
            let is_hit = |sector: &u64| {
                let start = sector * SECTOR_BYTES;
                start < end && offset < start + SECTOR_BYTES
            };
            if self.bad.iter().any(is_hit) {
                self.refusals.update(|count| count + 1);
                return Err(Errno::EIO.into());
            }
            self.bytes.read_exact_at(buffer, offset)
        }
    }

    proptest! {
        #[test]
        fn only_what_is_in_bad_sectors_reads_as_zeros(
            bad in prop::collection::vec(0u64..10, 0..4),
            offset in 0u64..30_000,
            count in 0usize..10_000,
        ) {
            let file = failing(40_000, &bad);
            let mut buffer = vec![2; count];
            file.read_exact_at(&mut buffer, offset).unwrap();
            for (at, byte) in (offset..).zip(buffer) {
                prop_assert_eq!(byte == 0, bad.contains(&(at / SECTOR_BYTES)), "at {}", at);
            }
        }
    }

    #[test]
    fn the_end_of_the_file_stays_its_end() {
        let file = failing(5000, &[0]);
        let mut buffer = [0; 6000];
        // Also when it is known what is bad before.
        for _ in 0..2 {
            let ended = file.read_exact_at(&mut buffer, 0).unwrap_err();
            assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn what_was_refused_once_is_not_asked_for_again() {
        let file = failing(40_000, &[3]);
        let mut buffer = [2; 8];
        for (offset, refusals) in [(3 * SECTOR_BYTES, 1), (4 * SECTOR_BYTES, 1)] {
            file.read_exact_at(&mut buffer, offset).unwrap();
            assert_eq!(file.file.refusals.get(), refusals);
        }
        file.read_exact_at(&mut [0; 30_000], 0).unwrap();
        assert_eq!(file.file.refusals.get(), 1);
    }
}
