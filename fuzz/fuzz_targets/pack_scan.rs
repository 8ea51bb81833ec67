//! Any bytes as a pack: everything found lies in the file and does not overlap, and payloads that hold are laid out
//! again as they were, and so are headers. The checks of a pack that is damaged on purpose are made to hold again, so
//! that the fuzzer reaches what is behind them.
//! `./scripts/fuzz pack_scan`

#![no_main]

use libfuzzer_sys::fuzz_target;
use perch_fuzz::base::DigestKind;
use perch_fuzz::chunk::{
    Found, Item, ItemChunks, PackHeader, PackId, PackScan, RecordHeader, RecordKind,
    decode_tombstones, encode_tombstones, read_pack_header,
};

/// Whatever scans of a file that claims this header find.
fn scan(bytes: &[u8], header: PackHeader) {
    let bytes_count = bytes.len() as u64;
    let mut offset = PackHeader::BYTES as u64;
    for found in PackScan::new(bytes, bytes_count, header) {
        match found.expect("memory can be read") {
            Found::Record(record) => {
                assert_eq!(record.offset, offset);
                let again = record.header.encode(header.id, offset);
                assert!(bytes[offset as usize..].starts_with(&again));
                assert!(record.payload().end <= bytes_count);
                offset += record.header.record_bytes();
                if let Some(payload) = record.load_payload(bytes).expect("memory can be read") {
                    decode(record.header.kind, &payload);
                }
            }
            Found::Unreadable(range) => {
                assert!(range.start == offset && range.end > offset);
                offset = range.end;
            }
        }
    }
    assert!(offset >= bytes_count);
}

fn decode(kind: RecordKind, payload: &[u8]) {
    let again = match kind {
        RecordKind::Chunk => None,
        RecordKind::ItemChunks => ItemChunks::decode(payload).map(|list| list.encode()),
        RecordKind::Item => Item::decode(payload).map(|item| item.encode()),
        RecordKind::Tombstones => decode_tombstones(payload).map(|dead| encode_tombstones(&dead)),
    };
    assert!(again.is_none_or(|again| again == payload));
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = read_pack_header(bytes, bytes.len() as u64) {
        assert_eq!(bytes[..PackHeader::BYTES], header.encode());
        scan(bytes, header);
    }
    let id = PackId([7; 16]);
    for digest_kind in [DigestKind::Blake2b256, DigestKind::Blake2b512] {
        let header = PackHeader { id, digest_kind };
        if bytes.len() >= PackHeader::BYTES {
            scan(bytes, header);
        }
        let Some((first, payload)) = bytes.split_first() else {
            continue;
        };
        let kinds = [
            RecordKind::Chunk,
            RecordKind::ItemChunks,
            RecordKind::Item,
            RecordKind::Tombstones,
        ];
        let kind = kinds[usize::from(*first) % kinds.len()];
        let mut pack = header.encode().to_vec();
        let record = RecordHeader::of_payload(kind, digest_kind, payload);
        pack.extend(record.encode(id, pack.len() as u64));
        pack.extend(payload);
        pack.extend(record.padding());
        scan(&pack, header);
    }
});
