//! What reading the signed log of segments again has shown, as `perch store verify` and `scrub` tell it.

use std::path::PathBuf;

use serde::Serialize;

use crate::store::LogReport;

#[derive(Serialize)]
pub(super) struct LogVerified {
    leaves: u64,
    tiles_damaged: Vec<TilesReport>,
    checkpoints_damaged: Vec<CheckpointsReport>,
}

/// Hashes that are not what they were.
#[derive(Serialize)]
struct TilesReport {
    path: PathBuf,
    /// The leaves that cannot be proven with them, by their places in the log, and the first behind them.
    from: u64,
    to: u64,
    what: &'static str,
}

#[derive(Serialize)]
struct CheckpointsReport {
    path: PathBuf,
    offset: u64,
    bytes: u64,
}

impl From<LogReport> for LogVerified {
    fn from(report: LogReport) -> Self {
        let tiles = report.tiles_damaged.into_iter().map(|tiles| TilesReport {
            path: tiles.path,
            from: tiles.leaves.start,
            to: tiles.leaves.end,
            what: tiles.what,
        });
        let checkpoints = report.checkpoints_damaged.into_iter();
        let checkpoints = checkpoints.map(|damaged| CheckpointsReport {
            path: damaged.path,
            offset: damaged.offset,
            bytes: damaged.bytes,
        });
        Self {
            leaves: report.leaves,
            tiles_damaged: tiles.collect(),
            checkpoints_damaged: checkpoints.collect(),
        }
    }
}

impl LogVerified {
    /// Whether nothing is damaged.
    pub(super) fn is_sound(&self) -> bool {
        self.tiles_damaged.is_empty() && self.checkpoints_damaged.is_empty()
    }

    pub(super) fn print(&self) {
        for tiles in &self.tiles_damaged {
            println!(
                "{}: {}; recordings at places {} to {} of the signed log cannot be proven with it",
                tiles.path.display(),
                tiles.what,
                tiles.from,
                tiles.to
            );
        }
        for damaged in &self.checkpoints_damaged {
            println!(
                "{}: {} bytes from {} on are no checkpoints that this box signed",
                damaged.path.display(),
                damaged.bytes,
                damaged.offset
            );
        }
        if !self.is_sound() {
            println!(
                "check the disk; the same bytes of a kept copy of log/ can be put back while perch is stopped"
            );
        }
    }
}
