//! Uploads as rows of the index. Knows SQL and where files lie, not bytes.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{IDLE_MS, LIFETIME_MS};
use crate::base::Wall;
use crate::store::import::{Origin, abandon_import};
use crate::upload::{Concluded, Metadata, UploadId, UploadKind, UploadState};

/// An upload in one transaction goes with so many at the most.
const FORGET_MAX: u64 = 64;

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadPhase {
    /// More data is to come.
    Receiving,
    /// It has everything. A part waits to be joined, anything else to be imported.
    Complete,
    /// It is an item now, by this name.
    Imported([u8; 16]),
    /// It was not taken, for this reason.
    Refused(String),
}

/// An upload as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its name.
    pub id: UploadId,
    /// What is there of it: what is acknowledged here survives a power cut.
    pub state: UploadState,
    /// How far it is.
    pub phase: UploadPhase,
    /// What the client said of the file.
    pub metadata: Metadata,
    /// The parts that it is joined from, in order.
    pub parts: Vec<UploadId>,
    /// When it was begun.
    pub began: Wall,
    /// When it goes if nothing is added.
    pub expires: Wall,
    pub(super) row: i64,
}

/// A row to be made.
pub(super) struct NewRow<'a> {
    pub(super) id: UploadId,
    pub(super) kind: UploadKind,
    pub(super) length: Option<u64>,
    pub(super) offset: u64,
    pub(super) is_complete: bool,
    pub(super) metadata: &'a Metadata,
    pub(super) began: Wall,
    pub(super) expires: Wall,
}

/// Where an upload's bytes lie.
pub(super) fn part_path(dir: &Path, id: UploadId) -> PathBuf {
    dir.join("up").join(format!("{id}.part"))
}

fn kind_number(kind: UploadKind) -> u8 {
    match kind {
        UploadKind::Single => 0,
        UploadKind::Partial => 1,
        UploadKind::Final => 2,
    }
}

pub(super) fn insert(transaction: &Transaction<'_>, new: &NewRow<'_>) -> rusqlite::Result<i64> {
    transaction.execute(
        "INSERT INTO upload (name, kind, state, length, offset, metadata, began_ms, expires_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            new.id.0,
            kind_number(new.kind),
            u8::from(new.is_complete),
            new.length,
            new.offset,
            new.metadata.as_str(),
            new.began.0,
            new.expires.0
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// Notes the parts of a final upload.
pub(super) fn insert_parts(
    transaction: &Transaction<'_>,
    row: i64,
    parts: &[i64],
) -> rusqlite::Result<()> {
    for (place, part) in parts.iter().enumerate() {
        transaction
            .prepare_cached("INSERT INTO upload_part VALUES (?, ?, ?)")?
            .execute(params![row, place, part])?;
    }
    Ok(())
}

const COLUMNS: &str = "SELECT id, name, kind, state, length, offset, metadata, began_ms, expires_ms, item, reason FROM upload";

/// An upload by its name.
pub(super) fn load(connection: &Connection, id: UploadId) -> rusqlite::Result<Option<Upload>> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE name = ?"))?;
    let found = statement.query_row([id.0], read).optional()?.flatten();
    found
        .map(|upload| with_parts(connection, upload))
        .transpose()
}

/// Every upload, in the order in which they were begun.
pub(super) fn load_all(connection: &Connection) -> rusqlite::Result<Vec<Upload>> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} ORDER BY id"))?;
    let rows = statement.query_map((), read)?;
    rows.filter_map(Result::transpose)
        .map(|upload| with_parts(connection, upload?))
        .collect()
}

/// A row; `None` if it is none that this program wrote.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Upload>> {
    let kind = match row.get(2)? {
        0 => UploadKind::Single,
        1 => UploadKind::Partial,
        2 => UploadKind::Final,
        3u8.. => return Ok(None),
    };
    let state: u8 = row.get(3)?;
    let item: Option<[u8; 16]> = row.get(9)?;
    let reason: Option<String> = row.get(10)?;
    let phase = match (state, item, reason) {
        (0, _, _) => UploadPhase::Receiving,
        (1, _, _) => UploadPhase::Complete,
        (2, Some(item), _) => UploadPhase::Imported(item),
        (3, _, Some(reason)) => UploadPhase::Refused(reason),
        _ => return Ok(None),
    };
    let metadata: String = row.get(6)?;
    Ok(Some(Upload {
        id: UploadId(row.get(1)?),
        state: UploadState {
            kind,
            length: row.get(4)?,
            offset: row.get(5)?,
            is_complete: phase != UploadPhase::Receiving,
        },
        phase,
        metadata: Metadata::parse(&metadata).unwrap_or_default(),
        parts: Vec::new(),
        began: Wall(row.get(7)?),
        expires: Wall(row.get(8)?),
        row: row.get(0)?,
    }))
}

fn with_parts(connection: &Connection, mut upload: Upload) -> rusqlite::Result<Upload> {
    if upload.state.kind == UploadKind::Final {
        let mut statement = connection.prepare_cached(
            "SELECT upload.name FROM upload_part JOIN upload ON upload.id = upload_part.part
             WHERE upload_part.final = ? ORDER BY upload_part.place",
        )?;
        let names = statement.query_map([upload.row], |row| Ok(UploadId(row.get(0)?)))?;
        upload.parts = names.collect::<rusqlite::Result<_>>()?;
    }
    Ok(upload)
}

/// How many uploads are under way or wait.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM upload WHERE state < 2", (), |row| {
        row.get(0)
    })
}

/// Bytes that uploads are yet to bring, as far as they say, and those of the copies in packs that they become. Those
/// of which nothing came for an hour are not counted: they may find the disk full when they go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promised {
    /// Of uploads of which something came.
    pub(super) begun: u64,
    /// Of those of which nothing came yet.
    pub(super) announced: u64,
}

impl Promised {
    /// What of `room` is not for others. Announcing costs nothing, so that announcements set at most half of what is
    /// left aside.
    pub(super) fn bytes_set_aside(&self, room: u64) -> u64 {
        let left = room.saturating_sub(self.begun);
        self.begun.saturating_add(self.announced.min(left / 2))
    }
}

/// What is promised at this time.
pub(super) fn promised(connection: &Connection, now: Wall) -> rusqlite::Result<Promised> {
    let active_until = now.plus_ms(LIFETIME_MS - IDLE_MS);
    connection.query_row(
        "SELECT coalesce(sum(CASE WHEN offset > 0 THEN bytes END), 0),
                coalesce(sum(CASE WHEN offset = 0 THEN bytes END), 0)
         FROM (SELECT offset, 2 * max(coalesce(length, 0), offset) - offset AS bytes FROM upload
               WHERE kind <> 2 AND (state = 1 OR state = 0 AND (offset = 0 OR expires_ms > ?)))",
        [active_until.0],
        |row| {
            Ok(Promised {
                begun: row.get(0)?,
                announced: row.get(1)?,
            })
        },
    )
}

/// Moves an upload on from `from`, where it was when its data was admitted, to `to`. Only what adds to it prolongs its
/// life. Returns whether it still was there.
pub(super) fn advance(
    transaction: &Transaction<'_>,
    row: i64,
    (from, to): (u64, u64),
    concluded: Concluded,
    expires: Wall,
) -> rusqlite::Result<bool> {
    let changed = transaction
        .prepare_cached(
            "UPDATE upload SET offset = ?3, length = ?4, state = ?5,
                    expires_ms = CASE WHEN ?3 > ?2 OR ?5 = 1 THEN ?6 ELSE expires_ms END
             WHERE id = ?1 AND offset = ?2 AND state IN (0, ?5)",
        )?
        .execute(params![
            row,
            from,
            to,
            concluded.length,
            u8::from(concluded.is_complete),
            expires.0
        ])?;
    Ok(changed > 0)
}

/// Says that an upload has everything.
pub(super) fn complete(transaction: &Transaction<'_>, upload: &Upload) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE upload SET state = 1 WHERE id = ? AND state = 0",
        [upload.row],
    )?;
    Ok(())
}

/// The upload that waits longest to be imported, of those behind the row `after`.
pub(super) fn next_to_import(
    connection: &Connection,
    after: i64,
) -> rusqlite::Result<Option<Upload>> {
    let mut statement = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE state = 1 AND kind <> 1 AND id > ? ORDER BY id LIMIT 1"
    ))?;
    let found = statement.query_row([after], read).optional()?.flatten();
    found
        .map(|upload| with_parts(connection, upload))
        .transpose()
}

/// The item that was made of an upload, by how the item names its origin.
pub(super) fn item_made(
    connection: &Connection,
    origin: &str,
) -> rusqlite::Result<Option<[u8; 16]>> {
    connection
        .prepare_cached("SELECT key FROM item WHERE origin = ? AND digest IS NOT NULL")?
        .query_row([origin], |row| row.get(0))
        .optional()
}

/// Says that an upload is an item now, and lets its bytes go, and those of its parts that no other file needs.
pub(super) fn imported(
    transaction: &Transaction<'_>,
    upload: &Upload,
    item: [u8; 16],
) -> rusqlite::Result<()> {
    let changed = transaction.execute(
        "UPDATE upload SET state = 2, item = ? WHERE id = ? AND state = 1",
        params![item, upload.row],
    )?;
    if changed > 0 {
        end(transaction, upload)?;
    }
    Ok(())
}

/// Lets an upload's bytes go, and those of its parts that no other file needs.
fn end(transaction: &Transaction<'_>, upload: &Upload) -> rusqlite::Result<()> {
    release(transaction, upload)?;
    for &part in &upload.parts {
        if let Some(part) = load(transaction, part)?
            && !is_held(transaction, part.row)?
        {
            remove(transaction, &part)?;
        }
    }
    Ok(())
}

/// Whether a file that is being made holds an upload as a part.
pub(super) fn is_held(connection: &Connection, row: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM upload_part WHERE part = ?")?
        .exists([row])
}

/// Says that an upload was not taken, and lets its bytes go.
pub(super) fn refuse(
    transaction: &Transaction<'_>,
    upload: &Upload,
    reason: &str,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE upload SET state = 3, reason = ? WHERE id = ?",
        params![reason, upload.row],
    )?;
    end(transaction, upload)
}

/// Forgets an upload that nothing holds.
pub(super) fn remove(transaction: &Transaction<'_>, upload: &Upload) -> rusqlite::Result<()> {
    release(transaction, upload)?;
    transaction.execute("DELETE FROM upload WHERE id = ?", [upload.row])?;
    Ok(())
}

/// Notes an upload's file to be removed, and lets go of what was imported of it so far. Parts of a file go by
/// themselves.
fn release(transaction: &Transaction<'_>, upload: &Upload) -> rusqlite::Result<()> {
    abandon_import(transaction, &Origin::Upload(upload.id.to_string()).text())?;
    transaction.execute("DELETE FROM upload_part WHERE final = ?", [upload.row])?;
    if upload.state.kind != UploadKind::Final {
        let path = part_path(Path::new(""), upload.id);
        transaction.execute("INSERT INTO garbage (path) VALUES (?)", [path.to_str()])?;
    }
    Ok(())
}

/// Uploads to which nothing was added for too long, and what is told of those that ended. What waits to be imported
/// stays, and parts as long as a file that is being made holds them.
pub(super) fn expired(connection: &Connection, now: Wall) -> rusqlite::Result<Vec<Upload>> {
    let mut statement = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE expires_ms <= ?1 AND NOT (state = 1 AND kind <> 1)
         AND NOT EXISTS (SELECT 1 FROM upload_part WHERE part = upload.id) ORDER BY expires_ms LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![now.0, FORGET_MAX], read)?;
    rows.filter_map(Result::transpose).collect()
}
