//! The times at which a camera was away, as its page and its recording show them.

use std::collections::VecDeque;

use crate::base::Wall;
use crate::store::GapReason;

/// Gaps remembered for each camera; the recording's index keeps all.
pub const GAPS_MAX: usize = 50;

/// One time away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the last picture had been shown.
    pub from: Wall,
    /// When the first picture came again; `None` while it lasts.
    pub to: Option<Wall>,
    /// Why, for programs.
    pub kind: GapReason,
    /// Why, as a person would read it.
    pub reason: String,
}

/// A bounded history of gaps; the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Gaps(VecDeque<Gap>);

impl Gaps {
    /// Opens a gap unless one is open.
    pub(super) fn open(&mut self, from: Wall, kind: GapReason, reason: &str) {
        if self.0.back().is_some_and(|gap| gap.to.is_none()) {
            return;
        }
        if self.0.len() == GAPS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Gap {
            from,
            to: None,
            kind,
            reason: reason.to_owned(),
        });
    }

    /// Ends the open gap and returns it.
    pub(super) fn close(&mut self, to: Wall) -> Option<Gap> {
        let gap = self.0.back_mut().filter(|gap| gap.to.is_none())?;
        gap.to = Some(to.max(gap.from));
        Some(gap.clone())
    }

    pub(super) fn list(&self) -> Vec<Gap> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_absence_is_one_gap_with_its_first_reason() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.close(Wall(1)), None);
        gaps.open(Wall(10), GapReason::CameraGone, "unplugged");
        gaps.open(Wall(20), GapReason::EncoderFailed, "still unplugged");
        let gap = Gap {
            from: Wall(10),
            to: Some(Wall(30)),
            kind: GapReason::CameraGone,
            reason: "unplugged".into(),
        };
        assert_eq!(gaps.close(Wall(30)), Some(gap.clone()));
        assert_eq!(gaps.close(Wall(40)), None);
        assert_eq!(gaps.list(), [gap]);
    }

    #[test]
    fn the_history_is_bounded() {
        let mut gaps = Gaps::default();
        for i in 0..200 {
            gaps.open(Wall(i), GapReason::CameraGone, "x");
            gaps.close(Wall(i));
        }
        assert_eq!(gaps.list().len(), GAPS_MAX);
        assert_eq!(gaps.list()[0].from, Wall(150));
    }
}
