//! What the module promises: chunks that do not depend on how bytes came, cuts that find the media, packs that are
//! read back whatever happened to them, and what all that saves.

mod mp4_cutting;
mod mp4_file;
mod packs;
mod saving;
mod seeds;
mod splitting;

use super::{ChunkSizes, Splitter};

/// Noise that is the same each time (xorshift64).
fn noise(seed: u64, bytes_count: usize) -> Vec<u8> {
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

/// Where the chunks of a file end, fed in pieces of the given sizes, the last of them over and over.
fn ends_in_pieces(bytes: &[u8], sizes: ChunkSizes, cuts: &[u64], pieces: &[usize]) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut splitter = Splitter::new(sizes, cuts.iter().copied());
    let mut rest = bytes;
    let mut pieces = pieces.iter().copied();
    let mut piece = usize::MAX;
    while !rest.is_empty() {
        piece = pieces.next().unwrap_or(piece);
        let (now, later) = rest.split_at(piece.min(rest.len()));
        splitter.feed(now, |end| ends.push(end));
        rest = later;
        if now.is_empty() {
            piece = usize::MAX;
        }
    }
    ends.extend(splitter.finish());
    ends
}

/// Where the chunks of a file end.
fn ends(bytes: &[u8], sizes: ChunkSizes, cuts: &[u64]) -> Vec<u64> {
    ends_in_pieces(bytes, sizes, cuts, &[])
}

/// The chunks themselves.
fn chunks<'a>(bytes: &'a [u8], sizes: ChunkSizes, cuts: &[u64]) -> Vec<&'a [u8]> {
    let mut start = 0;
    let ends = ends(bytes, sizes, cuts).into_iter();
    ends.map(|end| &bytes[std::mem::replace(&mut start, end as usize)..end as usize])
        .collect()
}
