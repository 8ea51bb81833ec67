//! Memory of a driver's buffer, mapped into this process for reading. Whether the driver may be writing to
//! it is the business of `queue`.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::slice;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// A shared, read-only mapping. Unmapped when dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only ever read through it.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes of the buffer that the driver numbered `offset`.
    pub(super) fn new(fd: BorrowedFd<'_>, offset: u32, length: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidData)?;
        // SAFETY: no address is asked for, so no existing mapping is touched; the result is owned by Self alone.
        let start = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ,
                MapFlags::MAP_SHARED,
                fd,
                i64::from(offset),
            )
        }?;
        Ok(Self { start, length })
    }

    /// The first `count` bytes, or all if there are fewer.
    ///
    /// # Safety
    /// Nobody writes to the memory while the slice lives: the buffer is dequeued, or the stream is off.
    pub(super) unsafe fn bytes(&self, count: usize) -> &[u8] {
        let count = count.min(self.length.get());
        // SAFETY: the mapping is readable for `length` bytes until Self is dropped, which the borrow prevents; bytes
        // have no alignment or validity to break; the caller promises that nobody writes.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), count) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, once; every slice borrowed Self and is gone.
        // It can only fail for a range that was never mapped, so there is nothing to do about it.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn mapped_bytes_are_those_of_the_file_and_never_more() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(b"picture").expect("room for seven bytes");
        let mapping = Mapping::new(file.as_fd(), 0, 7).expect("a file can be mapped");
        // SAFETY: nobody else has the file open.
        let (some, all) = unsafe { (mapping.bytes(3), mapping.bytes(100)) };
        assert_eq!((some, all), (&b"pic"[..], &b"picture"[..]));
    }

    #[test]
    fn an_empty_buffer_is_refused() {
        let file = tempfile::tempfile().expect("a temporary file");
        assert!(Mapping::new(file.as_fd(), 0, 0).is_err());
    }
}
