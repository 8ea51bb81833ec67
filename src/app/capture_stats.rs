//! What one camera's source has counted over all its runs, for the metrics.

use std::sync::{Mutex, PoisonError};

use crate::capture::CaptureReport;

/// Counters over runs: the finished ones summed up, plus the running one.
#[derive(Debug, Default)]
pub(crate) struct CaptureStats(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    finished: CaptureReport,
    running: CaptureReport,
    runs: u64,
}

impl CaptureStats {
    /// Takes the running run's counters.
    pub(crate) fn observe(&self, report: CaptureReport) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .running = report;
    }

    /// The running run has ended.
    pub(crate) fn finish(&self) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.finished = add(sums.finished, sums.running);
        sums.running = CaptureReport::default();
        sums.runs += 1;
    }

    /// All counters so far, and how many runs have ended.
    pub(crate) fn total(&self) -> (CaptureReport, u64) {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (add(sums.finished, sums.running), sums.runs)
    }
}

fn add(a: CaptureReport, b: CaptureReport) -> CaptureReport {
    CaptureReport {
        frames: a.frames + b.frames,
        lost: a.lost + b.lost,
        damaged: a.damaged + b.damaged,
        empty: a.empty + b.empty,
        copied: a.copied + b.copied,
        requeued: a.requeued + b.requeued,
        restamped: a.restamped + b.restamped,
        lent: b.lent,
        lent_max: a.lent_max.max(b.lent_max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_never_go_back_over_runs() {
        let stats = CaptureStats::default();
        stats.observe(CaptureReport {
            frames: 10,
            lent: 3,
            lent_max: 5,
            ..Default::default()
        });
        stats.finish();
        stats.observe(CaptureReport {
            frames: 4,
            lent: 1,
            lent_max: 2,
            ..Default::default()
        });
        let (total, runs) = stats.total();
        assert_eq!(
            (total.frames, total.lent, total.lent_max, runs),
            (14, 1, 5, 1)
        );
    }
}
