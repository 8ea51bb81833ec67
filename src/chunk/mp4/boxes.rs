//! The boxes of a file in place, and the tables in them, read through windows (ISO/IEC 14496-12 §4.2).
//! Nothing is allocated by what the file claims, and no file is walked for longer than [`STEPS_MAX`].

use std::io;
use std::ops::Range;

use crate::chunk::read_at::{ReadAt, Window};

/// How many boxes, entries and samples of a file are looked at: six days of pictures at 60 a second. A file that
/// asks for more is taken as damaged from there on.
pub(super) const STEPS_MAX: u32 = 1 << 25;

/// Why a file, or a box of it, says no more.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is not what it claims to be.
    Malformed,
    /// It asks for more work than it is worth.
    TooLong,
    /// It could not be read.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Malformed,
            _ => Self::Io(error),
        }
    }
}

/// Where a box lies in the file.
#[derive(Clone, Debug)]
pub(super) struct BoxPlace {
    pub(super) kind: [u8; 4],
    pub(super) start: u64,
    pub(super) body: Range<u64>,
}

/// Steps that are left for one file.
#[derive(Debug)]
pub(super) struct Steps(u32);

impl Steps {
    pub(super) fn new() -> Self {
        Self(STEPS_MAX)
    }

    pub(super) fn take(&mut self) -> Result<(), Stop> {
        self.0 = self.0.checked_sub(1).ok_or(Stop::TooLong)?;
        Ok(())
    }
}

/// A file being walked.
#[derive(Debug)]
pub(super) struct Walk<'a, R: ?Sized> {
    pub(super) window: Window<'a, R>,
    pub(super) steps: Steps,
}

impl<'a, R: ReadAt + ?Sized> Walk<'a, R> {
    pub(super) fn new(file: &'a R, bytes: u64) -> Self {
        Self {
            window: Window::new(file, bytes),
            steps: Steps::new(),
        }
    }

    /// The box at `offset` inside of a space that ends at `end`; `None` at the end. A box whose size says that it
    /// reaches further is `Malformed`, except an `mdat`, which then ends there: a file that was cut off while it
    /// was copied is still worth cutting where the whole one was.
    pub(super) fn box_at(&mut self, offset: u64, end: u64) -> Result<Option<BoxPlace>, Stop> {
        if offset >= end {
            return Ok(None);
        }
        self.steps.take()?;
        let [a, b, c, d, kind @ ..] = self.window.array::<8>(offset)?;
        let (header_bytes, box_bytes) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (8, end - offset),
            1 => (16, u64::from_be_bytes(self.window.array(offset + 8)?)),
            size => (8, u64::from(size)),
        };
        let mut box_end = offset.checked_add(box_bytes).ok_or(Stop::Malformed)?;
        if &kind == b"mdat" {
            box_end = box_end.min(end);
        }
        let body_start = offset + header_bytes;
        if box_bytes < header_bytes || box_end < body_start || box_end > end {
            return Err(Stop::Malformed);
        }
        Ok(Some(BoxPlace {
            kind,
            start: offset,
            body: body_start..box_end,
        }))
    }

    /// The body of the first box of a kind inside of `space`.
    pub(super) fn find(
        &mut self,
        space: &Range<u64>,
        kind: &[u8; 4],
    ) -> Result<Option<Range<u64>>, Stop> {
        let mut offset = space.start;
        while let Some(place) = self.box_at(offset, space.end)? {
            if &place.kind == kind {
                return Ok(Some(place.body));
            }
            offset = place.body.end;
        }
        Ok(None)
    }

    /// As [`Self::find`], but missing the box is `Malformed`.
    pub(super) fn find_required(
        &mut self,
        space: &Range<u64>,
        kind: &[u8; 4],
    ) -> Result<Range<u64>, Stop> {
        self.find(space, kind)?.ok_or(Stop::Malformed)
    }

    /// The fields of a box, one after the other.
    pub(super) fn fields(&self, body: &Range<u64>) -> Fields<'a, R> {
        Fields {
            window: self.window.beside(),
            offset: body.start,
            end: body.end,
        }
    }
}

/// The fields of a box's body, read in their order; `Malformed` past its end.
#[derive(Debug)]
pub(super) struct Fields<'a, R: ?Sized> {
    window: Window<'a, R>,
    offset: u64,
    end: u64,
}

impl<R: ReadAt + ?Sized> Fields<'_, R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        if self.end - self.offset < N as u64 {
            return Err(Stop::Malformed);
        }
        let bytes = self.window.array(self.offset)?;
        self.offset += N as u64;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Stop> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn skip(&mut self, bytes: u64) -> Result<(), Stop> {
        if self.end - self.offset < bytes {
            return Err(Stop::Malformed);
        }
        self.offset += bytes;
        Ok(())
    }

    /// A count of entries, refused if the box does not hold as many of `entry_bytes` behind `before` further bytes.
    pub(super) fn count(&mut self, before: u64, entry_bytes: u64) -> Result<u32, Stop> {
        let count = self.u32()?;
        let needed = before + u64::from(count) * entry_bytes;
        if self.end - self.offset < needed {
            return Err(Stop::Malformed);
        }
        Ok(count)
    }
}
