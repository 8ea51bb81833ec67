//! One reel being appended to. Keeps the file's rules (format, reserved space, one vectored write a segment);
//! when to sync, close and index it is the recorder's decision.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::file_system::{FileSystem, StoredFile, write_all_at};
use super::reel::{LogLink, ReelHead, Trailer};
use super::rows::REEL_SEGMENTS_MAX;
use crate::base::{Digest, DigestKind, Wall};
use crate::media::{Segment, ticks_to_seconds};

/// A reel's labels may differ from what its media time says by this much, in ms. A larger jump of the wall clock
/// starts another reel, so that a reel's labels lie near its first: range queries rely on that.
const LABEL_DRIFT_MAX_MS: i64 = 10_000;

/// Disk space is set aside for about this much media at a time: few extents, little waste.
const RESERVE_SECONDS: u64 = 16;
const RESERVE_BYTES_MIN: u64 = 256 << 10;
const RESERVE_BYTES_MAX: u64 = 8 << 20;

/// Where a segment came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// The numbers of a reel's first segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) msn: u64,
    pub(super) wall_start: Wall,
    pub(super) start_ticks: u64,
}

/// An open reel. What is written lies before `end`; what a failed write left beyond is written over.
#[derive(Debug)]
pub(super) struct ReelWriter {
    pub(super) id: i64,
    pub(super) run: u64,
    pub(super) origin: Origin,
    pub(super) last_msn: u64,
    file: Box<dyn StoredFile>,
    path: PathBuf,
    timescale: u32,
    end_ticks: u64,
    end: u64,
    reserved: u64,
    reserve_step: u64,
    unsynced: bool,
    failed: bool,
}

impl ReelWriter {
    /// Makes the file and writes its init segment and head for a reel that starts with `segment`.
    /// A file that could not be begun is left to be removed by the caller.
    pub(super) fn create(
        files: &dyn FileSystem,
        path: &Path,
        id: i64,
        head: &ReelHead,
        segment: &Segment,
    ) -> io::Result<Self> {
        let parameters = &head.parameters;
        let bytes_a_second = u64::from(parameters.bitrate_bps()) / 8;
        let mut reel = Self {
            id,
            run: head.run,
            origin: Origin {
                msn: segment.msn,
                wall_start: segment.wall_start,
                start_ticks: segment.start_ticks(),
            },
            last_msn: segment.msn,
            file: files.create_file(path)?,
            path: path.to_owned(),
            timescale: parameters.timescale(),
            end_ticks: segment.start_ticks(),
            end: 0,
            reserved: 0,
            reserve_step: (bytes_a_second * RESERVE_SECONDS)
                .clamp(RESERVE_BYTES_MIN, RESERVE_BYTES_MAX),
            unsynced: true,
            failed: false,
        };
        let head = head.encode();
        let mut pieces = [segment.init.bytes.as_ref(), &head].map(IoSlice::new);
        reel.write(&mut pieces)?;
        Ok(reel)
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether a segment may be the next one here, in a reel of at most `duration_ms` of media.
    pub(super) fn takes(&self, segment: &Segment, duration_ms: u64) -> bool {
        let start_ticks = segment.start_ticks();
        let Some(elapsed_ticks) = start_ticks.checked_sub(self.origin.start_ticks) else {
            return false;
        };
        let elapsed_ms = (ticks_to_seconds(elapsed_ticks, self.timescale) * 1000.0) as u64;
        let drift = segment.wall_start - self.origin.wall_start.plus_ms(elapsed_ms as i64);
        !self.failed
            && segment.run == self.run
            && segment.msn > self.last_msn
            && segment.msn - self.origin.msn < REEL_SEGMENTS_MAX
            && start_ticks >= self.end_ticks
            && elapsed_ms < duration_ms
            && drift.abs() <= LABEL_DRIFT_MAX_MS
    }

    /// Appends a segment and its trailer, digested as `kind` says. Returns also the digest. On failure the reel is as it was before; one that failed for another
    /// reason than a full disk takes nothing more.
    pub(super) fn append(
        &mut self,
        segment: &Segment,
        kind: DigestKind,
        link: LogLink,
    ) -> io::Result<(Place, Digest)> {
        let parts = || segment.parts.iter().map(|part| part.bytes.as_ref());
        let bytes = segment.bytes_count() as u64;
        let digest = kind.digest_pieces(parts());
        let trailer = Trailer {
            msn: segment.msn,
            run: segment.run,
            wall_start: segment.wall_start,
            start_ticks: segment.start_ticks(),
            duration_ticks: segment.duration_ticks(),
            segment_bytes: bytes,
            digest,
            link: Some(link),
        }
        .encode();
        let place = Place {
            offset: self.end,
            bytes,
        };
        let mut pieces: Vec<_> = parts().chain([&trailer[..]]).map(IoSlice::new).collect();
        self.write(&mut pieces)?;
        self.last_msn = segment.msn;
        self.end_ticks = segment.start_ticks() + segment.duration_ticks();
        Ok((place, digest))
    }

    fn write(&mut self, pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        let written = self
            .reserve_for(bytes)
            .and_then(|()| write_all_at(&mut *self.file, pieces, self.end));
        self.unsynced = true;
        match &written {
            Ok(()) => self.end += bytes,
            Err(error) if is_full(error) => {
                // What was set aside may be all that others need to go on.
                self.reserved = self.end;
                let _ = self.file.truncate(self.end);
            }
            Err(_) => self.failed = true,
        }
        written
    }

    fn reserve_for(&mut self, bytes: u64) -> io::Result<()> {
        let needed = self.end + bytes;
        if needed > self.reserved {
            let step = self.reserve_step.max(needed - self.reserved);
            self.file.reserve(self.reserved, step)?;
            self.reserved += step;
        }
        Ok(())
    }

    /// Makes what was written durable. After a failure nobody knows what is.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.file.sync()?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Cuts off what was reserved or half written beyond the end. To be synced afterwards.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        self.file.truncate(self.end)?;
        self.unsynced = true;
        Ok(())
    }
}

/// Whether the disk, or this user's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
