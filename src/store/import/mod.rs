//! Imports: files cut into chunks that are stored once, in packs, and the items that they make. Decides what is
//! written, in which order it becomes durable and what may go; `chunk` says where files are cut and how packs look.
//!
//! An import is read and cut by one thread, digested by a second and written by the caller's, while a third makes the
//! pack before durable, so that it takes what two processors can do and waits for the disk only where that is slower.
//! Recording does not wait for it: packs are written here, and only rows, of at most 64 MiB of a file at a time, go
//! through the writer. Packs are written past the system's cache, which halves what the system does for a byte; what is
//! written pushes nothing that others read out of memory.
//!
//! Order of durability: records are appended to a pack; the file is synced, then the folder that names it, then the
//! rows go in, those of one batch after those of the batch before. An item refers to its chunks list by list, also
//! while it is incomplete, so that a kill costs at most what came behind the last transaction, two batches, and nothing
//! that it refers to can go meanwhile. A chunk that was looked up and is gone when the transaction comes is written
//! anew.
//!
//! What nothing refers to any more is noted as dead in the same transaction, and buried afterwards (see `burial`).

mod burial;
mod commit;
mod damage;
mod engine;
mod error;
mod items;
mod pack_writer;
mod packs;
mod pass;
mod pipeline;
mod rebuild;
mod recount;
mod recovery;
mod removal;
mod repair;
mod rows;
mod source;
mod stage;
mod verify;

pub use damage::{Damage, DamagedItem};
pub use engine::{ImportMeta, ImportProgress, Imported, Origin};
pub use error::ImportError;
pub use items::{ItemContent, ItemEntry, ItemPage};
pub use rebuild::{RebuiltImports, rebuild_imports};
pub use recount::{MiscountedChunk, RecountReport};
pub use verify::{DamagedChunk, DamagedRecord, PacksReport};

pub(super) use burial::Buried;
pub(super) use damage::{
    Marked, count_damage, damage_marks, mark_damage, note_traced, replay_damage, tell_damage,
    trace_damage,
};
pub(super) use engine::Imports;
pub(super) use items::{import_sources, imports_within};
pub(super) use recovery::{check_imports_known, recover_packs};
#[cfg(test)]
pub(super) use removal::release_next;
pub(super) use repair::repair_records;
pub(super) use rows::abandon_import;
#[cfg(test)]
pub(super) use verify::{OpenedPack, read_packs};
pub(super) use verify::{
    PackToRead, forget_removed, open_pack, pack_after, pack_bytes_behind, verify_pack,
};

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::base::DigestKind;
use crate::chunk::PackId;

/// How chunks are named, in every pack: what lies in older packs is found again whatever reels are digested with.
const DIGEST_KIND: DigestKind = DigestKind::Blake2b512;

/// Where packs lie, below the data directory.
pub(super) const PACK_FOLDER: &str = "pack";

/// Imports at a time; more wait. Each takes up to 20 MiB of memory, and has two packs without rows at the most.
const IMPORTS_MAX: usize = 4;

/// Where a pack lies.
fn pack_path(dir: &Path, id: PackId) -> PathBuf {
    dir.join(PACK_FOLDER).join(format!("{id}.pack"))
}

/// The pack that a file is named after.
fn pack_of_name(name: &str) -> Option<PackId> {
    let id: PackId = name.strip_suffix(".pack")?.parse().ok()?;
    (format!("{id}.pack") == name).then_some(id)
}

/// A name that nothing else has, from the system's random numbers.
fn random_name() -> io::Result<[u8; 16]> {
    let mut name = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut name)?;
    Ok(name)
}
