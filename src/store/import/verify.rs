//! Packs read again and compared with the index: whether each record that counts lies where its row says and is what it
//! was. Changes nothing; what is found is marked by whoever writes the index. Records that count no longer are not read:
//! nobody needs them, and their payloads may be punched out.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rusqlite::{Connection, OptionalExtension, Row};

use super::DIGEST_KIND;
use super::damage::{DamagedItem, items_without};
use super::pack_path;
use super::recovery::unnamed_packs;
use super::rows::digest_at;
use crate::base::Digest;
use crate::chunk::{
    Found, ItemName, PackHeader, PackId, PackScan, ReadAt, RecordHeader, RecordKind,
    read_pack_header,
};
use crate::store::archive::Archive;
use crate::store::error::ReadError;
use crate::store::file_system::{ReadFile, RealFileSystem};
use crate::store::reader::Reader;

/// After so many bytes there is a pause: others read and write meanwhile.
const PAUSE_BYTES: u64 = 1 << 20;

/// What reading packs again has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacksReport {
    /// Packs that were read.
    pub packs: u64,
    /// Chunks whose bytes are what they were.
    pub chunks_sound: u64,
    /// Bytes of all payloads that are what they were.
    pub bytes_sound: u64,
    /// Chunks whose bytes are not, in the order of their packs.
    pub damaged: Vec<DamagedChunk>,
    /// Records that only a rebuild of the index needs and that are not what they were.
    pub records_damaged: Vec<DamagedRecord>,
    /// Chunks that were found damaged before, and still are.
    pub quarantined: u64,
    /// Imported files that lack what is damaged, found before or now.
    pub items: Vec<DamagedItem>,
    /// Packs that the index does not name: of an import that a crash ended, or one that goes on right now.
    pub unnamed: Vec<PathBuf>,
    /// Chunks that were found damaged before and read well again.
    pub(in crate::store) recovered: Vec<DamagedChunk>,
}

/// A chunk that cannot be given out any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedChunk {
    /// Its key in the index.
    pub(in crate::store) key: i64,
    /// The key and the name of its pack.
    pub(in crate::store) pack: (i64, PackId),
    /// The pack.
    pub path: PathBuf,
    /// Where in the pack its record starts.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u32,
    /// What is wrong.
    pub what: String,
}

/// A record that the index can do without as long as it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRecord {
    /// The key and the name of its pack.
    pub(in crate::store) pack: (i64, PackId),
    pub(in crate::store) of: RecordOf,
    /// The pack.
    pub path: PathBuf,
    /// Where in the pack it starts.
    pub offset: u64,
    /// What it is, and what is wrong.
    pub what: String,
}

/// What a record is, by its row's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum RecordOf {
    /// The pack's own header.
    Header,
    /// The header before a chunk.
    Chunk(i64),
    List(i64),
    Item(i64),
    Tombstones,
}

impl PacksReport {
    /// Whether nothing was found that had not been found before.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.records_damaged.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.packs += other.packs;
        self.chunks_sound += other.chunks_sound;
        self.bytes_sound += other.bytes_sound;
        self.damaged.extend(other.damaged);
        self.records_damaged.extend(other.records_damaged);
        self.quarantined += other.quarantined;
        self.recovered.extend(other.recovered);
    }
}

/// A pack's file.
pub(in crate::store) struct OpenedPack {
    pub(in crate::store) file: Box<dyn ReadAt>,
    pub(in crate::store) bytes: u64,
}

/// How packs are opened. Tests put a disk behind it that fails.
pub(in crate::store) type OpenPack<'a> = &'a dyn Fn(&Path) -> io::Result<OpenedPack>;

/// Opens a pack for reading.
pub(in crate::store) fn open_pack(path: &Path) -> io::Result<OpenedPack> {
    let file = File::open(path)?;
    Ok(OpenedPack {
        bytes: file.metadata()?.len(),
        file: Box::new(ReadFile(file)),
    })
}

/// A pack with the records in it that count, by their places.
pub(in crate::store) struct PackToRead {
    pub(in crate::store) row: i64,
    id: PackId,
    /// Where its last committed record ends.
    pub(in crate::store) bytes: u64,
    graves: bool,
    pub(in crate::store) path: PathBuf,
    records: Vec<Expected>,
}

/// A record as the index knows it.
struct Expected {
    offset: u64,
    bytes: u32,
    of: Of,
}

enum Of {
    Chunk {
        key: i64,
        digest: Option<Digest>,
        damaged: bool,
    },
    List(i64, ItemName),
    Item(i64, ItemName),
}

impl Of {
    fn kind(&self) -> RecordKind {
        match self {
            Self::Chunk { .. } => RecordKind::Chunk,
            Self::List(..) => RecordKind::ItemChunks,
            Self::Item(..) => RecordKind::Item,
        }
    }
}

/// The next pack behind one; `None` behind the last.
pub(in crate::store) fn pack_after(
    connection: &Connection,
    dir: &Path,
    after: i64,
) -> rusqlite::Result<Option<PackToRead>> {
    let pack = connection
        .prepare_cached(
            "SELECT id, name, bytes, graves FROM pack WHERE id > ? ORDER BY id LIMIT 1",
        )?
        .query_row([after], |row| {
            let id = PackId(row.get(1)?);
            Ok(PackToRead {
                row: row.get(0)?,
                id,
                bytes: row.get(2)?,
                graves: row.get(3)?,
                path: pack_path(dir, id),
                records: Vec::new(),
            })
        })
        .optional()?;
    let Some(mut pack) = pack else {
        return Ok(None);
    };
    let name = |row: &Row<'_>| -> rusqlite::Result<ItemName> {
        let name: String = row.get(2)?;
        Ok(name
            .parse()
            .unwrap_or_else(|_| "?".parse().expect("a question mark is a name")))
    };
    let mut add = |sql: &str, of: &dyn Fn(&Row<'_>) -> rusqlite::Result<Of>| {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([pack.row])?;
        while let Some(row) = rows.next()? {
            pack.records.push(Expected {
                offset: row.get(0)?,
                bytes: row.get(1)?,
                of: of(row)?,
            });
        }
        Ok::<_, rusqlite::Error>(())
    };
    add(
        "SELECT offset, bytes, id, digest, damaged > 0 FROM chunk WHERE pack = ?",
        &|row| {
            Ok(Of::Chunk {
                key: row.get(2)?,
                digest: digest_at(row, 3)?,
                damaged: row.get(4)?,
            })
        },
    )?;
    add(
        "SELECT item_list.offset, item_list.record_bytes, item.name, item_list.id
         FROM item_list JOIN item ON item.id = item_list.item WHERE item_list.pack = ?",
        &|row| Ok(Of::List(row.get(3)?, name(row)?)),
    )?;
    add(
        "SELECT offset, record_bytes, name, id FROM item WHERE pack = ?",
        &|row| Ok(Of::Item(row.get(3)?, name(row)?)),
    )?;
    pack.records.sort_by_key(|record| record.offset);
    Ok(Some(pack))
}

/// Reads a pack and compares it with its rows. `None` if `pause`, called after each MiB or so, says to break off. Fails
/// if it cannot be opened for a reason that says nothing about the disk.
pub(in crate::store) fn verify_pack(
    pack: &PackToRead,
    open: OpenPack<'_>,
    pause: &dyn Fn() -> bool,
) -> Result<Option<PacksReport>, ReadError> {
    let opened = match open(&pack.path) {
        Ok(opened) => Ok(opened),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("the file is gone".to_owned()),
        Err(error) if is_disk_error(&error) => Err(error.to_string()),
        Err(cause) => {
            let path = pack.path.clone();
            return Err(ReadError::Io { path, cause });
        }
    };
    let mut found = Finding {
        pack,
        report: PacksReport {
            packs: 1,
            ..PacksReport::default()
        },
    };
    if let Ok(opened) = &opened {
        found.check_header(opened);
    }
    if pack.graves {
        match &opened {
            Ok(opened) => found.check_tombstones(opened),
            Err(what) => found.tombstones_lost(0, what),
        }
        return Ok(Some(found.report));
    }
    let mut since_pause = 0;
    for record in &pack.records {
        match &opened {
            Ok(opened) => found.check(opened, record),
            Err(what) => found.lost(record, what),
        }
        since_pause += u64::from(record.bytes);
        if since_pause >= PAUSE_BYTES {
            since_pause = 0;
            if pause() {
                return Ok(None);
            }
        }
    }
    Ok(Some(found.report))
}

fn is_disk_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EIO as i32)
}

/// What an error of reading means for what was to be read.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the file ends early".to_owned(),
        _ => error.to_string(),
    }
}

/// One pack, and what was found in it so far.
struct Finding<'a> {
    pack: &'a PackToRead,
    report: PacksReport,
}

impl Finding<'_> {
    fn expected_header(&self) -> PackHeader {
        PackHeader {
            id: self.pack.id,
            digest_kind: DIGEST_KIND,
        }
    }

    fn check_header(&mut self, opened: &OpenedPack) {
        let what = match read_pack_header(&*opened.file, opened.bytes) {
            Ok(header) if header == self.expected_header() => return,
            Ok(_) => "it is another pack's".to_owned(),
            Err(error) => error.to_string(),
        };
        self.record(
            RecordOf::Header,
            0,
            format!("the header of the pack: {what}"),
        );
    }

    fn check_tombstones(&mut self, opened: &OpenedPack) {
        let end = self.pack.bytes.min(opened.bytes);
        if end < self.pack.bytes {
            self.tombstones_lost(end, "the file ends early");
        }
        for found in PackScan::new(&*opened.file, end, self.expected_header()) {
            match found {
                Ok(Found::Record(record)) => match record.load_payload(&*opened.file) {
                    Ok(Some(payload)) => self.report.bytes_sound += payload.len() as u64,
                    Ok(None) => self.tombstones_lost(record.offset, "digest mismatch"),
                    Err(error) => self.tombstones_lost(record.offset, &told(&error)),
                },
                Ok(Found::Unreadable(range)) => {
                    self.tombstones_lost(range.start, "its header is damaged");
                }
                Err(error) => self.tombstones_lost(0, &told(&error)),
            }
        }
    }

    /// Reads one record. The payload by itself: its header's sector may be the one that cannot be read.
    fn check(&mut self, opened: &OpenedPack, record: &Expected) {
        let header_bytes = RecordHeader::bytes_count(DIGEST_KIND);
        let header = read(opened, record.offset, header_bytes)
            .map_err(|error| told(&error))
            .and_then(|bytes| {
                RecordHeader::decode(&bytes, &self.expected_header(), record.offset)
                    .filter(|header| {
                        header.kind == record.of.kind() && header.payload_bytes == record.bytes
                    })
                    .ok_or_else(|| "its header is damaged".to_owned())
            });
        let known = match &record.of {
            Of::Chunk { digest, .. } => *digest,
            _ => header.as_ref().ok().map(|header| header.digest),
        };
        let start = record.offset + header_bytes as u64;
        let payload = read(opened, start, record.bytes as usize)
            .map_err(|error| told(&error))
            .and_then(|payload| match known {
                Some(digest) if digest.kind().digest(&payload) == digest => Ok(digest),
                _ => Err("digest mismatch".to_owned()),
            });
        let digest = match payload {
            Ok(digest) => digest,
            Err(what) => return self.lost(record, &header.err().unwrap_or(what)),
        };
        self.report.bytes_sound += u64::from(record.bytes);
        if let Of::Chunk { key, damaged, .. } = record.of {
            self.report.chunks_sound += 1;
            if damaged {
                let recovered = self.chunk(key, record, "");
                self.report.recovered.push(recovered);
            }
        }
        match header {
            Ok(header) if header.digest == digest => {}
            Ok(_) => self.header_lost(record, "its header is another chunk's"),
            Err(what) => self.header_lost(record, &what),
        }
    }

    /// A record's payload is not what it was.
    fn lost(&mut self, record: &Expected, what: &str) {
        match &record.of {
            Of::Chunk { damaged: true, .. } => self.report.quarantined += 1,
            Of::Chunk { key, .. } => {
                let chunk = self.chunk(*key, record, what);
                self.report.damaged.push(chunk);
            }
            Of::List(..) | Of::Item(..) => self.header_lost(record, what),
        }
    }

    /// The index does without the record, and a rebuild could not.
    fn header_lost(&mut self, record: &Expected, what: &str) {
        let (of, what) = match &record.of {
            Of::Chunk { key, .. } => (RecordOf::Chunk(*key), format!("a chunk: {what}")),
            Of::List(row, name) => {
                let what = format!("a list of the chunks of {name}: {what}");
                (RecordOf::List(*row), what)
            }
            Of::Item(row, name) => {
                let what = format!("what is known of {name}: {what}");
                (RecordOf::Item(*row), what)
            }
        };
        self.record(of, record.offset, what);
    }

    fn tombstones_lost(&mut self, offset: u64, what: &str) {
        let what = format!("a list of what was deleted: {what}");
        self.record(RecordOf::Tombstones, offset, what);
    }

    fn record(&mut self, of: RecordOf, offset: u64, what: String) {
        self.report.records_damaged.push(DamagedRecord {
            pack: (self.pack.row, self.pack.id),
            of,
            path: self.pack.path.clone(),
            offset,
            what,
        });
    }

    fn chunk(&self, key: i64, record: &Expected, what: &str) -> DamagedChunk {
        DamagedChunk {
            key,
            pack: (self.pack.row, self.pack.id),
            path: self.pack.path.clone(),
            offset: record.offset,
            bytes: record.bytes,
            what: what.to_owned(),
        }
    }
}

fn read(opened: &OpenedPack, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    // A damaged row asks for no more memory than the file has bytes.
    let end = offset.checked_add(count as u64);
    if end.is_none_or(|end| end > opened.bytes) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; count];
    opened.file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Takes out of a report what was removed, or stored elsewhere, while the pack was read.
pub(in crate::store) fn forget_removed(
    connection: &Connection,
    dir: &Path,
    pack: &PackToRead,
    report: &mut PacksReport,
) -> rusqlite::Result<()> {
    if report.is_sound() {
        return Ok(());
    }
    let now = pack_after(connection, dir, pack.row - 1)?.filter(|now| now.id == pack.id);
    let Some(now) = now else {
        report.damaged.clear();
        report.records_damaged.clear();
        return Ok(());
    };
    let offsets: BTreeSet<u64> = now.records.iter().map(|record| record.offset).collect();
    report
        .damaged
        .retain(|chunk| offsets.contains(&chunk.offset));
    report
        .records_damaged
        .retain(|record| pack.graves || record.offset == 0 || offsets.contains(&record.offset));
    Ok(())
}

/// Bytes of the packs behind one.
pub(in crate::store) fn pack_bytes_behind(
    connection: &Connection,
    after: i64,
) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT coalesce(sum(bytes), 0) FROM pack WHERE id > ?",
        [after],
        |row| row.get(0),
    )
}

impl Archive {
    /// Reads every record of every pack again and compares it with the index; `progress` is told the bytes of packs
    /// read so far and how many there are. What is removed meanwhile is no damage.
    pub fn verify_packs(&self, progress: impl FnMut(u64, u64)) -> Result<PacksReport, ReadError> {
        let mut report = read_packs(self.dir(), self.reader(), &open_pack, progress)?;
        let lost = self.reader().read(|connection| {
            let mut lost = connection.prepare("SELECT id FROM chunk WHERE damaged > 0")?;
            let lost = lost.query_map((), |row| row.get(0))?;
            Ok(lost.collect::<Result<Vec<i64>, _>>()?)
        })?;
        let recovered: BTreeSet<i64> = report.recovered.iter().map(|chunk| chunk.key).collect();
        let found = report.damaged.iter().map(|chunk| chunk.key);
        let lost: BTreeSet<i64> = lost.into_iter().chain(found).collect();
        let lost = &lost - &recovered;
        // Some lie in no pack that could have been read.
        report.quarantined = (lost.len() - report.damaged.len()) as u64;
        report.items = items_without(self.reader(), &lost)?;
        Ok(report)
    }
}

/// Reads all packs.
pub(in crate::store) fn read_packs(
    dir: &Path,
    reader: &Reader,
    open: OpenPack<'_>,
    mut progress: impl FnMut(u64, u64),
) -> Result<PacksReport, ReadError> {
    let mut report = PacksReport::default();
    let total = reader.read(|connection| Ok(pack_bytes_behind(connection, 0)?))?;
    let (mut after, mut done) = (0, 0);
    while let Some(pack) = reader.read(|connection| Ok(pack_after(connection, dir, after)?))? {
        after = pack.row;
        if let Some(mut found) = verify_pack(&pack, open, &|| false)? {
            reader.read(|connection| Ok(forget_removed(connection, dir, &pack, &mut found)?))?;
            report.add(found);
        }
        done += pack.bytes;
        progress(done.min(total), total);
    }
    let unnamed = reader.read(|connection| {
        unnamed_packs(dir, &RealFileSystem, connection).map_err(|error| ReadError::Io {
            path: dir.to_owned(),
            cause: io::Error::other(error.to_string()),
        })
    })?;
    report.unnamed = unnamed.into_iter().map(|id| pack_path(dir, id)).collect();
    Ok(report)
}
