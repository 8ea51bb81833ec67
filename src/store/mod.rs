//! Recordings on disk: segments in append-only reels, imports in packs, and a SQLite index of them. One writer thread,
//! many readers.
//! Decides nothing about what is recorded or for how long; the packager hands segments over, serve reads them.
//!
//! Order of durability: a segment is appended to its reel and hashed on the way; the file is synced, then the
//! folder that names it, then the row goes in. So a row never names bytes that are not there, and what a crash
//! leaves behind the last committed end is cut off at the next start, which tells exactly what that was.
//!
//! Order of time: the run and the media sequence number order segments; civil time is a label. A wall clock that
//! jumps starts another reel, so that each reel's labels lie near its first, by which reels are indexed: a range by
//! labels finds every segment so labelled, in the order of recording, even if an hour comes twice.
//!
//! ```text
//! lock                            held while a process uses the directory
//! appliance.json                  where that process can be reached, see `reach`
//! reel/<camera>/<day>/<id>.reel   see `reel` for the format
//! pack/<id>.pack                  see `chunk` for the format, `import` for what goes in
//! up/<id>.part                    uploads under way, see `spool`
//! db/index.db                     see `schema` for the tables
//! db/ballast                      see `ballast`
//! log/marks-<number>              what reels do not tell, see `journal`
//! log/tiles-<level>               the log of segments, see `segment_log`
//! log/checkpoints-<number>        what of it was signed
//! keys/                           what it is signed with, see `box_keys`
//! ```

mod archive;
mod bad_sectors;
mod ballast;
mod box_keys;
mod clip_file;
mod clips;
mod error;
mod failure;
mod file_system;
mod first_checkpoint;
mod garbage;
mod import;
mod index;
mod index_file;
mod journal;
mod keeper;
mod last_words;
mod list_place;
mod log_files;
mod log_leaves;
mod log_scrub;
mod marks;
mod numbers;
mod parameters;
mod patience;
mod proof;
mod queue;
mod reach;
mod reader;
mod rebuild;
mod rebuild_log;
mod rebuild_rows;
mod recorder;
mod recovery;
mod reel;
mod reel_heads;
mod reel_rows;
mod reel_writer;
mod resync;
mod retention;
mod room;
mod rows;
mod schema;
mod scrub;
mod scrub_once;
mod scrub_rows;
mod segment_log;
mod segment_read;
mod segment_source;
mod spool;
mod statistics;
mod status;
mod tile_check;
mod timeline;
mod unnamed;
mod upkeep;
mod usage;
mod verify_log;
mod verify_range;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use self::archive::{Archive, DamagedSegment, VerifyReport};
pub use self::box_keys::{BoxKeysError, load_public_keys};
pub use self::clip_file::{
    ClipFile, ClipFileError, ClipFileReader, ClipFileWish, ClipLength, Timelapse,
};
pub use self::clips::{Clip, ClipPage, ClipWish, RANGE_MS_MAX};
pub use self::error::{ClipError, OpenError, ReadError};
pub use self::import::{
    Damage, DamagedChunk, DamagedItem, DamagedRecord, ImportError, ImportMeta, ImportProgress,
    Imported, ItemContent, ItemEntry, ItemPage, MiscountedChunk, Origin, PacksReport,
    RebuiltImports, RecountReport, rebuild_imports,
};
pub use self::list_place::ListPlace;
pub use self::log_scrub::{DamagedCheckpoints, LogReport};
pub use self::numbers::CameraPosition;
pub use self::proof::ProveError;
pub use self::reach::{Announced, Reach};
pub use self::reader::{RECORDING_SEGMENTS_MAX, RecordedRendition, Recording, SegmentEntry};
pub use self::rebuild::{DamagedStretch, RebuildReport, rebuild_index};
pub use self::rebuild_log::LogFinding;
pub use self::recovery::{DiscardedTail, LostSegment, RecoveryReport, UnreadableReel};
pub use self::reel_heads::DamagedHead;
pub use self::retention::{CameraRetention, Retention};
pub use self::scrub_once::{ScrubError, ScrubMarks, ScrubReport, scrub_once};
pub use self::spool::{
    NewUpload, Upload, UploadError, UploadHold, UploadImport, UploadPhase, UploadWriter,
};
pub use self::statistics::{Source, Statistics};
pub use self::status::{Appended, Gap, GapReason, RecordingState, StoreOptions, StoreStatus};

pub use self::tile_check::DamagedTiles;
pub use self::timeline::{Bucket, Timeline};
pub use self::upkeep::GcReport;
pub use self::usage::{CameraUsage, Forecast, Usage};
pub use self::verify_log::CheckpointsReport;
pub use self::verify_range::{RangeFault, RangeReport, RangeTrack};

use self::ballast::Ballast;
use self::file_system::{FileSystem, RealFileSystem};
use self::import::{Imports, PACK_FOLDER, check_imports_known, recover_packs};
use self::index::Index;
use self::index_file::INDEX_PATH;
use self::numbers::Numbers;
use self::patience::Patience;
use self::queue::QueuedSegment;
use self::reader::Reader;
use self::recorder::Recorder;
use self::scrub::Scrubber;
use self::segment_log::SegmentLog;
use self::spool::{Active, Spool};
use self::status::GapMark;
use self::upkeep::Upkeep;
use self::writer::{Asker, Writer};
use crate::base::{CameraId, Clock, Wall};
use crate::chunk::ItemId;
use crate::media::{RenditionId, Segment};
use crate::seal::ClipProof;
use crate::upload::UploadId;

/// The longest that a camera's start waits for the disk; its live view does not depend on it.
const POSITION_WAIT_MAX: Duration = Duration::from_secs(2);

/// The longest that somebody who changes a clip waits for the disk.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// A data directory in use. Cheap to clone; the last clone to go closes it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: Writer,
    scrubber: Scrubber,
    numbers: Arc<Numbers>,
    imports: Arc<Imports>,
    upkeep: Upkeep,
    reader: Arc<Reader>,
    spool: Spool,
    options: StoreOptions,
    clock: Arc<dyn Clock>,
    dir: PathBuf,
}

impl Store {
    /// Opens a data directory, made if it does not exist, brings files and index to agree, and starts the writer.
    /// `options` beyond their bounds are brought within them. Fails without harm to what is recorded there.
    pub fn open(
        dir: &Path,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        Self::open_on(Arc::new(RealFileSystem), dir, options, clock)
    }

    fn open_on(
        files: Arc<dyn FileSystem>,
        dir: &Path,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let options = options.within_bounds();
        // Before anything is touched.
        index_file::check_header(dir)?;
        let lock = lock_directory(dir)?;
        let (mut recorder, numbers, report) =
            open_recorder(dir, &options, &clock, Arc::clone(&files))?;
        let uploads = Arc::<Active>::default();
        recorder.watch_uploads(Arc::clone(&uploads));
        let packs = recover_packs(dir, &*files, recorder.index().connection())?;
        let io = |cause| OpenError::from_io(dir, cause);
        let writer = Writer::spawn_writer(recorder, lock, Arc::clone(&clock)).map_err(io)?;
        let imports = Arc::new(Imports::new(
            dir,
            Arc::clone(&files),
            writer.clone(),
            packs,
            &options,
            Arc::clone(&clock),
        ));
        let upkeep = Upkeep::spawn_upkeep(Arc::clone(&imports), Arc::clone(&clock)).map_err(io)?;
        let scrubber = Scrubber::spawn(dir, writer.clone(), Arc::clone(&clock)).map_err(io)?;
        let spool = Spool::new(
            dir,
            &options,
            files,
            writer.clone(),
            Arc::clone(&clock),
            uploads,
        );
        if options.imports_uploads {
            spool.spawn_importer(Arc::clone(&imports)).map_err(io)?;
        }
        let inner = Inner {
            writer,
            scrubber,
            numbers,
            imports,
            upkeep,
            reader: Arc::new(Reader::new(dir)),
            spool,
            options,
            clock,
            dir: dir.to_owned(),
        };
        Ok((Self(Arc::new(inner)), report))
    }

    /// Hands a segment over to be recorded. Never waits; when 64 MiB wait already, the newest of those with the
    /// highest bitrate is given up, picture and sound together. Segments of a rendition come in the order of their
    /// numbers, and those of one run with one header; others are refused later and counted.
    pub fn append(
        &self,
        camera: &CameraId,
        rendition: RenditionId,
        segment: Arc<Segment>,
    ) -> Appended {
        self.0.writer.append(QueuedSegment {
            camera: camera.clone(),
            rendition,
            segment,
        })
    }

    /// Marks a stretch as not recorded, of one rendition or of the whole camera. Never waits. A mark that goes on
    /// where the last one of its kind ends lengthens that. Nothing to mark if it does not end after it starts.
    pub fn mark_gap(&self, camera: &CameraId, gap: Gap) {
        if gap.to > gap.from {
            self.0.writer.mark_gap(GapMark {
                camera: camera.clone(),
                gap,
            });
        }
    }

    /// The numbers with which a camera's next run may start, above all that were ever used. Asked once when a camera
    /// appears; waits until they are set aside on the disk, but no longer than a slow disk deserves.
    pub fn camera_position(&self, camera: &CameraId) -> CameraPosition {
        let position = self.0.numbers.set_aside(camera);
        self.0.writer.flush(POSITION_WAIT_MAX);
        position
    }

    /// Waits until everything handed over before is committed, or given up with its gap marked.
    pub fn flush(&self) {
        self.0.writer.flush(Duration::MAX);
    }

    /// What was recorded of a camera between two labels: every committed segment of which a part lies in between,
    /// in the order of recording. Empty for a camera that nobody knows. Reads disk.
    pub fn recording(
        &self,
        camera: &CameraId,
        from: Wall,
        to: Wall,
    ) -> Result<Recording, ReadError> {
        self.0.reader.recording(camera, from, to)
    }

    /// Civil time up to which all that is known of a camera is recorded or marked as a gap; `None` if nothing of it
    /// was ever recorded. Reads disk.
    pub fn recorded_until(&self, camera: &CameraId) -> Result<Option<Wall>, ReadError> {
        self.0.reader.recorded_until(camera)
    }

    /// The bytes of a committed segment as they were handed over, checked against their digest.
    /// `None` if it is not recorded. Reads disk.
    pub fn load_segment(
        &self,
        camera: &CameraId,
        rendition: RenditionId,
        msn: u64,
    ) -> Result<Option<Bytes>, ReadError> {
        self.0.reader.load_segment(camera, rendition, msn)
    }

    /// The same with what `admit` gives for its size in bytes, before it is read. What `admit` refuses is not read.
    pub fn load_segment_admitted<T, E: From<ReadError>>(
        &self,
        camera: &CameraId,
        rendition: RenditionId,
        msn: u64,
        admit: impl FnOnce(u64) -> Result<T, E>,
    ) -> Result<Option<(Bytes, T)>, E> {
        let reader = &self.0.reader;
        reader.load_admitted(camera, rendition, msn, admit)
    }

    /// The header of a run of which something is recorded. Reads disk.
    pub fn load_init(
        &self,
        camera: &CameraId,
        rendition: RenditionId,
        run: u64,
    ) -> Result<Option<Bytes>, ReadError> {
        self.0.reader.load_init(camera, rendition, run)
    }

    /// Plans one ordinary MP4 file of a stretch of a recording. Reads the tables of its segments from disk. What is too
    /// young to be signed is signed now, a second after the last checkpoint at the earliest, and waited for.
    pub fn clip_file(&self, wish: &ClipFileWish) -> Result<ClipFile, ClipFileError> {
        ClipFile::plan(&self.0.reader, wish, &|leaf| self.sign_log_for(leaf))
    }

    fn sign_log_for(&self, leaf: u64) {
        let ask = || {
            let sign = move |recorder: &mut Recorder| recorder.sign_log_for(leaf);
            self.0.writer.ask(Asker::Visitor, ANSWER_WAIT_MAX, sign)
        };
        if let Ok(Some(rest)) = ask() {
            std::thread::sleep(rest);
            // What comes of it, whoever needs the checkpoint sees.
            let _ = ask();
        }
    }

    /// Keeps a stretch of a camera's recording, whatever retention says, until the clip is removed; also what of it is
    /// committed only later. Copies nothing. Waits for the disk.
    pub fn make_clip(&self, wish: ClipWish) -> Result<Clip, ClipError> {
        self.ask(move |recorder| recorder.make_clip(&wish))
    }

    /// Removes a clip; what it held is kept as long as any recording. Returns whether there was such a clip.
    /// Waits for the disk.
    pub fn remove_clip(&self, id: i64) -> Result<bool, ClipError> {
        self.ask(move |recorder| recorder.remove_clip(id))
    }

    /// The proof that the log holds the given segments of a camera, each by its rendition and media sequence number,
    /// in the order in which a clip has them (see [`crate::seal::ClipEvidence`] for what belongs beside it in the
    /// clip's file). Those of one rendition in the order of recording. What is too young to be signed is signed now.
    /// Waits for the disk: reads each segment again.
    pub fn clip_proof(
        &self,
        camera: &CameraId,
        segments: &[(RenditionId, u64)],
    ) -> Result<ClipProof, ProveError> {
        let prove = || self.0.reader.clip_proof(&self.0.dir, camera, segments);
        match prove() {
            Err(ProveError::NotYetSigned(_) | ProveError::NothingSigned) => {
                // Whatever keeps the writer from it shows in the second try.
                let _ = self
                    .0
                    .writer
                    .ask(Asker::Visitor, ANSWER_WAIT_MAX, Recorder::sign_log);
                prove()
            }
            outcome => outcome,
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(&mut Recorder) -> Result<T, ClipError> + Send + 'static,
    ) -> Result<T, ClipError> {
        let writer = &self.0.writer;
        let answer = writer.ask(Asker::Visitor, ANSWER_WAIT_MAX, request);
        answer.unwrap_or_else(|no_answer| Err(ClipError::NotWritable(no_answer.to_string())))
    }

    /// Begins an upload; its name and its file are durable on return. Waits for the disk.
    pub fn begin_upload(&self, new: NewUpload) -> Result<Upload, UploadError> {
        self.0.spool.begin(new)
    }

    /// Ends the request that works on an upload, if one does, and takes its place once it has put away what it had.
    /// There need not be such an upload. Waits for the disk.
    pub fn take_upload(&self, id: UploadId) -> Result<UploadHold, UploadError> {
        self.0.spool.take(id)
    }

    /// An upload as far as it is recorded, without ending what works on it. Reads the index.
    pub fn upload(&self, id: UploadId) -> Result<Option<Upload>, ReadError> {
        self.0
            .reader
            .read(|connection| Ok(spool::upload(connection, id)?))
    }

    /// How the import of an upload is that [`Self::upload`] or [`Self::uploads`] says is complete. Reads memory alone.
    pub fn upload_import(&self, id: UploadId) -> UploadImport {
        self.0.spool.upload_import(id)
    }

    /// Every upload that is under way, waits or ended within the last days, in the order of their beginnings. Reads
    /// the index.
    pub fn uploads(&self) -> Result<Vec<Upload>, ReadError> {
        self.0
            .reader
            .read(|connection| Ok(spool::uploads(connection)?))
    }

    /// A camera's recordings between two labels as a line of time, in buckets of about `bucket_ms`. Reads the index.
    pub fn timeline(
        &self,
        camera: &CameraId,
        from: Wall,
        to: Wall,
        bucket_ms: i64,
    ) -> Result<Timeline, ReadError> {
        self.0.reader.timeline(camera, from, to, bucket_ms)
    }

    /// How much room recordings take and have. Reads the index.
    pub fn usage(&self) -> Result<Usage, ReadError> {
        let space = RealFileSystem
            .space(&self.0.dir)
            .map_err(|cause| ReadError::Io {
                path: self.0.dir.clone(),
                cause,
            })?;
        let (retention, now) = (&self.0.options.retention, self.0.clock.wall());
        self.0.reader.usage(retention, space, now)
    }

    /// How the bytes of everything add up. Reads the index and the sizes of packs.
    pub fn statistics(&self) -> Result<Statistics, ReadError> {
        self.0.reader.statistics()
    }

    /// Imports a file: cuts it, stores the chunks that are not stored yet, and makes an item of it. Tells how far it is
    /// after each MiB or so. An import that was interrupted, by whatever, goes on where its last commit stood when the
    /// same file comes again. Takes its time and up to 20 MB; four run at a time, others wait.
    pub fn import(
        &self,
        file: File,
        meta: &ImportMeta,
        progress: impl FnMut(ImportProgress),
    ) -> Result<Imported, ImportError> {
        self.0.imports.import(vec![file], meta, progress)
    }

    /// Imported items, newest first, at most `limit` of those behind a place of the list, or from its beginning on. The
    /// item of which the place tells may be gone meanwhile. Reads disk.
    pub fn item_page(&self, place: Option<ListPlace>, limit: usize) -> Result<ItemPage, ReadError> {
        self.0.reader.item_page(place, limit)
    }

    /// The place right behind an item; `None` if there is no such item. Reads disk.
    pub fn item_place(&self, id: ItemId) -> Result<Option<ListPlace>, ReadError> {
        self.0.reader.item_place(id)
    }

    /// Imported items, newest first, at most `limit` of those that came before `before`. Reads disk.
    pub fn items(&self, before: Option<ItemId>, limit: usize) -> Result<Vec<ItemEntry>, ReadError> {
        self.0.reader.items(before, limit)
    }

    /// Opens an item to read its bytes; `None` if there is no such item. Reads disk.
    pub fn open_item(&self, id: ItemId) -> Result<Option<ItemContent>, ReadError> {
        self.0.reader.open_item(id)
    }

    /// Removes an item, and gives back what no other refers to. Returns whether there was such an item. Waits for the
    /// disk. After an error the item is gone as well, and what it took is given back later.
    pub fn remove_item(&self, id: ItemId) -> Result<bool, ImportError> {
        self.0.imports.remove(id)
    }

    /// Counts all references again, corrects what is wrong, and gives back what is dead; with `abandoned`, imports that
    /// were interrupted, too. Takes its time.
    pub fn collect_garbage(&self, abandoned: bool) -> Result<GcReport, ImportError> {
        self.0.upkeep.collect_garbage(abandoned)
    }

    /// The clips of a camera, or of all, those of the newest recordings first, at most `limit` of those behind a place
    /// of the list, or from its beginning on. The clip of which the place tells may be gone meanwhile. Reads disk.
    pub fn clip_page(
        &self,
        camera: Option<&CameraId>,
        place: Option<ListPlace>,
        limit: usize,
    ) -> Result<ClipPage, ReadError> {
        self.0.reader.clip_page(camera, place, limit)
    }

    /// A clip by its number; `None` if there is none. Reads disk.
    pub fn clip(&self, id: i64) -> Result<Option<Clip>, ReadError> {
        self.0.reader.clip(id)
    }

    /// Counters and state. Costs no disk access.
    pub fn status(&self) -> StoreStatus {
        self.0.writer.status()
    }

    /// Writes and commits what waits and closes the reels, within the options' `close_timeout`. If the disk takes
    /// longer, the next start cuts off what was not committed. Reading goes on working. May be called again.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.spool.stop();
        self.upkeep.stop();
        self.scrubber.stop();
        let closed = self.writer.close(self.options.close_timeout);
        if !closed {
            tracing::warn!(
                "{}: the disk did not take the last writes in time; the next start tells what is missing",
                self.dir.display()
            );
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes the directory if needed and takes its lock, which the system releases when the process ends.
fn lock_directory(dir: &Path) -> Result<File, OpenError> {
    let io = |cause| OpenError::from_io(dir, cause);
    std::fs::create_dir_all(dir).map_err(io)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join("lock"))
        .map_err(io)?;
    match lock.try_lock() {
        Ok(()) => {
            reach::forget_holder(dir).map_err(io)?;
            Ok(lock)
        }
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(cause)) => Err(io(cause)),
    }
}

/// Opens the index, recovers, and makes the recorder that goes on from there. On a disk too full for that the ballast
/// is given up.
fn open_recorder(
    dir: &Path,
    options: &StoreOptions,
    clock: &Arc<dyn Clock>,
    files: Arc<dyn FileSystem>,
) -> Result<(Recorder, Arc<Numbers>, RecoveryReport), OpenError> {
    let mut told = recovery::Told::default();
    let patience = Patience::new(&**clock);
    let mut ballast = Ballast::new(dir, options.ballast_bytes);
    let mut open = || {
        let files = Arc::clone(&files);
        try_open_recorder(dir, options, clock, files, &patience, &mut told)
    };
    let (recorder, numbers) = match open() {
        Err(OpenError::DiskFull(_)) if ballast.give_up(&*files) => {
            tracing::info!("the disk is full: giving up the ballast to open the recordings");
            open()?
        }
        outcome => outcome?,
    };
    Ok((recorder, numbers, told.report))
}

/// The same once. What recovery has found is kept in `told` for another try.
fn try_open_recorder(
    dir: &Path,
    options: &StoreOptions,
    clock: &Arc<dyn Clock>,
    files: Arc<dyn FileSystem>,
    patience: &Patience<'_>,
    told: &mut recovery::Told,
) -> Result<(Recorder, Arc<Numbers>), OpenError> {
    let io = |cause| OpenError::from_io(dir, cause);
    // An empty file is as good as none: SQLite would begin a new index there, which knows no reel.
    let index_bytes = std::fs::metadata(dir.join(INDEX_PATH)).map_or(0, |index| index.len());
    if index_bytes == 0 && has_content(dir).map_err(io)? {
        return Err(OpenError::IndexMissing(dir.to_owned()));
    }
    for name in ["db", "log"] {
        files.create_folder(&dir.join(name)).map_err(io)?;
    }
    // The index may name what lies in them as soon as it is opened.
    files.sync_folder(dir).map_err(|error| io(error.into()))?;
    let mut index = open_index(dir, Arc::clone(&files), patience)?;
    for folder in [&dir.join("db"), dir] {
        files
            .sync_folder(folder)
            .map_err(|error| io(error.into()))?;
    }
    recovery::recover(dir, &*files, patience, &mut index, told)?;
    spool::recover(dir, &*files, &mut index)?;
    let numbers = Arc::new(Numbers::new(index.positions()));
    let log = SegmentLog::open(dir, Arc::clone(&files), &mut index, clock.monotonic())?;
    let recorder = Recorder::new(
        dir,
        options.clone(),
        Arc::clone(clock),
        files,
        index,
        log,
        Arc::clone(&numbers),
    )
    .map_err(|error| OpenError::from_sqlite(dir, &error))?;
    Ok((recorder, numbers))
}

/// Opens the index to be changed. Refuses one that files know more than, before anything else is touched.
fn open_index(
    dir: &Path,
    files: Arc<dyn FileSystem>,
    patience: &Patience<'_>,
) -> Result<Index, OpenError> {
    let mut index = Index::look_into(dir, Arc::clone(&files))?;
    unnamed::check_not_outdated(dir, &*files, patience, &index)?;
    check_imports_known(dir, &*files, patience, index.connection())?;
    index.begin()?;
    Ok(index)
}

/// Whether anything is stored that an index would name.
fn has_content(dir: &Path) -> std::io::Result<bool> {
    Ok(has_any(dir, "reel")? || has_any(dir, PACK_FOLDER)?)
}

/// Whether anything was ever recorded or imported in a directory.
fn has_any(dir: &Path, folder: &str) -> std::io::Result<bool> {
    match std::fs::read_dir(dir.join(folder)) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
