//! What fuzzing starts from: small files that these tests can make, kept in `fuzz/seeds`. They also hold the format
//! of packs to what it was: a program that lays out a pack differently fails here.

use std::path::PathBuf;

use super::mp4_file::*;
use super::packs::PackFile;
use crate::base::{DigestKind, Wall};
use crate::chunk::*;

fn item_pack(digest_kind: DigestKind) -> Vec<u8> {
    let mut pack = PackFile::new(7, digest_kind);
    let chunk = pack.append(RecordKind::Chunk, b"all of a file");
    let id = ItemId([8; 16]);
    let list = ItemChunks {
        item: id,
        index: 0,
        chunks: vec![ChunkRef {
            digest: chunk.header.digest,
            bytes_count: 13,
        }],
    };
    pack.append(RecordKind::ItemChunks, &list.encode());
    let item = Item {
        id,
        name: "holiday.mp4".parse().expect("a name"),
        media: MediaKind::Video,
        source: ItemSource::Import,
        made: Wall(1_700_000_060_000),
        camera: Some("front-door".parse().expect("a name")),
        wall_start: Some(Wall(1_700_000_000_000)),
        bytes_count: 13,
        digest: digest_kind.digest(b"all of a file"),
        lists_count: 1,
    };
    let item = pack.append(RecordKind::Item, &item.encode());
    let tombstone = Tombstone {
        pack: pack.header.id,
        offset: item.offset,
    };
    pack.append(RecordKind::Tombstones, &encode_tombstones(&[tombstone]));
    pack.bytes
}

fn seeds() -> [(&'static str, Vec<u8>); 5] {
    let (pictures, sounds) = (pictures(30, 6, 3, 8), sounds(30, 1));
    let layout = |wide| Layout {
        wide,
        pictures_in_run: 2,
        ..Layout::default()
    };
    [
        (
            "mp4_cuts/progressive",
            progressive(&pictures, &sounds, &layout(false)).bytes,
        ),
        (
            "mp4_cuts/wide",
            progressive(&pictures, &sounds, &layout(true)).bytes,
        ),
        (
            "mp4_cuts/fragmented",
            fragmented(&pictures, &sounds, 3).bytes,
        ),
        ("pack_scan/blake2b_256", item_pack(DigestKind::Blake2b256)),
        ("pack_scan/blake2b_512", item_pack(DigestKind::Blake2b512)),
    ]
}

fn path_of(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("fuzz/seeds").join(name)
}

#[test]
fn seeds_are_what_they_were() {
    for (name, bytes) in seeds() {
        let kept = std::fs::read(path_of(name)).expect("`write_seeds` makes it");
        assert!(kept == bytes, "{name} differs");
    }
}

#[test]
#[ignore = "writes fuzz/seeds; for a new kind of seed"]
fn write_seeds() {
    for (name, bytes) in seeds() {
        let path = path_of(name);
        let folder = path.parent().expect("a name has a folder");
        std::fs::create_dir_all(folder).expect("the repository can be written");
        std::fs::write(path, bytes).expect("the repository can be written");
    }
}
