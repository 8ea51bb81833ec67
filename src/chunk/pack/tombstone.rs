//! What was deleted, by its place.

use super::PAYLOAD_BYTES_MAX;
use super::record::PackId;
use crate::base::{FieldReader, FieldWriter};

const TOMBSTONE_BYTES: usize = 24;

/// So many fit into one record.
pub const TOMBSTONES_MAX: usize = PAYLOAD_BYTES_MAX as usize / TOMBSTONE_BYTES;

/// A record that counts no longer. Its place is never used again, so the same bytes may be stored anew elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tombstone {
    /// The pack it lies in, which need not be the one that says so.
    pub pack: PackId,
    /// Offset of its header there.
    pub offset: u64,
}

/// Lays at most [`TOMBSTONES_MAX`] tombstones out as the payload of a record.
pub fn encode_tombstones(tombstones: &[Tombstone]) -> Vec<u8> {
    assert!(
        tombstones.len() <= TOMBSTONES_MAX,
        "more are split over records by whoever makes them"
    );
    let mut fields = FieldWriter(Vec::with_capacity(tombstones.len() * TOMBSTONE_BYTES));
    for tombstone in tombstones {
        fields.raw(&tombstone.pack.0);
        fields.u64(tombstone.offset);
    }
    fields.0
}

/// Reads the payload of a record back; `None` if it is none of tombstones.
pub fn decode_tombstones(payload: &[u8]) -> Option<Vec<Tombstone>> {
    let mut fields = FieldReader(payload);
    let mut tombstones = Vec::with_capacity(payload.len() / TOMBSTONE_BYTES);
    while !fields.0.is_empty() {
        tombstones.push(Tombstone {
            pack: PackId(fields.array()?),
            offset: fields.u64()?,
        });
    }
    Some(tombstones)
}
