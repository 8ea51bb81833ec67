//! A data directory that is only read, whether an appliance records there or not: how its bytes add up, and whether
//! they are still what they were.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::clip_file::{ClipFile, ClipFileError, ClipFileWish};
use super::error::{OpenError, ReadError};
use super::file_system::ReadFile;
use super::import::{ItemContent, ItemEntry};
use super::index_file::{check_header, header_version};
use super::journal::verify_journal;
use super::log_scrub::{LogReport, PIECE_BYTES, log_bytes, scrub_log};
use super::parameters::decode_parameters;
use super::proof::ProveError;
use super::reader::Reader;
use super::recorder::reel_path;
use super::recovery::wall_end;
use super::reel::{ReelHead, check_segment};
use super::reel_heads::{DamagedHead, ExpectedHead, verify_head};
use super::reel_writer::Place;
use super::rows::segment_keys;
use super::schema::STEPS;
use super::segment_read::read_segment;
use super::statistics::Statistics;
use crate::base::{CameraId, Wall};
use crate::chunk::{ItemId, ReadAt};
use crate::media::RenditionId;
use crate::seal::ClipProof;

/// Reels that are looked up at a time. No look into the index lasts longer than it takes to list these, or its log
/// could not be cut back meanwhile.
const REELS_AT_A_TIME: usize = 64;

/// Recordings that are only read.
#[derive(Debug)]
pub struct Archive {
    dir: PathBuf,
    reader: Arc<Reader>,
}

/// What reading every segment again has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Segments whose bytes are what they were.
    pub segments_sound: u64,
    /// Their bytes.
    pub bytes_sound: u64,
    /// Segments whose bytes are not, in the order of their reels.
    pub damaged: Vec<DamagedSegment>,
    /// Segments that were found damaged before and are not played any more, and still are.
    pub quarantined: u64,
    /// Segments that were found damaged before and read well again.
    pub(super) recovered: Vec<DamagedSegment>,
    /// Reels that do not start as they did, in their order.
    pub heads_damaged: Vec<DamagedHead>,
}

impl VerifyReport {
    /// Whether the index has nothing to learn from it.
    pub(super) fn is_as_noted(&self) -> bool {
        self.damaged.is_empty() && self.recovered.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.segments_sound += other.segments_sound;
        self.bytes_sound += other.bytes_sound;
        self.damaged.extend(other.damaged);
        self.quarantined += other.quarantined;
        self.recovered.extend(other.recovered);
        self.heads_damaged.extend(other.heads_damaged);
    }

    /// Whether anything is damaged that was not known to be.
    pub(super) fn has_damage(&self) -> bool {
        !self.damaged.is_empty() || !self.heads_damaged.is_empty()
    }
}

/// A segment that cannot be played any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedSegment {
    /// Its key in the index.
    pub(super) key: i64,
    /// Whose recording it is of.
    pub camera: CameraId,
    /// Which rendition.
    pub rendition: RenditionId,
    /// Media sequence number.
    pub msn: u64,
    /// Civil time at which it starts.
    pub wall_start: Wall,
    /// Civil time at which it ends.
    pub wall_end: Wall,
    /// The reel.
    pub path: PathBuf,
    /// Where in the reel it starts.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// Its bytes are not there, are others, or lie where the disk cannot read, though it reads elsewhere. Otherwise they
    /// could not be read, which may be otherwise the next time: too many files are open, a disk was unplugged.
    pub is_lost: bool,
}

/// A reel's file.
pub(super) struct OpenedReel {
    pub(super) file: Box<dyn ReadAt>,
    pub(super) bytes: u64,
}

/// How reels are opened. Tests put a disk behind it that fails.
pub(super) type OpenReel<'a> = &'a dyn Fn(&Path) -> io::Result<OpenedReel>;

/// Opens a reel for reading.
pub(super) fn open_reel(path: &Path) -> io::Result<OpenedReel> {
    let file = File::open(path)?;
    Ok(OpenedReel {
        bytes: file.metadata()?.len(),
        file: Box::new(ReadFile(file)),
    })
}

/// A reel with its segments.
pub(super) struct ReelToRead {
    pub(super) id: i64,
    pub(super) path: PathBuf,
    pub(super) run: u64,
    pub(super) is_closed: bool,
    /// What it starts with; `None` if the index does not tell.
    pub(super) head: Option<ExpectedHead>,
    pub(super) segments: Vec<SegmentToRead>,
}

#[derive(Clone)]
pub(super) struct SegmentToRead {
    pub(super) place: Place,
    /// It was found damaged before.
    is_quarantined: bool,
    /// What is told if it is damaged.
    told: DamagedSegment,
}

impl Archive {
    /// Opens the recordings of a directory. Fails where there are none, or other versions' ones.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        check_header(dir)?;
        match header_version(dir)? {
            None => return Err(OpenError::NothingRecorded(dir.to_owned())),
            Some(version) if (version as usize) < STEPS.len() => {
                return Err(OpenError::OlderVersion(dir.to_owned()));
            }
            Some(_) => {}
        }
        Ok(Self {
            dir: dir.to_owned(),
            reader: Arc::new(Reader::new(dir)),
        })
    }

    /// Plans one ordinary MP4 file of a stretch of a recording. Reads the tables of its segments from disk. What is not
    /// signed yet carries no proof: that is for whoever records.
    pub fn clip_file(&self, wish: &ClipFileWish) -> Result<ClipFile, ClipFileError> {
        ClipFile::plan(&self.reader, wish, &|_| {})
    }

    /// Adds everything up.
    pub fn statistics(&self) -> Result<Statistics, ReadError> {
        self.reader.statistics()
    }

    /// Reads every segment again and compares it with its digest, and the start of every reel with what the index says;
    /// `progress` is told the bytes read so far and about how many there are. What retention deletes meanwhile is no
    /// damage.
    pub fn verify(&self, mut progress: impl FnMut(u64, u64)) -> Result<VerifyReport, ReadError> {
        let total = self.recorded_bytes()?;
        let (mut report, mut after, mut done) = (VerifyReport::default(), 0, 0);
        let mut buffer = Vec::new();
        loop {
            let reels = self
                .reader
                .read(|connection| reels_after(connection, &self.dir, after, REELS_AT_A_TIME))?;
            let Some(last) = reels.last() else {
                return Ok(report);
            };
            after = last.id;
            for reel in reels {
                let mut found = verify_reel(&reel, &open_reel, &mut buffer);
                found.heads_damaged.extend(verify_head(&reel, &open_reel));
                done += reel
                    .segments
                    .iter()
                    .map(|segment| segment.place.bytes)
                    .sum::<u64>();
                progress(done.min(total), total);
                if !found.has_damage() || has_reel(&self.reader, reel.id)? {
                    report.add(found);
                }
            }
        }
    }

    /// The proof that the log holds the given segments of a camera, as [`super::Store::clip_proof`] gives it; what is
    /// not signed yet is an error here.
    pub fn clip_proof(
        &self,
        camera: &CameraId,
        segments: &[(RenditionId, u64)],
    ) -> Result<ClipProof, ProveError> {
        self.reader.clip_proof(&self.dir, camera, segments)
    }

    /// Reads the journal again, which only an index that is made again needs. Whether it is what it was.
    pub fn is_journal_sound(&self) -> Result<bool, ReadError> {
        Ok(verify_journal(&self.dir, &self.reader)?.is_none())
    }

    /// Reads the files of the signed log of segments again; `progress` is told about how many bytes are read so far and
    /// how many there are.
    pub fn verify_log_files(&self, progress: impl FnMut(u64, u64)) -> LogReport {
        let total = log_bytes(&self.dir);
        let (done, progress) = (Cell::new(0), RefCell::new(progress));
        let report = scrub_log(&self.dir, &self.reader, &|| {
            done.set(done.get() + PIECE_BYTES);
            (progress.borrow_mut())(done.get().min(total), total);
            false
        });
        report.expect("nobody breaks it off")
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }

    /// Imported items, newest first, at most `limit` of those that came before `before`.
    pub fn items(&self, before: Option<ItemId>, limit: usize) -> Result<Vec<ItemEntry>, ReadError> {
        self.reader.items(before, limit)
    }

    /// Opens an item to read its bytes; `None` if there is no such item.
    pub fn open_item(&self, id: ItemId) -> Result<Option<ItemContent>, ReadError> {
        self.reader.open_item(id)
    }

    fn recorded_bytes(&self) -> Result<u64, ReadError> {
        self.reader.read(|connection| {
            let sum = "SELECT coalesce(sum(bytes), 0) FROM segment";
            Ok(connection.query_row(sum, (), |row| row.get(0))?)
        })
    }
}

/// Whether a reel is there, by the index. Retention takes its row first and then its file: of one whose row is still
/// there it has taken nothing.
pub(super) fn has_reel(reader: &Reader, id: i64) -> Result<bool, ReadError> {
    reader.read(|connection| {
        let known = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM reel WHERE id = ?)")?
            .query_row([id], |row| row.get(0))?;
        Ok(known)
    })
}

/// The reels behind one, at most `count`.
pub(super) fn reels_after(
    connection: &Connection,
    dir: &Path,
    after: i64,
    count: usize,
) -> Result<Vec<ReelToRead>, ReadError> {
    let mut reels = connection.prepare_cached(
        "SELECT reel.id, camera.name, track.rendition, reel.day, reel.run, reel.first_msn, reel.wall_ms, run.parameters,
                reel.bytes IS NOT NULL, run.init
         FROM reel JOIN track ON track.id = reel.track JOIN camera ON camera.id = track.camera
         JOIN run ON run.track = reel.track AND run.run = reel.run
         WHERE reel.id > ? ORDER BY reel.id LIMIT ?",
    )?;
    let mut segments = connection.prepare_cached(
        "SELECT id, offset, bytes, wall_ms, duration_ticks, 0 FROM segment WHERE id >= ?1 AND id < ?2
         UNION ALL SELECT id, offset, bytes, wall_ms, duration_ticks, 1 FROM damaged WHERE id >= ?1 AND id < ?2
         ORDER BY id",
    )?;
    let mut rows = reels.query(params![after, count])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (camera, rendition): (String, String) = (row.get(1)?, row.get(2)?);
        let (day, parameters): (String, Vec<u8>) = (row.get(3)?, row.get(7)?);
        let (first_msn, start): (u64, Wall) = (row.get(5)?, Wall(row.get(6)?));
        let (Ok(camera), Ok(rendition)) = (camera.parse::<CameraId>(), rendition.parse()) else {
            continue;
        };
        let path = reel_path(dir, &camera, &day, id);
        let parameters = decode_parameters(&parameters);
        let timescale = parameters.as_ref().map_or(1, |known| known.timescale());
        let (run, init): (u64, Vec<u8>) = (row.get(4)?, row.get(9)?);
        let head = parameters.map(|parameters| {
            let head = ReelHead {
                camera: camera.clone(),
                rendition,
                run,
                parameters,
                init_bytes: init.len() as u32,
            };
            ExpectedHead {
                bytes: [&init[..], &head.encode()].concat(),
                init_bytes: init.len(),
            }
        });
        let mut reel = ReelToRead {
            id,
            run,
            is_closed: row.get(8)?,
            head,
            segments: Vec::new(),
            path,
        };
        let keys = segment_keys(id);
        let mut rows = segments.query([keys.start, keys.end])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            // A damaged row may say anything; what is impossible fails against the file.
            let place = Place {
                offset: row.get::<_, i64>(1)? as u64,
                bytes: row.get::<_, i64>(2)? as u64,
            };
            let wall_start = start.plus_ms(row.get(3)?);
            let told = DamagedSegment {
                key,
                camera: camera.clone(),
                rendition,
                msn: first_msn + (key - keys.start) as u64,
                wall_start,
                wall_end: wall_end(wall_start, row.get(4)?, timescale),
                path: reel.path.clone(),
                offset: place.offset,
                what: String::new(),
                is_lost: false,
            };
            reel.segments.push(SegmentToRead {
                place,
                is_quarantined: row.get(5)?,
                told,
            });
        }
        found.push(reel);
    }
    Ok(found)
}

/// Reads the segments of a reel and compares them with their digests.
pub(super) fn verify_reel(
    reel: &ReelToRead,
    open: OpenReel<'_>,
    buffer: &mut Vec<u8>,
) -> VerifyReport {
    let mut report = VerifyReport::default();
    let opened = open(&reel.path).map_err(|error| {
        let is_lost = error.kind() == io::ErrorKind::NotFound;
        (error.to_string(), is_lost)
    });
    for segment in &reel.segments {
        let (place, told) = (segment.place, &segment.told);
        let outcome = match &opened {
            Ok(opened) => read_segment(&reel.path, &*opened.file, opened.bytes, place, buffer)
                .map_err(|unread| (unread.error.to_string(), unread.is_lost)),
            Err(error) => Err(error.clone()),
        };
        let checked = outcome.and_then(|()| {
            check_segment(buffer, place.bytes, (told.msn, reel.run))
                .map_err(|what| (what.to_owned(), true))
        });
        match checked {
            Ok(_) => {
                report.segments_sound += 1;
                report.bytes_sound += place.bytes;
                if segment.is_quarantined {
                    report.recovered.push(told.clone());
                }
            }
            Err(_) if segment.is_quarantined => report.quarantined += 1,
            Err((what, is_lost)) => report.damaged.push(DamagedSegment {
                what,
                is_lost,
                ..told.clone()
            }),
        }
    }
    report
}
