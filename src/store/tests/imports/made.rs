//! Files that tests import, and what they look at afterwards.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::chunk::{ItemId, ItemSource};
use crate::store::{ImportError, ImportMeta, Imported, Origin, Store};

/// Noise that is the same each time (xorshift64).
pub(super) fn noise(seed: u64, bytes_count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut words = Vec::with_capacity(bytes_count + 8);
    while words.len() < bytes_count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words.extend(state.to_le_bytes());
    }
    words.truncate(bytes_count);
    words
}

/// Writes a file to be imported.
pub(super) fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    File::create(&path).unwrap().write_all(bytes).unwrap();
    path
}

pub(super) fn meta(path: &Path) -> ImportMeta {
    ImportMeta {
        name: path.file_name().unwrap().to_str().unwrap().parse().unwrap(),
        source: ItemSource::Import,
        camera: None,
        at: None,
        origin: Origin::Path(path.to_owned()),
    }
}

pub(super) fn try_import(store: &Store, path: &Path) -> Result<Imported, ImportError> {
    store.import(File::open(path).unwrap(), &meta(path), |_| {})
}

pub(super) fn import(store: &Store, path: &Path) -> Imported {
    try_import(store, path).unwrap()
}

/// All bytes of an item.
pub(super) fn content(store: &Store, id: ItemId) -> Vec<u8> {
    let mut content = store.open_item(id).unwrap().expect("there is such an item");
    let mut bytes = Vec::new();
    while let Some(more) = content.load_from(bytes.len() as u64).unwrap() {
        bytes.extend_from_slice(&more);
    }
    bytes
}

/// The packs of a directory.
pub(super) fn packs(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("pack")).into_iter().flatten();
    let mut packs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    packs.sort();
    packs
}

/// What the packs take on the disk.
pub(super) fn pack_bytes_on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let blocks = packs(dir)
        .into_iter()
        .map(|path| path.metadata().unwrap().blocks());
    blocks.sum::<u64>() * 512
}

pub(super) fn index(dir: &Path) -> Connection {
    Connection::open(dir.join("db/index.db")).unwrap()
}

pub(super) fn number(dir: &Path, sql: &str) -> i64 {
    index(dir).query_row(sql, (), |row| row.get(0)).unwrap()
}

/// Rows agree with each other and with the packs: every count is right, every record lies where its row says, every
/// pack has a row and every row its pack, no longer than it says once it is closed.
pub(super) fn check_imports(dir: &Path) {
    for (what, sql) in [
        (
            "chunks with a wrong count",
            "SELECT count(*) FROM chunk WHERE refs < 1",
        ),
        (
            "packs with a wrong count",
            "SELECT count(*) FROM pack WHERE live <> (SELECT count(*) FROM chunk WHERE chunk.pack = pack.id)
             + (SELECT count(*) FROM item_list WHERE item_list.pack = pack.id)
             + (SELECT count(*) FROM item WHERE item.pack = pack.id)",
        ),
        (
            "chunks that are stored twice",
            "SELECT count(*) - count(DISTINCT digest) FROM chunk",
        ),
        (
            "sums of sources that are wrong",
            "SELECT count(*) FROM source WHERE unique_bytes <>
                 (SELECT coalesce(sum(bytes), 0) FROM chunk WHERE chunk.source = source.id AND pack > 0)
             OR logical_bytes <> (SELECT coalesce(sum(progress), 0) FROM item
                 WHERE item.source = source.id AND (digest IS NOT NULL OR origin <> ''))",
        ),
        (
            "dead records that count",
            "SELECT count(*) FROM dead JOIN chunk ON chunk.pack = dead.pack AND chunk.offset = dead.offset",
        ),
    ] {
        assert_eq!(number(dir, sql), 0, "{what}");
    }
    let index = index(dir);
    let named: Vec<(String, u64)> = index
        .prepare("SELECT lower(hex(name)) || '.pack', bytes FROM pack ORDER BY name")
        .unwrap()
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let garbage = number(dir, "SELECT count(*) FROM garbage");
    let found: Vec<(String, u64)> = packs(dir)
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, path.metadata().unwrap().len())
        })
        .collect();
    if garbage == 0 {
        assert_eq!(named, found);
    }
}
