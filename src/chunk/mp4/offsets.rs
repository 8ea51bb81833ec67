//! Places found in a file, and which of them are worth a cut.

use std::ops::Range;

use super::boxes::Stop;

/// How many places of each kind are kept: keyframes of 24 days at one each 2 s. What comes behind is not cut by
/// force, only by content.
const PLACES_MAX: usize = 1 << 20;

/// Offsets of sync samples, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Offsets(Vec<u64>);

impl Offsets {
    pub(super) fn push(&mut self, offset: u64) {
        if self.0.len() < PLACES_MAX {
            self.0.push(offset);
        }
    }

    /// Forgets what `read` added if it fails.
    pub(super) fn all_or_none<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let before = self.0.len();
        let outcome = read(self);
        if outcome.is_err() {
            self.0.truncate(before);
        }
        outcome
    }
}

/// The payloads of a file's `mdat` boxes, in their order, as far as they are large enough for chunks of their own.
#[derive(Debug)]
pub(super) struct Payloads {
    found: Vec<Range<u64>>,
    bytes_min: u64,
}

impl Payloads {
    pub(super) fn new(bytes_min: u64) -> Self {
        Self {
            found: Vec::new(),
            bytes_min,
        }
    }

    pub(super) fn push(&mut self, payload: Range<u64>) {
        let large = payload.end - payload.start >= self.bytes_min;
        if large && self.found.len() < PLACES_MAX {
            self.found.push(payload);
        }
    }

    /// The cuts, in ascending order: start and end of each payload, and in it each place of `sync` that is at least
    /// the minimum behind the one before it and before the payload's end. Whether a place counts is decided by its
    /// neighbours alone, not by which of them were taken: the same pictures are cut alike whatever stands before
    /// them. Where sync samples come thicker than that, none but the first is cut and content decides.
    pub(super) fn cuts(self, sync: Offsets) -> Vec<u64> {
        let mut sync = sync.0;
        sync.sort_unstable();
        sync.dedup();
        let mut cuts = Vec::new();
        let mut sync = sync.into_iter().peekable();
        for payload in self.found {
            while sync.next_if(|offset| *offset <= payload.start).is_some() {}
            cuts.push(payload.start);
            let mut before = payload.start;
            while let Some(offset) = sync.next_if(|offset| *offset < payload.end) {
                if offset - before >= self.bytes_min && payload.end - offset >= self.bytes_min {
                    cuts.push(offset);
                }
                before = offset;
            }
            cuts.push(payload.end);
        }
        cuts.dedup();
        cuts
    }
}
