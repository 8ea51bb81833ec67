//! The end of a file that is appended to in small pieces: gathered in memory, and handed to the disk in blocks, past the
//! system's cache, in which nobody would look for them. What fills no block, at the beginning and at the end, goes through
//! the cache, so that bytes that rows name are never handed over again.

use std::io::{self, IoSlice};
use std::ops::Range;

use memmap2::MmapMut;

use crate::store::file_system::{BLOCK_BYTES, StoredFile, write_all_at};

/// Handed to the disk at once: so much that it hardly matters what one hand-over costs.
const STAGE_BYTES: usize = 1 << 20;

/// Bytes on their way to the end of a file.
#[derive(Debug)]
pub(super) struct Stage {
    /// [`STAGE_BYTES`] at the address of a page; none while nothing is held.
    memory: Option<MmapMut>,
    /// Where the memory's first byte belongs in the file: a multiple of [`BLOCK_BYTES`].
    base: u64,
    /// What of the memory is held.
    held: Range<usize>,
}

impl Stage {
    /// Nothing is held, and the file ends at `end`.
    pub(super) fn new(end: u64) -> Self {
        let within = (end % BLOCK_BYTES as u64) as usize;
        Self {
            memory: None,
            base: end - within as u64,
            held: within..within,
        }
    }

    /// Appends bytes; hands what fills the memory to the disk. After an error nobody knows how many were.
    pub(super) fn push(&mut self, mut bytes: &[u8], file: &mut dyn StoredFile) -> io::Result<()> {
        while !bytes.is_empty() {
            let memory = match &mut self.memory {
                Some(memory) => memory,
                None => self.memory.insert(MmapMut::map_anon(STAGE_BYTES)?),
            };
            let room = &mut memory[self.held.end..];
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.held.end += now.len();
            bytes = later;
            if self.held.end == STAGE_BYTES {
                self.hand_over(file)?;
                *self = Self {
                    memory: self.memory.take(),
                    ..Self::new(self.base + STAGE_BYTES as u64)
                };
            }
        }
        Ok(())
    }

    /// Hands all that is held to the disk, and gives the memory back.
    pub(super) fn write_out(&mut self, file: &mut dyn StoredFile) -> io::Result<()> {
        self.hand_over(file)?;
        *self = Self::new(self.base + self.held.end as u64);
        Ok(())
    }

    fn hand_over(&self, file: &mut dyn StoredFile) -> io::Result<()> {
        let Some(memory) = &self.memory else {
            return Ok(());
        };
        let Range { start, end } = self.held;
        let first = start.next_multiple_of(BLOCK_BYTES).min(end);
        let last = (end - end % BLOCK_BYTES).max(first);
        let through_cache = |part: Range<usize>, file: &mut dyn StoredFile| {
            let at = self.base + part.start as u64;
            write_all_at(file, &mut [IoSlice::new(&memory[part])], at)
        };
        through_cache(start..first, file)?;
        let mut written = first;
        if first < last {
            // Of what the disk did not take at once the rest goes the usual way.
            match file.write_blocks_at(&memory[first..last], self.base + first as u64) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        through_cache(written..end, file)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::ReadAt;

    /// A file in memory that takes blocks in part only, and refuses to write what it has twice.
    #[derive(Debug, Default)]
    struct Paper {
        bytes: Vec<u8>,
        /// Of blocks, it takes so many bytes less.
        short: usize,
        blocks: usize,
    }

    impl Paper {
        fn append(&mut self, bytes: &[u8], offset: u64) -> usize {
            assert_eq!(offset, self.bytes.len() as u64, "in order, and once");
            self.bytes.extend(bytes);
            bytes.len()
        }
    }

    impl ReadAt for Paper {
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            unreachable!("nothing is read back")
        }
    }

    impl StoredFile for Paper {
        fn write_at(&mut self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
            Ok(self.append(&pieces[0], offset))
        }

        fn write_blocks_at(&mut self, blocks: &[u8], offset: u64) -> io::Result<usize> {
            assert!(blocks.as_ptr().addr().is_multiple_of(BLOCK_BYTES));
            assert!(blocks.len().is_multiple_of(BLOCK_BYTES));
            assert!(offset.is_multiple_of(BLOCK_BYTES as u64));
            self.blocks += 1;
            let taken = blocks.len().saturating_sub(self.short).max(1);
            Ok(self.append(&blocks[..taken], offset))
        }

        fn reserve(&mut self, _: u64, _: u64) -> io::Result<()> {
            unreachable!()
        }

        fn sync(&mut self) -> io::Result<()> {
            unreachable!()
        }

        fn truncate(&mut self, _: u64) -> io::Result<()> {
            unreachable!()
        }

        fn punch(&mut self, _: u64, _: u64) -> io::Result<()> {
            unreachable!()
        }

        fn size(&self) -> io::Result<u64> {
            unreachable!()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_file_is_what_was_appended(
            before in 0..3 * BLOCK_BYTES,
            pieces in vec((prop_oneof![0..200usize, 0..2 * STAGE_BYTES], any::<bool>()), 1..6),
            short in prop_oneof![Just(0), 0..3 * BLOCK_BYTES],
        ) {
            let mut file = Paper { bytes: vec![7; before], short, blocks: 0 };
            let mut expected = file.bytes.clone();
            let mut stage = Stage::new(before as u64);
            for (count, write_out) in &pieces {
                let bytes: Vec<u8> = (0..*count).map(|index| (index % 251) as u8).collect();
                stage.push(&bytes, &mut file).expect("written");
                expected.extend(bytes);
                if *write_out {
                    stage.write_out(&mut file).expect("written");
                    prop_assert!(file.bytes == expected);
                    prop_assert!(stage.memory.is_none(), "nothing is kept");
                }
            }
            stage.write_out(&mut file).expect("written");
            prop_assert!(file.bytes == expected);
            // So much holds a whole block wherever it begins.
            prop_assert!(file.blocks > 0 || pieces.iter().all(|(count, _)| *count < 2 * BLOCK_BYTES));
        }
    }
}
