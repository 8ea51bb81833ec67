//! Packs: written, read back, cut off, damaged, and rebuilt from.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::base::{DigestKind, Wall};
use crate::chunk::*;

/// A pack being appended to in memory.
pub(super) struct PackFile {
    pub(super) header: PackHeader,
    pub(super) bytes: Vec<u8>,
}

impl PackFile {
    pub(super) fn new(name: u8, digest_kind: DigestKind) -> Self {
        let id = PackId([name; 16]);
        let header = PackHeader { id, digest_kind };
        let bytes = header.encode().to_vec();
        Self { header, bytes }
    }

    /// Appends a record and tells its place.
    pub(super) fn append(&mut self, kind: RecordKind, payload: &[u8]) -> PlacedRecord {
        let offset = self.bytes.len() as u64;
        let header = RecordHeader::of_payload(kind, self.header.digest_kind, payload);
        self.bytes.extend(header.encode(self.header.id, offset));
        self.bytes.extend(payload);
        self.bytes.extend(header.padding());
        assert_eq!(self.bytes.len() as u64, offset + header.record_bytes());
        PlacedRecord { offset, header }
    }

    /// A pack of three chunks, and where they lie.
    fn of_three(digest_kind: DigestKind) -> (Self, [PlacedRecord; 3]) {
        let mut pack = Self::new(1, digest_kind);
        let records = [1, 100, 1000].map(|size| pack.append(RecordKind::Chunk, &noise(1, size)));
        (pack, records)
    }
}

fn scan(bytes: &[u8], header: PackHeader) -> Vec<Found> {
    let scan = PackScan::new(bytes, bytes.len() as u64, header);
    scan.map(|found| found.expect("memory can be read"))
        .collect()
}

fn records_in(found: &[Found]) -> Vec<PlacedRecord> {
    let record = |found: &Found| match found {
        Found::Record(record) => Some(*record),
        Found::Unreadable(_) => None,
    };
    found.iter().filter_map(record).collect()
}

const KINDS: [DigestKind; 2] = [DigestKind::Blake2b256, DigestKind::Blake2b512];

#[test]
fn records_come_back_from_the_file_alone() {
    for kind in KINDS {
        let (pack, records) = PackFile::of_three(kind);
        let read = read_pack_header(&pack.bytes[..], pack.bytes.len() as u64);
        assert_eq!(read.expect("a pack"), pack.header);
        let found = scan(&pack.bytes, pack.header);
        assert_eq!(found, records.map(Found::Record));
        for (record, size) in records.iter().zip([1, 100, 1000]) {
            let payload = record.load_payload(&pack.bytes[..]).expect("readable");
            assert_eq!(payload, Some(noise(1, size)));
        }
    }
}

#[test]
fn an_append_cut_off_anywhere_leaves_the_records_before_it() {
    for kind in KINDS {
        let (pack, records) = PackFile::of_three(kind);
        let header_bytes = PackHeader::BYTES as u64;
        for end in header_bytes..pack.bytes.len() as u64 {
            let found = scan(&pack.bytes[..end as usize], pack.header);
            let whole = records.iter().filter(|record| record.payload().end <= end);
            let whole: Vec<PlacedRecord> = whole.copied().collect();
            assert_eq!(records_in(&found), whole, "cut at {end}");
            let whole_end = whole.last().map_or(header_bytes, |last| {
                last.offset + last.header.record_bytes()
            });
            let tail = (whole_end < end).then_some(Found::Unreadable(whole_end..end));
            assert_eq!(found.get(whole.len()), tail.as_ref());
        }
    }
}

#[test]
fn records_behind_damage_are_found() {
    let (mut pack, [first, second, third]) = PackFile::of_three(DigestKind::Blake2b512);
    pack.bytes[second.offset as usize + 9] ^= 1;
    let found = scan(&pack.bytes, pack.header);
    let lost = Found::Unreadable(second.offset..third.offset);
    assert_eq!(found, [Found::Record(first), lost, Found::Record(third)]);
}

#[test]
fn every_flipped_bit_of_a_header_or_payload_is_noticed() {
    for kind in KINDS {
        let mut pack = PackFile::new(1, kind);
        let record = pack.append(RecordKind::Chunk, b"payload!");
        for index in 0..pack.bytes.len() * 8 {
            let mut bad = pack.bytes.clone();
            bad[index / 8] ^= 1 << (index % 8);
            let header = read_pack_header(&bad[..], bad.len() as u64);
            if index / 8 < PackHeader::BYTES {
                assert!(matches!(
                    header,
                    Err(PackError::NotAPack | PackError::Damaged)
                ));
                // The name of the file still tells the id.
                assert_eq!(scan(&bad, pack.header), [Found::Record(record)]);
            } else if (index / 8) < record.payload().start as usize {
                let end = bad.len() as u64;
                assert_eq!(
                    scan(&bad, pack.header),
                    [Found::Unreadable(record.offset..end)]
                );
            } else {
                let loaded = record.load_payload(&bad[..]).expect("readable");
                assert_eq!(loaded, None);
            }
        }
    }
}

#[test]
fn bytes_that_only_look_like_a_record_are_none() {
    let (other, _) = PackFile::of_three(DigestKind::Blake2b512);
    let mut pack = PackFile::new(2, DigestKind::Blake2b512);
    let first = pack.append(RecordKind::Chunk, &other.bytes);
    // A copy of its own first record, too.
    let copy = pack.bytes[first.offset as usize..].to_vec();
    let second = pack.append(RecordKind::Chunk, &copy);
    for record in [first, second] {
        pack.bytes[record.offset as usize] ^= 1;
    }
    let all = PackHeader::BYTES as u64..pack.bytes.len() as u64;
    assert_eq!(scan(&pack.bytes, pack.header), [Found::Unreadable(all)]);
}

#[test]
fn a_newer_pack_and_other_files_are_refused() {
    let read = |bytes: &[u8]| read_pack_header(bytes, bytes.len() as u64);
    let mut newer = PackFile::new(1, DigestKind::Blake2b512).bytes;
    newer[8] = 2;
    let check = DigestKind::Blake2b512.digest(&newer[..32]);
    newer[32..].copy_from_slice(&check.as_bytes()[..8]);
    assert!(matches!(read(&newer), Err(PackError::Newer(2))));
    for other in [&b""[..], b"perchpak", &[0; 40]] {
        assert!(matches!(read(other), Err(PackError::NotAPack)));
    }
    let id = PackId([0xA5; 16]);
    assert_eq!(id.to_string().parse::<PackId>().expect("hex"), id);
    assert!("a5".parse::<PackId>().is_err());
}

#[test]
fn headers_that_no_program_writes_are_damaged_though_their_checks_hold() {
    let check = |pieces: &[&[u8]]| {
        let check = DigestKind::Blake2b512.digest(&pieces.concat());
        check.as_bytes()[..8].to_vec()
    };
    let mut pack = PackFile::new(1, DigestKind::Blake2b512);
    let record = pack.append(RecordKind::Chunk, b"payload!");
    // The version, of which there was none before the first, and the zero bytes.
    for (at, byte) in [(8, 0), (10, 1), (15, 0x80)] {
        let mut bad = pack.bytes.clone();
        bad[at] = byte;
        let sealed = check(&[&bad[..32]]);
        bad[32..PackHeader::BYTES].copy_from_slice(&sealed);
        let read = read_pack_header(&bad[..], bad.len() as u64);
        assert!(matches!(read, Err(PackError::Damaged)), "{at}: {read:?}");
    }
    let start = record.offset as usize;
    let check_start = record.payload().start as usize - 8;
    let all = Found::Unreadable(record.offset..pack.bytes.len() as u64);
    for at in [5, 7, 12, 15] {
        let mut bad = pack.bytes.clone();
        bad[start + at] = 1;
        let place = record.offset.to_be_bytes();
        let sealed = check(&[&pack.header.id.0, &place, &bad[start..check_start]]);
        bad[check_start..check_start + 8].copy_from_slice(&sealed);
        assert_eq!(scan(&bad, pack.header), std::slice::from_ref(&all), "{at}");
    }
}

#[test]
fn a_pack_has_room_up_to_its_bound() {
    let header = PackFile::new(1, DigestKind::Blake2b512).header;
    assert!(header.has_room(PACK_BYTES_MAX - 88 - 8, 8));
    assert!(!header.has_room(PACK_BYTES_MAX - 88 - 8, 9));
    assert!(!header.has_room(u64::MAX, 0));
}

fn item(name: u8, chunks: &[ChunkRef], lists_count: u32) -> Item {
    Item {
        id: ItemId([name; 16]),
        name: "Geburtstag 🎂.mp4".parse().expect("a name"),
        media: MediaKind::Video,
        source: ItemSource::Upload,
        made: Wall(-2),
        camera: Some("front-door".parse().expect("a name")),
        wall_start: Some(Wall(-1)),
        bytes_count: chunks
            .iter()
            .map(|chunk| u64::from(chunk.bytes_count))
            .sum(),
        digest: DigestKind::Blake2b512.digest(b"all of it"),
        lists_count,
    }
}

fn chunk_refs(count: usize) -> Vec<ChunkRef> {
    let chunk = |index: usize| ChunkRef {
        digest: KINDS[index % 2].digest(&index.to_be_bytes()),
        bytes_count: 16_384 + index as u32,
    };
    (0..count).map(chunk).collect()
}

#[test]
fn items_and_their_lists_come_back() {
    let chunks = chunk_refs(2 * ItemChunks::CHUNKS_MAX + 1);
    let whole = item(1, &chunks, 3);
    assert_eq!(Item::decode(&whole.encode()), Some(whole.clone()));
    let bare = Item {
        camera: None,
        wall_start: None,
        media: MediaKind::Other,
        ..whole.clone()
    };
    assert_eq!(Item::decode(&bare.encode()), Some(bare));
    let runs = chunks.chunks(ItemChunks::CHUNKS_MAX).enumerate();
    let mut lists: Vec<ItemChunks> = runs
        .map(|(index, chunks)| ItemChunks {
            item: whole.id,
            index: index as u32,
            chunks: chunks.to_vec(),
        })
        .collect();
    for list in &lists {
        let payload = list.encode();
        assert!(payload.len() <= PAYLOAD_BYTES_MAX as usize);
        assert_eq!(ItemChunks::decode(&payload).as_ref(), Some(list));
    }
    let stranger = ItemChunks {
        item: ItemId([9; 16]),
        ..lists[0].clone()
    };
    lists.reverse();
    lists.extend([stranger, lists[1].clone()]);
    assert_eq!(join_chunks(&whole, &lists), Some(chunks));
    lists.remove(0);
    assert_eq!(join_chunks(&whole, &lists), None);
    let empty = item(2, &[], 0);
    assert_eq!(join_chunks(&empty, &lists), Some(Vec::new()));
}

#[test]
fn names_that_could_leave_their_folder_are_refused() {
    for bad in ["", ".", "..", "a/b", "a\\b", "a\0", "a\n", &"a".repeat(256)] {
        assert!(bad.parse::<ItemName>().is_err(), "{bad:?}");
    }
    for good in ["a", "...", ".hidden", "Ünicode 日本.mov", &"a".repeat(255)] {
        assert_eq!(good.parse::<ItemName>().expect("a name").as_str(), good);
    }
}

#[test]
fn what_was_deleted_stays_deleted_and_may_be_stored_anew() {
    let mut pack = PackFile::new(1, DigestKind::Blake2b512);
    let bytes = noise(5, 5000);
    let chunk = pack.append(RecordKind::Chunk, &bytes);
    let deleted = pack.append(RecordKind::Item, &item(1, &[], 0).encode());
    let mut later = PackFile::new(2, DigestKind::Blake2b512);
    let tombstones = [chunk, deleted].map(|record| Tombstone {
        pack: pack.header.id,
        offset: record.offset,
    });
    later.append(RecordKind::Tombstones, &encode_tombstones(&tombstones));
    // The payload is punched out of the file, and the same bytes come again.
    let hole = chunk.payload();
    pack.bytes[hole.start as usize..hole.end as usize].fill(0);
    let again = later.append(RecordKind::Chunk, &bytes);

    let mut dead = HashSet::new();
    let mut alive = Vec::new();
    for file in [&pack, &later] {
        for record in records_in(&scan(&file.bytes, file.header)) {
            if record.header.kind == RecordKind::Tombstones {
                let payload = record.load_payload(&file.bytes[..]).expect("readable");
                let payload = payload.expect("whole");
                dead.extend(decode_tombstones(&payload).expect("tombstones"));
            } else {
                alive.push((file.header.id, record));
            }
        }
    }
    alive.retain(|(pack, record)| {
        !dead.contains(&Tombstone {
            pack: *pack,
            offset: record.offset,
        })
    });
    assert_eq!(alive, [(later.header.id, again)]);
    assert_eq!(decode_tombstones(&[0; 23]), None);
}

proptest! {
    #[test]
    fn no_payload_makes_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        // What is read back is laid out as it was.
        if let Some(item) = Item::decode(&bytes) {
            prop_assert_eq!(item.encode(), &bytes[..]);
        }
        if let Some(list) = ItemChunks::decode(&bytes) {
            prop_assert_eq!(list.encode(), &bytes[..]);
        }
        if let Some(tombstones) = decode_tombstones(&bytes) {
            prop_assert_eq!(encode_tombstones(&tombstones), &bytes[..]);
        }
    }

    #[test]
    fn damaged_items_are_none_or_what_their_bytes_say(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = item(1, &chunk_refs(3), 1).encode();
        prop_assert_eq!(Item::decode(&whole[..cut.index(whole.len())]), None);
        let mut bad = whole;
        let place = place.index(bad.len());
        bad[place] = byte;
        if let Some(item) = Item::decode(&bad) {
            prop_assert_eq!(item.encode(), bad);
        }
    }

    #[test]
    fn scan_of_anything_covers_the_file_without_overlap(
        sizes in prop::collection::vec(0usize..700, 0..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut pack = PackFile::new(3, DigestKind::Blake2b256);
        for size in sizes {
            pack.append(RecordKind::Chunk, &noise(size as u64, size));
        }
        let mut bytes = pack.bytes;
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let mut offset = PackHeader::BYTES as u64;
        for found in scan(&bytes, pack.header) {
            offset = match found {
                Found::Record(record) => {
                    prop_assert_eq!(record.offset, offset);
                    prop_assert!(record.payload().end <= bytes.len() as u64);
                    offset + record.header.record_bytes()
                }
                Found::Unreadable(range) => {
                    prop_assert_eq!(range.start, offset);
                    prop_assert!(range.end > range.start);
                    range.end
                }
            };
        }
        prop_assert!(offset >= bytes.len() as u64);
    }
}
