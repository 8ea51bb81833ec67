//! Packs after a start: each that is open is cut back to its last committed record and written on, and what no row
//! names is removed. Looks only at open packs and at the names of the others.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::DIGEST_KIND;
use super::pack_writer::PackWriter;
use super::packs::Packs;
use super::{IMPORTS_MAX, PACK_FOLDER, pack_of_name, pack_path};
use crate::chunk::{
    Found, Item, ItemId, PackHeader, PackId, PackScan, ReadAt, RecordKind, read_pack_header,
};
use crate::store::OpenError;
use crate::store::file_system::{FileSystem, StoredFile};
use crate::store::patience::{Patience, Sparing};

/// Packs without a row that a crash may leave: for each import one that is being committed and one that is being
/// filled, one of tombstones, and as many that an earlier failure of the disk did not let go. More of them are nobody's
/// loss if none holds an item, or can hold one.
const UNNAMED_MAX: usize = 2 * (2 * IMPORTS_MAX + 1);

/// A pack that was open when the last process ended.
struct Open {
    row: i64,
    id: PackId,
    bytes: u64,
    graves: bool,
}

/// Refuses an index that knows less than a crash can take from it. Changes nothing. An item has its row before its first
/// record is written, and keeps it at least until its last one has a row, or is taken back: one without belongs to a
/// newer index.
pub(in crate::store) fn check_imports_known(
    dir: &Path,
    files: &dyn FileSystem,
    patience: &Patience<'_>,
    connection: &Connection,
) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
    let refuse = |packs| {
        Err(OpenError::ImportsUnknown {
            path: dir.to_owned(),
            packs,
        })
    };
    let unnamed = unnamed_packs(dir, files, connection)?;
    let mut places: Vec<(PackId, u64)> = unnamed.iter().map(|id| (*id, 0)).collect();
    let open = open_packs(connection).map_err(sqlite)?;
    places.extend(open.iter().map(|open| (open.id, open.bytes)));
    let (mut unknown, mut may_hold_item) = (0, false);
    for (id, from) in places {
        let found = items_behind(dir, files, patience, id, from);
        // Of an open one there is a row, so that it is not removed.
        may_hold_item |= from == 0 && found.as_ref().is_none_or(|items| !items.is_empty());
        for item in found.into_iter().flatten().flatten() {
            let is_known = connection
                .prepare_cached("SELECT 1 FROM item WHERE key = ?")
                .and_then(|mut known| known.exists([item.0]))
                .map_err(sqlite)?;
            if !is_known {
                unknown += 1;
                break;
            }
        }
    }
    match unknown {
        0 if unnamed.len() > UNNAMED_MAX && may_hold_item => refuse(unnamed.len()),
        0 => Ok(()),
        packs => refuse(packs),
    }
}

/// Makes packs and rows agree, and takes over the packs that are open.
pub(in crate::store) fn recover_packs(
    dir: &Path,
    files: &dyn FileSystem,
    connection: &Connection,
) -> Result<Packs, OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
    let io = |cause| OpenError::from_io(dir, cause);
    let unnamed = unnamed_packs(dir, files, connection)?;
    for id in &unnamed {
        let path = pack_path(dir, *id);
        let bytes = files.open_file(&path).and_then(|file| file.size()).ok();
        files.remove_file(&path).map_err(io)?;
        tracing::warn!(path = %path.display(), bytes, "removed: a pack of imports of which nothing was committed");
    }
    if !unnamed.is_empty() {
        let synced = files.sync_folder(&dir.join(PACK_FOLDER));
        synced.map_err(|error| io(error.into()))?;
    }
    let (mut idle, mut graves) = (Vec::new(), None);
    for open in open_packs(connection).map_err(sqlite)? {
        match reopen(dir, files, &open) {
            Ok(pack) if open.graves => graves = Some(pack),
            Ok(pack) => idle.push(pack),
            // What can be read of it is read; nothing more is written to it.
            Err(cause) => tracing::warn!(
                path = %pack_path(dir, open.id).display(), %cause,
                "a pack of imports cannot be written to any more; check the disk"
            ),
        }
    }
    Ok(Packs::new(idle, graves))
}

/// The packs that no row names.
pub(super) fn unnamed_packs(
    dir: &Path,
    files: &dyn FileSystem,
    connection: &Connection,
) -> Result<Vec<PackId>, OpenError> {
    let names = files
        .list_folder(&dir.join(PACK_FOLDER))
        .map_err(|cause| OpenError::from_io(dir, cause))?;
    let mut unnamed = Vec::new();
    for name in names {
        let Some(id) = pack_of_name(&name) else {
            continue;
        };
        let path = format!("{PACK_FOLDER}/{name}");
        let named = connection
            .prepare_cached(
                "SELECT 1 FROM pack WHERE name = ?1 UNION ALL SELECT 1 FROM garbage WHERE path = ?2",
            )
            .and_then(|mut known| known.query_row((id.0, path), |_| Ok(())).optional())
            .map_err(|error| OpenError::from_sqlite(dir, &error))?;
        if named.is_none() {
            unnamed.push(id);
        }
    }
    Ok(unnamed)
}

/// The items of which a pack holds the record from `from` on; no id of one that cannot be read. `None` if the pack
/// cannot be read. One that was not even begun is empty.
fn items_behind(
    dir: &Path,
    files: &dyn FileSystem,
    patience: &Patience<'_>,
    id: PackId,
    from: u64,
) -> Option<Vec<Option<ItemId>>> {
    let file = files.open_file(&pack_path(dir, id)).ok()?;
    let size = file.size().ok()?;
    let mut items = Vec::new();
    if size <= from {
        return Some(items);
    }
    let file = Sparing::new(&*file, patience);
    let header = read_pack_header(&file, size).ok()?;
    for found in PackScan::new(&file, size, header) {
        if let Found::Record(record) = found.ok()?
            && record.header.kind == RecordKind::Item
            && record.offset >= from
        {
            let payload = record.load_payload(&file).ok()?;
            let item = payload.and_then(|payload| Item::decode(&payload));
            items.push(item.map(|item| item.id));
        }
    }
    Some(items)
}

fn open_packs(connection: &Connection) -> rusqlite::Result<Vec<Open>> {
    let mut statement = connection
        .prepare("SELECT id, name, bytes, graves FROM pack WHERE open = 1 ORDER BY id")?;
    let rows = statement.query_map((), |row| {
        Ok(Open {
            row: row.get(0)?,
            id: PackId(row.get(1)?),
            bytes: row.get(2)?,
            graves: row.get(3)?,
        })
    })?;
    rows.collect()
}

struct Opened<'a>(&'a dyn StoredFile);

impl ReadAt for Opened<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

fn reopen(dir: &Path, files: &dyn FileSystem, open: &Open) -> std::io::Result<PackWriter> {
    let path = pack_path(dir, open.id);
    let mut file = files.open_file(&path)?;
    let size = file.size()?;
    if size < open.bytes {
        return Err(std::io::Error::other("it is shorter than it was"));
    }
    let header = read_pack_header(&Opened(&*file), size)
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    let expected = PackHeader {
        id: open.id,
        digest_kind: DIGEST_KIND,
    };
    if header != expected {
        return Err(std::io::Error::other("its header is another pack's"));
    }
    // Also where nothing is to be cut: it gives back what was set aside.
    file.truncate(open.bytes)?;
    if size > open.bytes {
        file.sync()?;
        tracing::warn!(
            path = %path.display(), bytes = size - open.bytes,
            "cut off: the end of a pack of imports, which was written, but not committed"
        );
    }
    Ok(PackWriter::reopen(open.row, header, file, path, open.bytes))
}
