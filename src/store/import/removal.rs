//! Items that go: an item is gone with the first, short transaction; what it referred to follows list by list, so
//! that no removal keeps the writer from recording. A crash in between leaves an item without an origin, and the next
//! upkeep goes on.

use rusqlite::{OptionalExtension, Transaction, params};

use super::engine::{ANSWER_WAIT_MAX, Imports};
use super::error::ImportError;
use super::rows::{PlacedAt, count_live, count_refs, decode_list, drop_chunk, note_dead};
use crate::chunk::ItemId;
use crate::store::writer::Asker;

/// Takes an item out of sight. `None` if there is no such item.
fn doom_item(transaction: &Transaction<'_>, id: ItemId) -> rusqlite::Result<Option<()>> {
    let row: Option<i64> = transaction
        .prepare_cached(
            "SELECT id FROM item WHERE key = ? AND NOT (digest IS NULL AND origin = '')",
        )?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    let Some(row) = row else {
        return Ok(None);
    };
    let record = transaction
        .prepare_cached(
            "SELECT pack, offset, record_bytes FROM item WHERE id = ? AND pack IS NOT NULL",
        )?
        .query_row([row], |row| {
            let place = PlacedAt {
                offset: row.get(1)?,
                bytes: row.get(2)?,
            };
            Ok((row.get(0)?, place))
        })
        .optional()?;
    if let Some((pack, place)) = record {
        note_dead(transaction, pack, place)?;
        count_live(transaction, pack, -1)?;
    }
    transaction
        .prepare_cached("UPDATE item SET digest = NULL, origin = '', pack = NULL WHERE id = ?")?
        .execute([row])?;
    Ok(Some(()))
}

/// Takes the next list of an item that goes, or at last the item. Returns whether more is left. Somebody else may have
/// taken the item meanwhile, and another one its key: that one stays.
pub(in crate::store) fn release_next(
    transaction: &Transaction<'_>,
    item: i64,
) -> rusqlite::Result<bool> {
    let goes = transaction
        .prepare_cached("SELECT 1 FROM item WHERE id = ? AND origin = '' AND digest IS NULL")?
        .exists([item])?;
    if !goes {
        return Ok(false);
    }
    let list = transaction
        .prepare_cached(
            "SELECT id, chunks, pack, offset, record_bytes FROM item_list WHERE item = ? ORDER BY start LIMIT 1",
        )?
        .query_row([item], |row| {
            let place = PlacedAt {
                offset: row.get(3)?,
                bytes: row.get(4)?,
            };
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, place))
        })
        .optional()?;
    let Some((list, chunks, pack, place)): Option<(i64, Vec<u8>, i64, PlacedAt)> = list else {
        transaction.execute("DELETE FROM item_damage WHERE item = ?", [item])?;
        transaction.execute("DELETE FROM item WHERE id = ?", [item])?;
        return Ok(false);
    };
    for (chunk, count) in count_refs(decode_list(&chunks)) {
        let refs: Option<i64> = transaction
            .prepare_cached("UPDATE chunk SET refs = refs - ? WHERE id = ? RETURNING refs")?
            .query_row(params![count, chunk], |row| row.get(0))
            .optional()?;
        if let Some(refs) = refs
            && refs <= 0
        {
            if refs < 0 {
                tracing::error!(
                    chunk,
                    refs,
                    "a chunk was counted too low; `perch store gc` recounts all"
                );
            }
            drop_chunk(transaction, chunk)?;
        }
    }
    transaction
        .prepare_cached("DELETE FROM item_list WHERE id = ?")?
        .execute([list])?;
    note_dead(transaction, pack, place)?;
    count_live(transaction, pack, -1)?;
    Ok(true)
}

impl Imports {
    /// Removes an item, or one that is not whole; returns whether there was one. What nothing else refers to is given
    /// back to the disk before this returns, unless the disk fails; then it is tried again.
    pub(in crate::store) fn remove(&self, id: ItemId) -> Result<bool, ImportError> {
        let doom = || self.change(move |transaction| doom_item(transaction, id));
        if self.despite_full_disk(doom)?.is_none() {
            return Ok(false);
        }
        self.despite_full_disk(|| {
            self.release_doomed()?;
            self.bury()
        })?;
        Ok(true)
    }

    /// Does a step of a removal; once more without the ballast if the disk is too full for it.
    fn despite_full_disk<T>(
        &self,
        step: impl Fn() -> Result<T, ImportError>,
    ) -> Result<T, ImportError> {
        match step() {
            Err(ImportError::DiskFull(_)) if self.give_up_ballast() => step(),
            outcome => outcome,
        }
    }

    fn give_up_ballast(&self) -> bool {
        let given_up = self.writer.ask(Asker::Own, ANSWER_WAIT_MAX, |recorder| {
            recorder.give_up_ballast()
        });
        given_up == Ok(true)
    }

    /// Lets go of what items on their way out refer to.
    pub(in crate::store) fn release_doomed(&self) -> Result<(), ImportError> {
        let doomed: Vec<i64> = self.reader.read(|connection| {
            let mut doomed =
                connection.prepare("SELECT id FROM item WHERE origin = '' AND digest IS NULL")?;
            let rows = doomed.query_map((), |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        for item in doomed {
            while self.change(move |transaction| release_next(transaction, item).map(Some))?
                == Some(true)
            {}
        }
        Ok(())
    }

    /// Gives up every import that was interrupted and that nobody goes on with right now. Returns how many.
    pub(in crate::store) fn drop_abandoned(&self) -> Result<u64, ImportError> {
        let pending: Vec<([u8; 16], String)> = self.reader.read(|connection| {
            let mut pending = connection
                .prepare("SELECT key, origin FROM item WHERE digest IS NULL AND origin <> ''")?;
            let rows = pending.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let mut dropped = 0;
        for (key, origin) in pending {
            if !self.packs.is_importing(&origin) {
                let doomed = self.change(move |transaction| doom_item(transaction, ItemId(key)))?;
                dropped += u64::from(doomed.is_some());
            }
        }
        self.release_doomed()?;
        Ok(dropped)
    }
}
