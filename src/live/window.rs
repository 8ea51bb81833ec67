//! What one rendition can serve right now, as an immutable value: a change makes a new one that shares
//! nearly everything with the old, so readers never wait for the producer or for each other.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::Wall;
use crate::media::{InitSegment, Part, ticks_to_seconds};
use crate::playlist::{Edge, ListedPart, ListedSegment};

/// Why a part was not taken into the window.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// The rendition is not open.
    #[error("the rendition is not open; open it before publishing to it")]
    NotOpen,
    /// A part that neither continues its segment nor starts a later one.
    #[error("part {msn}.{index} is out of order; it is dropped")]
    OutOfOrder {
        /// Its segment.
        msn: u64,
        /// Its place in the segment.
        index: u32,
    },
}

/// The run that new segments belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RunMark {
    /// Its number.
    pub(super) run: u64,
    /// Discontinuities since the camera began, this run's own included.
    pub(super) discontinuity_sequence: u64,
}

/// A segment and its parts so far.
#[derive(Clone, Debug)]
pub(super) struct WindowSegment {
    msn: u64,
    mark: RunMark,
    /// Discontinuities since the segment before it in this window; 0 for the first.
    discontinuities: u64,
    wall_start: Wall,
    timescale: u32,
    complete: bool,
    parts: Vec<Part>,
}

impl WindowSegment {
    fn listed(&self) -> ListedSegment {
        ListedSegment {
            msn: self.msn,
            run: self.mark.run,
            discontinuity_sequence: self.mark.discontinuity_sequence,
            discontinuities: self.discontinuities,
            wall_start: self.wall_start,
            complete: self.complete,
            parts: self
                .parts
                .iter()
                .map(|part| ListedPart {
                    duration_s: ticks_to_seconds(u64::from(part.duration_ticks), self.timescale),
                    independent: part.independent,
                })
                .collect(),
        }
    }
}

/// The window of one rendition.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub(super) open: bool,
    pub(super) ended: bool,
    mark: RunMark,
    /// The header of each run that the window still holds, oldest first.
    inits: Vec<(u64, Arc<InitSegment>)>,
    /// Oldest first, msn growing by 1; only the last may be incomplete.
    segments: VecDeque<Arc<WindowSegment>>,
}

impl Window {
    /// A window that has just been opened in a run.
    pub(super) fn opened(mark: RunMark, init: Arc<InitSegment>) -> Self {
        Self {
            open: true,
            mark,
            inits: vec![(mark.run, init)],
            ..Self::default()
        }
    }

    /// Goes on in another run with another header; what is listed stays listed.
    pub(super) fn continue_in(&mut self, mark: RunMark, init: Arc<InitSegment>) {
        self.mark = mark;
        self.ended = false;
        self.inits.retain(|(run, _)| *run != mark.run);
        self.inits.push((mark.run, init));
    }

    /// Ends the segment that is still open: nothing more will be added to it.
    pub(super) fn complete_last(&mut self) {
        if let Some(last) = self.segments.back_mut().filter(|last| !last.complete) {
            Arc::make_mut(last).complete = true;
        }
    }

    /// Appends a part. A part of a later segment ends the one before; if a segment is missing in between,
    /// the window starts anew, since a playlist cannot list a hole.
    pub(super) fn append(
        &mut self,
        part: Part,
        wall_start: Wall,
        kept_max: usize,
    ) -> Result<(), PublishError> {
        let out_of_order = PublishError::OutOfOrder {
            msn: part.msn,
            index: part.index,
        };
        if !self.open {
            return Err(PublishError::NotOpen);
        }
        let last = part.last;
        match self.segments.back_mut() {
            Some(open) if open.msn == part.msn => {
                if open.complete || open.parts.len() != part.index as usize {
                    return Err(out_of_order);
                }
                let open = Arc::make_mut(open);
                open.parts.push(part);
                open.complete = last;
                return Ok(());
            }
            Some(newest) if part.msn < newest.msn || part.index != 0 => return Err(out_of_order),
            None if part.index != 0 => return Err(out_of_order),
            Some(newest) if newest.msn + 1 == part.msn => {}
            _ => self.segments.clear(),
        }
        self.complete_last();
        let discontinuities = self.segments.back().map_or(0, |newest| {
            self.mark.discontinuity_sequence - newest.mark.discontinuity_sequence
        });
        let timescale = self
            .init(self.mark.run)
            .map_or(1, |init| init.parameters.timescale());
        self.segments.push_back(Arc::new(WindowSegment {
            msn: part.msn,
            mark: self.mark,
            discontinuities,
            wall_start,
            timescale,
            complete: last,
            parts: vec![part],
        }));
        // The open segment does not count.
        while self.segments.len() > kept_max + 1 {
            self.segments.pop_front();
        }
        let oldest_run = self.segments.front().map(|segment| segment.mark.run);
        self.inits.retain(|(run, _)| Some(*run) >= oldest_run);
        Ok(())
    }

    /// The newest part.
    pub(super) fn edge(&self) -> Option<Edge> {
        self.segments.back().map(|last| Edge {
            msn: last.msn,
            part: last.parts.len() as u32 - 1,
            complete: last.complete,
        })
    }

    /// The header of a run.
    pub(super) fn init(&self, run: u64) -> Option<&Arc<InitSegment>> {
        self.inits
            .iter()
            .find(|(of, _)| *of == run)
            .map(|(_, init)| init)
    }

    /// The header of the newest run.
    pub(super) fn newest_init(&self) -> Option<&Arc<InitSegment>> {
        self.inits.last().map(|(_, init)| init)
    }

    fn segment(&self, msn: u64) -> Option<&Arc<WindowSegment>> {
        let oldest = self.segments.front()?.msn;
        let index = usize::try_from(msn.checked_sub(oldest)?).ok()?;
        self.segments.get(index)
    }

    /// The bytes of a finished segment, a slice for each part.
    pub(super) fn segment_bytes(&self, msn: u64) -> Option<Vec<bytes::Bytes>> {
        let segment = self.segment(msn).filter(|segment| segment.complete)?;
        Some(
            segment
                .parts
                .iter()
                .map(|part| part.bytes.clone())
                .collect(),
        )
    }

    /// The bytes of a part.
    pub(super) fn part_bytes(&self, msn: u64, index: u32) -> Option<bytes::Bytes> {
        let part = self.segment(msn)?.parts.get(index as usize)?;
        Some(part.bytes.clone())
    }

    /// The newest `listed_max` finished segments and the open one, as the playlist lists them.
    pub(super) fn listed(&self, listed_max: usize) -> Vec<ListedSegment> {
        let finished = self.segments.iter().filter(|s| s.complete).count();
        let hidden = finished.saturating_sub(listed_max);
        let shown = self.segments.iter().skip(hidden);
        shown.map(|segment| segment.listed()).collect()
    }
}
