//! Bytes read at any place of a file that somebody else holds, and a window over it for small reads.
//! Decides nothing about what the bytes mean.

use std::io;

/// A file, read at random. Implemented by whoever may touch the world.
pub trait ReadAt {
    /// Fills `buffer` from `offset`; fails with `UnexpectedEof` where the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

/// Bytes in memory, read as a file.
impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let bytes = range.and_then(|range| self.get(range));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// How much a window holds. Whoever reads on from field to field rarely goes back to the disk.
const WINDOW_BYTES: usize = 8 << 10;

/// The part of a file that was read last. Takes the same memory whatever the file says of itself.
#[derive(Debug)]
pub(super) struct Window<'a, R: ?Sized> {
    file: &'a R,
    /// Nothing is read from here on.
    end: u64,
    /// Where the bytes held start in the file.
    start: u64,
    held: Vec<u8>,
}

impl<'a, R: ReadAt + ?Sized> Window<'a, R> {
    pub(super) fn new(file: &'a R, end: u64) -> Self {
        Self {
            file,
            end,
            start: 0,
            held: Vec::new(),
        }
    }

    /// Another window over the same file.
    pub(super) fn beside(&self) -> Self {
        Self::new(self.file, self.end)
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// `count` bytes at `offset`, at most a window; `UnexpectedEof` if they do not lie before the end.
    pub(super) fn bytes(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let wanted_end = offset.checked_add(count as u64);
        if count > WINDOW_BYTES || wanted_end.is_none_or(|end| end > self.end) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let held_end = self.start + self.held.len() as u64;
        if offset < self.start || offset + count as u64 > held_end {
            let available = (self.end - offset).min(WINDOW_BYTES as u64);
            self.held.resize(available as usize, 0);
            if let Err(error) = self.file.read_exact_at(&mut self.held, offset) {
                self.held.clear();
                return Err(error);
            }
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.held[from..from + count])
    }

    /// `N` bytes at `offset`, as above.
    pub(super) fn array<const N: usize>(&mut self, offset: u64) -> io::Result<[u8; N]> {
        let bytes = self.bytes(offset, N)?;
        Ok(bytes.try_into().expect("as many as were asked for"))
    }
}
