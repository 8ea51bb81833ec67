//! The data of one request on its way into an upload's file. Lives on the request's own thread: the disk's pace is the
//! client's. Holds no more than [`PENDING_BYTES`] in memory.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::Bytes;

use super::error::UploadError;
use super::rows::{self, Upload, part_path};
use super::{STEP_BYTES, UploadHold};
use crate::base::Monotonic;
use crate::store::file_system::{StoredFile, write_all_at};
use crate::upload::{Admitted, ChecksumHasher, Concluded};

/// Pieces are written together once they have so many bytes.
const PENDING_BYTES: usize = 256 << 10;

/// What came of a slow client is made durable after so long.
const STEP_TIME: Duration = Duration::from_secs(10);

/// Takes the data of a request. One that is dropped without [`Self::finish`] leaves the upload at what was recorded.
#[derive(Debug)]
pub struct UploadWriter {
    // Let go after the file: whoever waits for it opens that.
    file: Box<dyn StoredFile>,
    hold: UploadHold,
    row: i64,
    /// As it was when the request came.
    length_before: Option<u64>,
    /// Room was set aside for what came of it.
    is_active: bool,
    /// And for all that is to come.
    is_promised: bool,
    admitted: Admitted,
    hasher: Option<ChecksumHasher>,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    /// Where the next piece goes.
    end: u64,
    /// Up to here it is on the disk.
    synced: u64,
    /// Up to here the index knows.
    recorded: u64,
    recorded_at: Monotonic,
}

impl UploadWriter {
    /// Opens the file and cuts off what is not acknowledged.
    pub(super) fn open(
        hold: UploadHold,
        upload: &Upload,
        admitted: Admitted,
    ) -> Result<Self, UploadError> {
        let inner = &hold.spool.0;
        let offset = upload.state.offset;
        let path = part_path(&inner.dir, upload.id);
        let opened = inner.files.open_file(&path).and_then(|mut file| {
            match file.size()? {
                size if size < offset => return Err(io::ErrorKind::UnexpectedEof.into()),
                size if size > offset => file.truncate(offset)?,
                _ => {}
            }
            Ok(file)
        });
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(give_up(&hold, "it holds less than it did".to_owned()));
            }
            Err(error) => return Err(UploadError::from_io(&error)),
        };
        let recorded_at = inner.clock.monotonic();
        let is_active = offset > 0 && hold.spool.is_active(upload);
        Ok(Self {
            file,
            hold,
            row: upload.row,
            length_before: upload.state.length,
            is_active,
            is_promised: is_active && upload.state.length.is_some(),
            admitted,
            hasher: admitted.checksum.map(|checksum| checksum.hasher()),
            pending: Vec::new(),
            pending_bytes: 0,
            end: offset,
            synced: offset,
            recorded: offset,
            recorded_at,
        })
    }

    /// Takes the next piece. Waits for the disk now and then.
    pub fn write(&mut self, bytes: Bytes) -> Result<(), UploadError> {
        self.admitted
            .allows(self.end + self.pending_bytes as u64 + bytes.len() as u64)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        self.pending_bytes += bytes.len();
        self.pending.push(bytes);
        if self.pending_bytes >= PENDING_BYTES {
            self.write_pending()?;
        }
        let now = self.hold.spool.0.clock.monotonic();
        let is_due =
            self.end - self.synced >= STEP_BYTES || now.since(self.recorded_at) >= STEP_TIME;
        if is_due {
            self.save()?;
        }
        Ok(())
    }

    /// Makes what came durable and known, unless all of it has to be there first. The last bytes of an upload become
    /// known with its end ([`Self::finish`]): a client that hears of an offset at the length takes it for complete.
    pub fn save(&mut self) -> Result<(), UploadError> {
        self.write_pending()?;
        self.sync()?;
        if self.hasher.is_none() && self.admitted.length != Some(self.end) {
            let so_far = Concluded {
                length: self.admitted.length,
                is_complete: false,
            };
            self.record(so_far)?;
        }
        self.recorded_at = self.hold.spool.0.clock.monotonic();
        Ok(())
    }

    /// Ends the request, of which all came, or not (`whole`), and tells what the upload is now. Durable on return.
    pub fn finish(mut self, whole: bool) -> Result<Upload, UploadError> {
        self.write_pending()?;
        if let Some(hasher) = self.hasher.take() {
            let checked = if whole { hasher.finish() } else { Ok(()) };
            if checked.is_err() || !whole {
                // What cannot be checked was never there. Cut off at the latest by who goes on.
                let _ = self.file.truncate(self.recorded);
                checked?;
                return self.hold.upload();
            }
        }
        let concluded = self.admitted.conclude(self.end, whole)?;
        self.sync()?;
        self.record(concluded)?;
        self.hold.upload()
    }

    fn write_pending(&mut self) -> Result<(), UploadError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let spool = &self.hold.spool;
        spool.check_floor(self.pending_bytes as u64)?;
        let mut pieces: Vec<_> = self
            .pending
            .iter()
            .map(|piece| IoSlice::new(piece))
            .collect();
        write_all_at(&mut *self.file, &mut pieces, self.end)
            .map_err(|error| UploadError::from_io(&error))?;
        self.end += self.pending_bytes as u64;
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    /// After a failed sync nobody knows what the disk holds, not even of what it held before.
    fn sync(&mut self) -> Result<(), UploadError> {
        if self.end > self.synced {
            self.file
                .sync()
                .map_err(|error| give_up(&self.hold, error.to_string()))?;
            self.synced = self.end;
        }
        Ok(())
    }

    fn record(&mut self, concluded: Concluded) -> Result<(), UploadError> {
        let (row, from, to) = (self.row, self.recorded, self.end);
        let adds = to > from || concluded.length != self.length_before;
        // What it brings, and a copy of all that it is then, but for what was promised.
        let end = concluded.length.unwrap_or(to);
        let promised = if self.is_active { from } else { 0 };
        let wanted = (adds && !self.is_promised)
            .then(|| end.saturating_mul(2).saturating_sub(from + promised));
        let expires = self.hold.spool.expires();
        let spool = self.hold.spool.clone();
        let is_there = self.hold.spool.ask(move |index| {
            if let Some(wanted) = wanted {
                spool.check_room(index.connection(), wanted, false)?;
            }
            let is_there = index.transact(|transaction| {
                Ok::<_, UploadError>(rows::advance(
                    transaction,
                    row,
                    (from, to),
                    concluded,
                    expires,
                )?)
            })?;
            if is_there && concluded.is_complete {
                // Here, as whoever asked may have given up waiting.
                spool.0.importing.look();
            }
            Ok(is_there)
        })?;
        if !is_there {
            // Removed meanwhile, or not written in time when it was asked before.
            return Err(UploadError::Unknown);
        }
        self.recorded = to;
        self.length_before = concluded.length;
        self.is_active |= to > from;
        self.is_promised = self.is_active && concluded.length.is_some();
        Ok(())
    }
}

/// Gives an upload up whose bytes are uncertain, so that nobody goes on with it.
fn give_up(hold: &UploadHold, cause: String) -> UploadError {
    let id = hold.id;
    let reason = format!("the disk failed: {cause}");
    let refused = hold.spool.ask(move |index| {
        index.transact(|transaction| {
            let Some(upload) = rows::load(transaction, id)? else {
                return Ok(());
            };
            Ok::<_, UploadError>(rows::refuse(transaction, &upload, &reason)?)
        })
    });
    if let Err(error) = refused {
        tracing::error!(upload = %id, %error, "an upload whose bytes are uncertain cannot be given up");
    }
    UploadError::GivenUp(cause)
}
