//! Reads recorded segments one after the other, whole or in pieces, with the reel of the last one kept open: what
//! makes files of a long stretch, or proves it, asks the index once a reel instead of once a segment.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{OptionalExtension, params};

use super::error::ReadError;
use super::parameters::decode_parameters;
use super::reader::{Reader, fault_told, read_place};
use super::recorder::reel_path;
use super::reel::{Trailer, check_segment, first_trailer};
use super::reel_writer::Place;
use super::rows::REEL_SEGMENTS_MAX;
use crate::base::CameraId;
use crate::media::RenditionId;

/// Segments of one rendition of a camera.
#[derive(Debug)]
pub(super) struct SegmentSource {
    reader: Arc<Reader>,
    camera: CameraId,
    rendition: RenditionId,
    open: Option<OpenReel>,
}

#[derive(Debug)]
struct OpenReel {
    path: PathBuf,
    file: File,
    run: u64,
    /// Ticks a second; `None` if the index does not tell any more.
    timescale: Option<u32>,
    first_msn: u64,
    /// By the distance from `first_msn`.
    places: Vec<(u64, Place)>,
}

struct ReelRow {
    path: PathBuf,
    run: u64,
    timescale: Option<u32>,
    first_msn: u64,
    places: Vec<(u64, Place)>,
}

impl SegmentSource {
    pub(super) fn new(reader: Arc<Reader>, camera: CameraId, rendition: RenditionId) -> Self {
        Self {
            reader,
            camera,
            rendition,
            open: None,
        }
    }

    pub(super) fn camera(&self) -> &CameraId {
        &self.camera
    }

    pub(super) fn rendition(&self) -> RenditionId {
        self.rendition
    }

    /// Reads a segment's bytes from `offset` on, as many as `buffer` takes; false if it is not recorded any more.
    /// They are not compared with the digest, which is of the whole.
    pub(super) fn read_at(
        &mut self,
        msn: u64,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<bool, ReadError> {
        let Some((reel, place)) = self.find(msn)? else {
            return Ok(false);
        };
        let fits = offset
            .checked_add(buffer.len() as u64)
            .is_some_and(|end| end <= place.bytes);
        let outcome = if fits {
            reel.file.read_exact_at(buffer, place.offset + offset)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        };
        outcome
            .map(|()| true)
            .map_err(|cause| reel.error(place, cause))
    }

    /// Size of a segment in bytes; `None` if it is not recorded any more.
    pub(super) fn bytes_count(&mut self, msn: u64) -> Result<Option<u64>, ReadError> {
        Ok(self.find(msn)?.map(|(_, place)| place.bytes))
    }

    /// What the reel says of a segment, without a look at that; `None` if it is not recorded any more.
    pub(super) fn trailer(&mut self, msn: u64) -> Result<Option<Trailer>, ReadError> {
        let Some((reel, place)) = self.find(msn)? else {
            return Ok(None);
        };
        let behind = Place {
            offset: place.offset.saturating_add(place.bytes),
            bytes: 0,
        };
        let buffer = read_place(&reel.file, behind).map_err(|cause| reel.error(place, cause))?;
        let said = |trailer: &Trailer| (trailer.msn, trailer.run, trailer.segment_bytes);
        let trailer = first_trailer(&buffer);
        let trailer = trailer.filter(|trailer| said(trailer) == (msn, reel.run, place.bytes));
        let altered = || reel.damaged(place, "what stands behind it is not what it was");
        trailer.map(Some).ok_or_else(altered)
    }

    /// A whole segment, compared with its digest; `None` if it is not recorded any more.
    pub(super) fn load(&mut self, msn: u64) -> Result<Option<Bytes>, ReadError> {
        let Some((reel, place)) = self.find(msn)? else {
            return Ok(None);
        };
        let (mut bytes, _) = reel.read_checked(msn, place)?;
        bytes.truncate(place.bytes as usize);
        Ok(Some(bytes.into()))
    }

    /// What the reel says of a segment that was read and is what it was, and how many ticks make its second; `None` if
    /// it is not recorded any more.
    pub(super) fn check(&mut self, msn: u64) -> Result<Option<(Trailer, u32)>, ReadError> {
        let Some((reel, place)) = self.find(msn)? else {
            return Ok(None);
        };
        let (_, trailer) = reel.read_checked(msn, place)?;
        let unknown = || reel.damaged(place, "its parameters cannot be read");
        Ok(Some((trailer, reel.timescale.ok_or_else(unknown)?)))
    }

    /// The reel of a segment, opened if need be, and where in it that lies.
    fn find(&mut self, msn: u64) -> Result<Option<(&OpenReel, Place)>, ReadError> {
        if self
            .open
            .as_ref()
            .and_then(|reel| reel.place(msn))
            .is_none()
        {
            self.open = self.open_reel(msn)?;
        }
        let reel = self.open.as_ref();
        Ok(reel.and_then(|reel| Some((reel, reel.place(msn)?))))
    }

    fn open_reel(&self, msn: u64) -> Result<Option<OpenReel>, ReadError> {
        let Some(row) = self.look_up(msn)? else {
            return Ok(None);
        };
        match File::open(&row.path) {
            Ok(file) => Ok(Some(OpenReel {
                path: row.path,
                file,
                run: row.run,
                timescale: row.timescale,
                first_msn: row.first_msn,
                places: row.places,
            })),
            // Retention took it between the row and the file.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.look_up(msn)?.is_none() =>
            {
                Ok(None)
            }
            Err(error) => Err(read_error(row.path, 0, error)),
        }
    }

    fn look_up(&self, msn: u64) -> Result<Option<ReelRow>, ReadError> {
        self.reader.read(|connection| {
            let reel = connection
                .prepare_cached(
                    "SELECT reel.id, reel.day, reel.run, reel.first_msn, run.parameters
                     FROM camera JOIN track ON track.camera = camera.id AND track.rendition = ?2
                     JOIN reel ON reel.id = (
                         SELECT id FROM reel WHERE track = track.id AND first_msn <= ?3
                         ORDER BY first_msn DESC LIMIT 1
                     )
                     LEFT JOIN run ON run.track = reel.track AND run.run = reel.run
                     WHERE camera.name = ?1 AND ?3 < reel.first_msn + ?4",
                )?
                .query_row(
                    params![
                        self.camera.as_str(),
                        self.rendition.name(),
                        msn as i64,
                        REEL_SEGMENTS_MAX
                    ],
                    |row| {
                        let (day, parameters): (String, Option<Vec<u8>>) =
                            (row.get(1)?, row.get(4)?);
                        Ok((
                            row.get::<_, i64>(0)?,
                            day,
                            row.get(2)?,
                            row.get(3)?,
                            parameters,
                        ))
                    },
                )
                .optional()?;
            let Some((id, day, run, first_msn, parameters)) = reel else {
                return Ok(None);
            };
            let parameters = parameters.as_deref().and_then(decode_parameters);
            let first_key = id * REEL_SEGMENTS_MAX as i64;
            let mut segments = connection.prepare_cached(
                "SELECT id, offset, bytes FROM segment WHERE id >= ?1 AND id < ?2 ORDER BY id",
            )?;
            let rows = segments.query_map(
                params![first_key, first_key + REEL_SEGMENTS_MAX as i64],
                |row| {
                    // A damaged row may say anything; what is impossible fails against the file.
                    let place = Place {
                        offset: row.get::<_, i64>(1)? as u64,
                        bytes: row.get::<_, i64>(2)? as u64,
                    };
                    Ok(((row.get::<_, i64>(0)? - first_key) as u64, place))
                },
            )?;
            let places: Vec<_> = rows.collect::<Result<_, _>>()?;
            let has_it = places
                .iter()
                .any(|(distance, _)| first_msn + distance == msn);
            Ok(has_it.then(|| ReelRow {
                path: reel_path(self.reader.dir(), &self.camera, &day, id),
                run,
                timescale: parameters.map(|parameters| parameters.timescale()),
                first_msn,
                places,
            }))
        })
    }
}

impl OpenReel {
    fn place(&self, msn: u64) -> Option<Place> {
        let distance = msn.checked_sub(self.first_msn)?;
        let found = self
            .places
            .binary_search_by_key(&distance, |(distance, _)| *distance);
        found.ok().map(|index| self.places[index].1)
    }

    /// A segment and what stands behind it, compared with its digest.
    fn read_checked(&self, msn: u64, place: Place) -> Result<(Vec<u8>, Trailer), ReadError> {
        let bytes = read_place(&self.file, place).map_err(|cause| self.error(place, cause))?;
        let (trailer, _) = check_segment(&bytes, place.bytes, (msn, self.run))
            .map_err(|what| self.damaged(place, what))?;
        Ok((bytes, trailer))
    }

    fn damaged(&self, place: Place, what: &'static str) -> ReadError {
        ReadError::Damaged {
            path: self.path.clone(),
            offset: place.offset,
            what,
        }
    }

    fn error(&self, place: Place, cause: io::Error) -> ReadError {
        read_error(self.path.clone(), place.offset, cause)
    }
}

fn read_error(path: PathBuf, offset: u64, error: io::Error) -> ReadError {
    match fault_told(error) {
        Ok(what) => ReadError::Damaged { path, offset, what },
        Err(cause) => ReadError::Io { path, cause },
    }
}
