//! Content-defined splitting: FastCDC (Xia et al., "The Design of Fast Content-Defined Chunking for Data
//! Deduplication Based Storage Systems", IEEE TPDS 2020), normalized, restarted wherever the caller forces a cut.
//!
//! The loop is ours, since that of the crate `fastcdc` wants all bytes of a chunk in one piece; table and masks are
//! the crate's, and so are the places of the cuts. Bytes are looked at where they lie, in pieces of any size.

use std::iter::Peekable;

use fastcdc::v2020::{Normalization, get_gear_with_seed, select_masks};

/// How large chunks become, in bytes. All three are even (the masks' peer looks at pairs of bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSizes {
    min: u32,
    average: u32,
    max: u32,
}

impl ChunkSizes {
    /// What imports are split into: at least 16 KiB, 64 KiB on average, at most 256 KiB. To change these is to
    /// share nothing with what was stored before.
    pub const IMPORTS: Self = Self {
        min: 16 << 10,
        average: 64 << 10,
        max: 256 << 10,
    };

    /// Other sizes, all even: 64 ≤ `min` < `average` < `max` ≤ 1 MiB, and 256 ≤ `average`. `None` if they are not.
    pub fn new(min: u32, average: u32, max: u32) -> Option<Self> {
        let even = (min | average | max).is_multiple_of(2);
        let ordered = 64 <= min && min < average && average < max;
        let bounded = 256 <= average && max <= 1 << 20;
        (even && ordered && bounded).then_some(Self { min, average, max })
    }

    /// No chunk is smaller, except one that ends at a forced cut or with the file.
    pub const fn min(self) -> u32 {
        self.min
    }

    /// No chunk is larger.
    pub const fn max(self) -> u32 {
        self.max
    }
}

/// A random word for each value of a byte.
#[derive(Debug)]
struct Gear {
    plain: [u64; 256],
    /// The same words, shifted left by one bit.
    shifted: [u64; 256],
}

impl Gear {
    fn new() -> Self {
        let (plain, shifted) = get_gear_with_seed(0);
        let whole = |words: &[u64]| words.try_into().expect("a word for each value of a byte");
        Self {
            plain: whole(&plain),
            shifted: whole(&shifted),
        }
    }
}

/// Splits one file, fed to it from its first byte on. The chunks depend on the bytes, the sizes and the forced cuts
/// alone, never on the pieces in which the bytes came. Each stretch between two forced cuts is split as if it were a
/// file of its own: a chunk that ends there may be smaller than the minimum.
#[derive(Debug)]
pub struct Splitter<C: Iterator<Item = u64>> {
    sizes: ChunkSizes,
    gear: Box<Gear>,
    /// Below the average size, where cuts are to be rare.
    mask_strict: u64,
    /// From the average size on, where they are to be frequent.
    mask_loose: u64,
    cuts: Peekable<C>,
    /// Where the open chunk starts.
    start: u64,
    /// How many of the open chunk's bytes were seen.
    seen: usize,
    /// How many bytes the open chunk gets at most: up to the next forced cut, but no more than the maximum.
    limit: usize,
    hash: u64,
}

impl<C: Iterator<Item = u64>> Splitter<C> {
    /// Begins a file. `cuts` are offsets in it in ascending order at which a chunk must end and the next must start;
    /// those that do not ascend are passed over.
    pub fn new(sizes: ChunkSizes, cuts: impl IntoIterator<IntoIter = C>) -> Self {
        let (mask_strict, mask_loose) = select_masks(sizes.average as usize, Normalization::Level1);
        let mut splitter = Self {
            sizes,
            gear: Box::new(Gear::new()),
            mask_strict,
            mask_loose,
            cuts: cuts.into_iter().peekable(),
            start: 0,
            seen: 0,
            limit: 0,
            hash: 0,
        };
        splitter.begin(0);
        splitter
    }

    /// Looks at the next bytes of the file, and calls `on_end` with the offset behind each chunk that ends in them.
    pub fn feed(&mut self, bytes: &[u8], mut on_end: impl FnMut(u64)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (used, ended) = self.scan(rest);
            self.seen += used;
            rest = &rest[used..];
            if ended {
                let end = self.start + self.seen as u64;
                on_end(end);
                self.begin(end);
            }
        }
    }

    /// Ends the file. The offset behind its last chunk, if that was still open.
    pub fn finish(self) -> Option<u64> {
        (self.seen > 0).then(|| self.start + self.seen as u64)
    }

    fn begin(&mut self, start: u64) {
        while self.cuts.next_if(|cut| *cut <= start).is_some() {}
        let max = u64::from(self.sizes.max);
        let limit = self.cuts.peek().map_or(max, |cut| max.min(cut - start));
        self.start = start;
        self.seen = 0;
        self.limit = limit as usize;
        self.hash = 0;
    }

    /// How many of `bytes` belong to the open chunk, and whether it ends behind them.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut used = 0;
        // What lies below the minimum is not even looked at.
        let phases = [
            (self.sizes.min, None),
            (self.sizes.average, Some(self.mask_strict)),
            (self.sizes.max, Some(self.mask_loose)),
        ];
        for (until, mask) in phases {
            let until = self.limit.min(until as usize);
            let room = until.saturating_sub(self.seen + used);
            let part = &bytes[used..bytes.len().min(used + room)];
            let found = mask.and_then(|mask| find_cut(&self.gear, &mut self.hash, mask, part));
            if let Some(index) = found {
                return (used + index, true);
            }
            used += part.len();
        }
        (used, self.seen + used == self.limit)
    }
}

/// The first byte of `bytes` before which the gear hash says to cut. The hash goes on from the bytes before.
fn find_cut(gear: &Gear, hash: &mut u64, mask: u64, bytes: &[u8]) -> Option<usize> {
    let mask_shifted = mask << 1;
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut rolled = *hash;
    for (index, [first, second]) in pairs.iter().enumerate() {
        // Shifted by both at once: what the first byte says is judged one bit further left (paper, section 4.5).
        let shifted = (rolled << 2).wrapping_add(gear.shifted[usize::from(*first)]);
        if shifted & mask_shifted == 0 {
            return Some(index * 2);
        }
        rolled = shifted.wrapping_add(gear.plain[usize::from(*second)]);
        if rolled & mask == 0 {
            return Some(index * 2 + 1);
        }
    }
    let mut found = None;
    if let [last] = odd {
        rolled = (rolled << 1).wrapping_add(gear.plain[usize::from(*last)]);
        found = (rolled & mask == 0).then_some(pairs.len() * 2);
    }
    *hash = rolled;
    found
}
