//! Looks recordings up for everyone but the writer: what is there, and its bytes. Sees only what is committed.
//! Blocking; called from threads that may wait for a disk.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::clips::{Clip, ClipPage, clip_of, clip_page};
use super::error::ReadError;
use super::file_system::{ReadFile, is_damage};
use super::index_file::INDEX_PATH;
use super::list_place::ListPlace;
use super::parameters::decode_parameters;
use super::recorder::reel_path;
use super::recovery::wall_end;
use super::reel::check_segment;
use super::reel_writer::Place;
use super::rows::{REEL_SEGMENTS_MAX, segment_keys};
use super::segment_read::read_with_trailer;
use super::status::{Gap, GapReason};
use crate::base::{CameraId, Wall};
use crate::media::{RenditionId, TrackParameters};

/// Segments of one rendition in one answer: over 55 hours.
pub const RECORDING_SEGMENTS_MAX: usize = 100_000;

/// The longest reel that the recorder makes.
pub(super) const REEL_DURATION_MAX: Duration = Duration::from_secs(300);

/// A reel's segments start and end at labels from [`LABEL_BEFORE_MS`] before its first label to this after it: the
/// longest reel, the longest segment (60 s) and the drift of labels that a reel bears (10 s).
pub(super) const LABEL_AFTER_MS: i64 = REEL_DURATION_MAX.as_millis() as i64 + 60_000 + 10_000;
pub(super) const LABEL_BEFORE_MS: i64 = 10_000;

/// Idle connections that are kept for the next reader.
const CONNECTIONS_MAX: usize = 8;
/// Of the index, each keeps so much in memory, in KiB: the system has the rest.
const CACHE_KIB: i64 = 512;

/// What was recorded of one camera in a range of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Renditions with at least one segment in the range, pictures before sound, lowest rung first.
    pub renditions: Vec<RecordedRendition>,
    /// Gaps that overlap the range, by their end.
    pub gaps: Vec<Gap>,
}

/// One rendition of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRendition {
    /// Which one.
    pub id: RenditionId,
    /// How the latest of its runs in the range is decoded.
    pub parameters: TrackParameters,
    /// Its segments in the order of recording, whatever the wall clock did meanwhile.
    pub segments: Vec<SegmentEntry>,
}

/// A segment that can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Media sequence number; grows, with steps over 1 where something is missing.
    pub msn: u64,
    /// Another run than the segment before means a discontinuity and another header.
    pub run: u64,
    /// Civil time of its first picture.
    pub wall_start: Wall,
    /// Decode time of its first sample, in ticks.
    pub start_ticks: u64,
    /// How long it lasts, in ticks.
    pub duration_ticks: u64,
    /// Ticks a second.
    pub timescale: u32,
    /// Size in bytes.
    pub bytes: u64,
}

/// Opens read-only connections as needed and keeps some. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    dir: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Reader {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            idle: Arc::default(),
        }
    }

    /// The data directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was recorded between `from` and `to`, by labels; whole segments, in the order of recording.
    ///
    /// Labels repeat when the wall clock is set back: then both passes are in the answer. They are found because a
    /// reel's labels stay near its first (a jump starts another reel), and reels are indexed by their first label.
    pub(super) fn recording(
        &self,
        camera: &CameraId,
        from: Wall,
        to: Wall,
    ) -> Result<Recording, ReadError> {
        if to <= from {
            return Err(ReadError::RangeBackwards);
        }
        self.read(|connection| {
            let mut recording = Recording {
                renditions: Vec::new(),
                gaps: gaps(connection, camera, from, to)?,
            };
            for (id, track) in tracks(connection, camera)? {
                let (parameters, segments) = segments(connection, track, from, to)?;
                if let Some(parameters) = parameters {
                    recording.renditions.push(RecordedRendition {
                        id,
                        parameters,
                        segments,
                    });
                }
            }
            recording.renditions.sort_by_key(|rendition| rendition.id);
            Ok(recording)
        })
    }

    /// Where the newest segment of a camera or, if that is later, its last gap ends; `None` without a segment.
    pub(super) fn recorded_until(&self, camera: &CameraId) -> Result<Option<Wall>, ReadError> {
        self.read(|connection| {
            let mut until = None;
            for (_, track) in tracks(connection, camera)? {
                until = until.max(track_end(connection, track)?);
            }
            let gap: Option<i64> = connection.query_row(
                "SELECT max(to_ms) FROM gap WHERE camera = (SELECT id FROM camera WHERE name = ?)",
                [camera.as_str()],
                |row| row.get(0),
            )?;
            Ok(until.map(|until: Wall| gap.map_or(until, |gap| until.max(Wall(gap)))))
        })
    }

    /// The bytes of a segment, checked against their digest; `None` if it is not recorded.
    pub(super) fn load_segment(
        &self,
        camera: &CameraId,
        rendition: RenditionId,
        msn: u64,
    ) -> Result<Option<Bytes>, ReadError> {
        let loaded = self.load_admitted(camera, rendition, msn, |_| Ok::<_, ReadError>(()))?;
        Ok(loaded.map(|(bytes, ())| bytes))
    }

    /// The same with what `admit` gives for its size in bytes, which it may also refuse.
    pub(super) fn load_admitted<T, E: From<ReadError>>(
        &self,
        camera: &CameraId,
        rendition: RenditionId,
        msn: u64,
        admit: impl FnOnce(u64) -> Result<T, E>,
    ) -> Result<Option<(Bytes, T)>, E> {
        let Some(found) = self.find_segment(camera, rendition, msn)? else {
            return Ok(None);
        };
        let admitted = admit(found.bytes)?;
        match found.load(msn) {
            // Retention took it between the row and the file.
            Err(ReadError::Damaged { .. })
                if self.find_segment(camera, rendition, msn)?.is_none() =>
            {
                Ok(None)
            }
            outcome => Ok(Some((outcome?, admitted))),
        }
    }

    fn find_segment(
        &self,
        camera: &CameraId,
        rendition: RenditionId,
        msn: u64,
    ) -> Result<Option<Found>, ReadError> {
        self.read(|connection| {
            let found = connection
                .prepare_cached(
                    "SELECT reel.id, reel.day, reel.run, segment.offset, segment.bytes
                     FROM camera JOIN track ON track.camera = camera.id AND track.rendition = ?2
                     JOIN reel ON reel.id = (
                         SELECT id FROM reel WHERE track = track.id AND first_msn <= ?3
                         ORDER BY first_msn DESC LIMIT 1
                     )
                     JOIN segment ON segment.id = reel.id * ?4 + ?3 - reel.first_msn
                     WHERE camera.name = ?1 AND ?3 < reel.first_msn + ?4",
                )?
                .query_row(
                    params![
                        camera.as_str(),
                        rendition.name(),
                        msn as i64,
                        REEL_SEGMENTS_MAX
                    ],
                    |row| Ok(Found::read(&self.dir, camera, row)),
                )
                .optional()?;
            Ok(found.transpose()?)
        })
    }

    /// The header of a run; `None` if nothing of it is recorded.
    pub(super) fn load_init(
        &self,
        camera: &CameraId,
        rendition: RenditionId,
        run: u64,
    ) -> Result<Option<Bytes>, ReadError> {
        self.read(|connection| {
            let init: Option<Vec<u8>> = connection
                .prepare_cached(
                    "SELECT init FROM camera JOIN track ON track.camera = camera.id AND track.rendition = ?2
                     JOIN run ON run.track = track.id AND run.run = ?3 WHERE camera.name = ?1",
                )?
                .query_row(params![camera.as_str(), rendition.name(), run as i64], |row| row.get(0))
                .optional()?;
            Ok(init.map(Bytes::from))
        })
    }

    /// The clips of a camera, or of all, those of the newest recordings first, at most `limit` of those behind a place
    /// of the list, or from its beginning on.
    pub(super) fn clip_page(
        &self,
        camera: Option<&CameraId>,
        place: Option<ListPlace>,
        limit: usize,
    ) -> Result<ClipPage, ReadError> {
        let place = place.unwrap_or(ListPlace::START);
        self.read(|connection| Ok(clip_page(connection, camera, place, limit)?))
    }

    /// A clip by its number; `None` if there is none.
    pub(super) fn clip(&self, id: i64) -> Result<Option<Clip>, ReadError> {
        self.read(|connection| Ok(clip_of(connection, id)?))
    }

    /// Lends a connection to `read`, which sees one state of the index throughout.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let idle = self
            .idle
            .lock()
            .expect("no reader panics with the lock held")
            .pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = {
            let transaction = connection.transaction()?;
            read(&transaction)?
        };
        let mut idle = self
            .idle
            .lock()
            .expect("no reader panics with the lock held");
        if idle.len() < CONNECTIONS_MAX {
            idle.push(connection);
        }
        Ok(answer)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.dir.join(INDEX_PATH), flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(connection)
    }
}

struct Found {
    path: PathBuf,
    run: u64,
    offset: u64,
    bytes: u64,
}

impl Found {
    fn read(dir: &Path, camera: &CameraId, row: &Row<'_>) -> rusqlite::Result<Self> {
        let day: String = row.get(1)?;
        Ok(Self {
            path: reel_path(dir, camera, &day, row.get(0)?),
            run: row.get(2)?,
            offset: row.get(3)?,
            bytes: row.get(4)?,
        })
    }

    fn load(self, msn: u64) -> Result<Bytes, ReadError> {
        let Self {
            path,
            run,
            offset,
            bytes,
        } = self;
        let what =
            match File::open(&path).and_then(|file| read_place(&file, Place { offset, bytes })) {
                Ok(mut buffer) => match check_segment(&buffer, bytes, (msn, run)) {
                    Ok(_) => {
                        buffer.truncate(bytes as usize);
                        return Ok(buffer.into());
                    }
                    Err(what) => what,
                },
                Err(error) => match fault_told(error) {
                    Ok(what) => what,
                    Err(cause) => return Err(ReadError::Io { path, cause }),
                },
            };
        Err(ReadError::Damaged { path, offset, what })
    }
}

/// What is wrong with a segment whose file was opened or read with this error, or the error if that says nothing of it.
pub(super) fn fault_told(error: io::Error) -> Result<&'static str, io::Error> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok("the file ends early"),
        io::ErrorKind::NotFound => Ok("the file is gone"),
        _ if is_damage(&error) => Ok("the disk does not give it back"),
        _ => Err(error),
    }
}

/// A segment and its trailer. Asks for no more memory than the file has bytes, whatever the index says.
pub(super) fn read_place(file: &File, place: Place) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    read_with_trailer(&ReadFile(file), file.metadata()?.len(), place, &mut buffer)?;
    Ok(buffer)
}

pub(super) fn tracks(
    connection: &Connection,
    camera: &CameraId,
) -> Result<Vec<(RenditionId, i64)>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT track.rendition, track.id FROM track JOIN camera ON camera.id = track.camera
         WHERE camera.name = ?",
    )?;
    let mut rows = statement.query([camera.as_str()])?;
    let mut tracks = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if let Ok(rendition) = name.parse() {
            tracks.push((rendition, row.get(1)?));
        }
    }
    Ok(tracks)
}

/// The first label of a track.
pub(super) fn track_start(connection: &Connection, track: i64) -> Result<Option<Wall>, ReadError> {
    let start: Option<i64> = connection
        .prepare_cached("SELECT min(wall_ms) FROM reel WHERE track = ?")?
        .query_row([track], |row| row.get(0))?;
    Ok(start.map(Wall))
}

/// The earlier of two moments, as far as they are known.
pub(super) fn earlier(one: Option<Wall>, other: Option<Wall>) -> Option<Wall> {
    one.into_iter().chain(other).min()
}

/// Civil time at which the last segment of a track ends.
pub(super) fn track_end(connection: &Connection, track: i64) -> Result<Option<Wall>, ReadError> {
    let newest = connection
        .prepare_cached(
            "SELECT reel.wall_ms + segment.wall_ms, segment.duration_ticks, run.parameters
             FROM reel JOIN run ON run.track = reel.track AND run.run = reel.run
             JOIN segment ON segment.id >= reel.id * ?2 AND segment.id < (reel.id + 1) * ?2
             WHERE reel.id = (
                 SELECT reel.id FROM reel WHERE track = ?1 AND EXISTS (
                     SELECT 1 FROM segment WHERE id >= reel.id * ?2 AND id < (reel.id + 1) * ?2)
                 ORDER BY first_msn DESC LIMIT 1)
             ORDER BY segment.id DESC LIMIT 1",
        )?
        .query_row(params![track, REEL_SEGMENTS_MAX as i64], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((start, duration_ticks, parameters)): Option<(i64, u64, Vec<u8>)> = newest else {
        return Ok(None);
    };
    let timescale = decode_parameters(&parameters).map(|parameters| parameters.timescale());
    Ok(timescale.map(|timescale| wall_end(Wall(start), duration_ticks, timescale)))
}

pub(super) fn segments(
    connection: &Connection,
    track: i64,
    from: Wall,
    to: Wall,
) -> Result<(Option<TrackParameters>, Vec<SegmentEntry>), ReadError> {
    let mut reels = connection.prepare_cached(
        "SELECT reel.id, reel.run, reel.first_msn, reel.wall_ms, reel.start_ticks, run.parameters
         FROM reel JOIN run ON run.track = reel.track AND run.run = reel.run
         WHERE reel.track = ? AND reel.wall_ms > ? AND reel.wall_ms < ? ORDER BY reel.first_msn",
    )?;
    let mut in_reel = connection.prepare_cached(
        "SELECT id, bytes, wall_ms, start_ticks, duration_ticks FROM segment
         WHERE id >= ?1 AND id < ?2 ORDER BY id",
    )?;
    let earliest = from.plus_ms(-LABEL_AFTER_MS).0;
    let latest = to.plus_ms(LABEL_BEFORE_MS).0;
    let mut rows = reels.query(params![track, earliest, latest])?;
    let (mut latest_parameters, mut segments) = (None, Vec::new());
    while let Some(reel) = rows.next()? {
        let id: i64 = reel.get(0)?;
        let (run, first_msn): (u64, u64) = (reel.get(1)?, reel.get(2)?);
        let (wall_ms, first_ticks): (i64, u64) = (reel.get(3)?, reel.get(4)?);
        let parameters: Vec<u8> = reel.get(5)?;
        let Some(parameters) = decode_parameters(&parameters) else {
            continue;
        };
        let timescale = parameters.timescale();
        let before = segments.len();
        let keys = segment_keys(id);
        let mut rows = in_reel.query([keys.start, keys.end])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            let relative_ticks: u64 = row.get(3)?;
            let segment = SegmentEntry {
                msn: first_msn + (key - keys.start) as u64,
                run,
                wall_start: Wall(wall_ms).plus_ms(row.get(2)?),
                start_ticks: first_ticks + relative_ticks,
                duration_ticks: row.get(4)?,
                timescale,
                bytes: row.get(1)?,
            };
            let end = wall_end(segment.wall_start, segment.duration_ticks, timescale);
            if segment.wall_start < to && end > from {
                segments.push(segment);
            }
        }
        if segments.len() > RECORDING_SEGMENTS_MAX {
            return Err(ReadError::RangeTooLong(RECORDING_SEGMENTS_MAX));
        }
        if segments.len() > before {
            latest_parameters = Some(parameters);
        }
    }
    Ok((latest_parameters, segments))
}

fn gaps(
    connection: &Connection,
    camera: &CameraId,
    from: Wall,
    to: Wall,
) -> Result<Vec<Gap>, ReadError> {
    let mut gaps = Vec::new();
    each_gap(connection, camera, (from, to), |gap| gaps.push(gap))?;
    Ok(gaps)
}

/// Hands over a camera's gaps that overlap a range, by their end.
pub(super) fn each_gap(
    connection: &Connection,
    camera: &CameraId,
    (from, to): (Wall, Wall),
    mut found: impl FnMut(Gap),
) -> Result<(), ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT gap.rendition, gap.from_ms, gap.to_ms, gap.reason
         FROM gap JOIN camera ON camera.id = gap.camera
         WHERE camera.name = ? AND gap.to_ms > ? AND gap.from_ms < ? ORDER BY gap.to_ms",
    )?;
    let mut rows = statement.query(params![camera.as_str(), from.0, to.0])?;
    while let Some(row) = rows.next()? {
        let rendition = match row.get_ref(0)? {
            ValueRef::Text(name) => std::str::from_utf8(name).ok(),
            _ => None,
        };
        if let Some(reason) = GapReason::from_number(row.get(3)?) {
            found(Gap {
                rendition: rendition.and_then(|name| name.parse().ok()),
                from: Wall(row.get(1)?),
                to: Wall(row.get(2)?),
                reason,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn a_bad_sector_is_a_fault_of_the_segment_and_a_lack_of_files_is_none() {
        let told = |errno: Errno| fault_told(errno.into()).is_ok();
        assert!([Errno::EIO, Errno::EBADMSG, Errno::EUCLEAN, Errno::ENOENT].map(told) == [true; 4]);
        assert!([Errno::EMFILE, Errno::EACCES, Errno::ENOMEM].map(told) == [false; 3]);
    }
}
