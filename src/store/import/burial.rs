//! What becomes of records that count no longer. A pack in which none counts any more is removed whole. Elsewhere a
//! tombstone is made durable, so that no rebuilt index brings the record back, and then its payload is punched out.
//! The notes in the table `dead` are dropped last: a crash anywhere leaves them, and the next time goes on.
//!
//! Tombstones lie in packs of their own, so that they keep no other pack from going; such a pack goes once all packs
//! that it speaks of are gone. A pack that is still open is never removed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rusqlite::{Connection, Transaction, params};

use super::DIGEST_KIND;
use super::engine::{ANSWER_WAIT_MAX, Imports};
use super::error::ImportError;
use super::pack_writer::PackWriter;
use super::pass::append;
use super::rows::{PackState, PlacedAt, write_pack};
use super::{PACK_FOLDER, pack_path};
use crate::chunk::{PackId, RecordHeader, RecordKind, Tombstone, encode_tombstones};
use crate::store::writer::Asker;

/// Records that are buried at a time: half a record of tombstones, a few thousandths of a second of the writer's.
const DEAD_AT_A_TIME: usize = 10_000;

/// What was given back to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Buried {
    /// Packs removed.
    pub(in crate::store) packs: u64,
    /// Payloads punched out of packs that stay.
    pub(in crate::store) records: u64,
    /// Bytes of both.
    pub(in crate::store) bytes: u64,
}

/// A note of the table `dead`.
struct Dead {
    note: i64,
    pack: i64,
    id: PackId,
    place: PlacedAt,
}

impl Imports {
    /// Gives back what is dead. Fails where the disk does; what is left is given back next time.
    pub(in crate::store) fn bury(&self) -> Result<Buried, ImportError> {
        let mut graves = self.packs.graves.lock();
        let graves = graves.as_mut().expect("nothing panics with this lock held");
        let mut buried = Buried::default();
        self.remove_packs(&mut buried)?;
        while self.write_tombstones(graves)? {}
        while self.punch(&mut buried)? {}
        Ok(buried)
    }

    /// Forgets the packs in which nothing counts, and removes their files.
    fn remove_packs(&self, buried: &mut Buried) -> Result<(), ImportError> {
        let forgotten = self.change(|transaction| forget_packs(transaction).map(Some))?;
        let (packs, bytes) = forgotten.unwrap_or_default();
        if packs > 0 {
            buried.packs += packs;
            buried.bytes += bytes;
            self.sweep()?;
        }
        Ok(())
    }

    /// Makes tombstones of the next dead records durable. Returns whether there were any.
    fn write_tombstones(&self, graves: &mut Option<PackWriter>) -> Result<bool, ImportError> {
        let dead = self
            .reader
            .read(|connection| Ok(dead(connection, false)?))?;
        let (Some(first), Some(last)) = (dead.first(), dead.last()) else {
            return Ok(false);
        };
        let notes = (first.note, last.note);
        let about: BTreeSet<i64> = dead.iter().map(|dead| dead.pack).collect();
        let tombstones: Vec<Tombstone> = dead
            .iter()
            .map(|dead| Tombstone {
                pack: dead.id,
                offset: dead.place.offset,
            })
            .collect();
        let mut pack = match graves.take() {
            Some(pack) => pack,
            None => self.create_pack()?,
        };
        let payload = encode_tombstones(&tombstones);
        let outcome = self.commit_tombstones(&mut pack, &payload, about, notes);
        let goes_on = match outcome {
            Ok(open) => open,
            // Whatever its rows say, the next start makes the file agree with them.
            Err(ImportError::Unanswered) => false,
            Err(_) => pack.roll_back(&*self.files),
        };
        *graves = goes_on.then_some(pack);
        outcome.map(|_| true)
    }

    /// Returns whether the pack takes more.
    fn commit_tombstones(
        &self,
        pack: &mut PackWriter,
        tombstones: &[u8],
        about: BTreeSet<i64>,
        (first, last): (i64, i64),
    ) -> Result<bool, ImportError> {
        append(pack, RecordKind::Tombstones, tombstones)?;
        let open = pack.has_room([tombstone_bytes(DEAD_AT_A_TIME)]);
        pack.trim()?;
        pack.sync(&*self.files)?;
        let state = PackState {
            row: pack.row,
            id: pack.header.id,
            end: pack.end(),
            open,
            graves: true,
        };
        let row = self.change(move |transaction| {
            let row = write_pack(transaction, &state)?;
            for about in about {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO grave VALUES (?, ?)")?
                    .execute([row, about])?;
            }
            transaction
                .prepare_cached(
                    "UPDATE dead SET buried = 1 WHERE id BETWEEN ? AND ? AND buried = 0",
                )?
                .execute([first, last])?;
            Ok(Some(row))
        })?;
        if let Some(row) = row {
            pack.note_committed(row);
        }
        Ok(open)
    }

    /// Punches the next buried payloads out of their packs. Returns whether there were any. A pack where the disk fails
    /// keeps no other from its turn.
    fn punch(&self, buried: &mut Buried) -> Result<bool, ImportError> {
        let dead = self.reader.read(|connection| Ok(dead(connection, true)?))?;
        let (Some(first), Some(last)) = (dead.first(), dead.last()) else {
            return Ok(false);
        };
        let (first, last) = (first.note, last.note);
        let mut by_pack: BTreeMap<(i64, PackId), Vec<PlacedAt>> = BTreeMap::new();
        for dead in dead {
            by_pack
                .entry((dead.pack, dead.id))
                .or_default()
                .push(dead.place);
        }
        let (mut punched, mut failed) = (Vec::new(), None);
        for ((row, id), places) in by_pack {
            let bytes: u64 = places.iter().map(|place| u64::from(place.bytes)).sum();
            match self.punch_pack(id, &places) {
                Ok(()) => {
                    buried.records += places.len() as u64;
                    buried.bytes += bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    failed = Some(ImportError::from_disk(&pack_path(&self.dir, id), &error));
                    continue;
                }
            }
            punched.push(row);
        }
        self.change(move |transaction| {
            for pack in punched {
                transaction.execute(
                    "DELETE FROM dead WHERE id BETWEEN ? AND ? AND buried = 1 AND pack = ?",
                    [first, last, pack],
                )?;
            }
            Ok(Some(()))
        })?;
        failed.map_or(Ok(true), Err)
    }

    fn punch_pack(&self, id: PackId, places: &[PlacedAt]) -> io::Result<()> {
        let mut file = self.files.open_file(&pack_path(&self.dir, id))?;
        for place in places.iter().filter(|place| place.bytes > 0) {
            let start = place.offset + RecordHeader::bytes_count(DIGEST_KIND) as u64;
            file.punch(start, u64::from(place.bytes))?;
        }
        // Before the notes go.
        file.sync()
    }

    /// Removes files that are noted as garbage.
    pub(in crate::store) fn sweep(&self) -> Result<(), ImportError> {
        let swept = self
            .writer
            .ask(Asker::Own, ANSWER_WAIT_MAX, |recorder| recorder.sweep());
        swept.unwrap_or_else(|no_answer| Err(no_answer.into()))
    }
}

/// Dead records in packs that stay, by their notes.
fn dead(connection: &Connection, buried: bool) -> rusqlite::Result<Vec<Dead>> {
    let mut statement = connection.prepare_cached(
        "SELECT dead.id, dead.pack, pack.name, dead.offset, dead.bytes
         FROM dead JOIN pack ON pack.id = dead.pack WHERE dead.buried = ? ORDER BY dead.id LIMIT ?",
    )?;
    let rows = statement.query_map(params![buried, DEAD_AT_A_TIME], |row| {
        Ok(Dead {
            note: row.get(0)?,
            pack: row.get(1)?,
            id: PackId(row.get(2)?),
            place: PlacedAt {
                offset: row.get(3)?,
                bytes: row.get(4)?,
            },
        })
    })?;
    rows.collect()
}

/// Forgets packs that take nothing more and in which nothing counts, and packs of tombstones about no pack. Notes
/// their files as garbage. Returns how many, and their bytes. A count alone takes no pack away: were it ever wrong, the
/// rows that name the pack keep it until all is counted again.
fn forget_packs(transaction: &Transaction<'_>) -> rusqlite::Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    // Packs first: with them goes what graves speak of.
    for condition in [
        "graves = 0
         AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.pack = pack.id)
         AND NOT EXISTS (SELECT 1 FROM item_list WHERE item_list.pack = pack.id)
         AND NOT EXISTS (SELECT 1 FROM item WHERE item.pack = pack.id)",
        "graves = 1 AND NOT EXISTS (SELECT 1 FROM grave WHERE grave.pack = pack.id)",
    ] {
        let empty: Vec<(i64, PackId, u64)> = transaction
            .prepare(&format!(
                "SELECT id, name, bytes FROM pack WHERE live = 0 AND open = 0 AND {condition}"
            ))?
            .query_map((), |row| {
                Ok((row.get(0)?, PackId(row.get(1)?), row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        for (row, id, size) in empty {
            let path = format!("{PACK_FOLDER}/{id}.pack");
            transaction.execute("INSERT INTO garbage (path) VALUES (?)", [path])?;
            transaction.execute("DELETE FROM dead WHERE pack = ?", [row])?;
            transaction.execute("DELETE FROM grave WHERE about = ?", [row])?;
            transaction.execute("DELETE FROM pack WHERE id = ?", [row])?;
            (count, bytes) = (count + 1, bytes + size);
        }
    }
    Ok((count, bytes))
}

fn tombstone_bytes(count: usize) -> u32 {
    (count * 24) as u32
}
