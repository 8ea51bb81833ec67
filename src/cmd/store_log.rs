//! What reading the signed log of segments again has shown, as `perch store verify` and `scrub` tell it.

use std::path::PathBuf;

use serde::Serialize;

use crate::store::LogReport;

#[derive(Serialize)]
pub(super) struct LogVerified {
    leaves: u64,
    tiles_damaged: Vec<TilesReport>,
    checkpoints_damaged: Vec<CheckpointsReport>,
    /// Why it could not be read to its end.
    unread: Option<String>,
}

/// Hashes that are not what they were.
#[derive(Serialize)]
struct TilesReport {
    path: PathBuf,
    /// The leaves that cannot be proven with them, by their places in the log, and the first behind them.
    from: u64,
    to: u64,
    what: &'static str,
    /// What they were is certain, so that scrubbing writes them again.
    is_certain: bool,
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
            is_certain: tiles.is_certain(),
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
            unread: report.unread,
        }
    }
}

impl LogVerified {
    /// Whether nothing is damaged.
    pub(super) fn is_sound(&self) -> bool {
        !self.is_lost() && self.tiles_damaged.is_empty() && self.unread.is_none()
    }

    /// Whether something is damaged that nobody can make up.
    fn is_lost(&self) -> bool {
        !self.checkpoints_damaged.is_empty()
            || self.tiles_damaged.iter().any(|tiles| !tiles.is_certain)
    }

    pub(super) fn print(&self) {
        if let Some(error) = &self.unread {
            println!("the signed log cannot be read: {error}");
        }
        for tiles in &self.tiles_damaged {
            let (path, what) = (tiles.path.display(), tiles.what);
            if tiles.is_certain {
                println!(
                    "{path}: {what}; what it was is certain, and `perch store scrub` writes it"
                );
            } else {
                println!(
                    "{path}: {what}; recordings at places {} to {} of the signed log cannot be proven with it",
                    tiles.from,
                    tiles.to - 1
                );
            }
        }
        for damaged in &self.checkpoints_damaged {
            println!(
                "{}: {} bytes from {} on are no checkpoints that this box signed",
                damaged.path.display(),
                damaged.bytes,
                damaged.offset
            );
        }
        if self.is_lost() {
            println!(
                "check the disk; the same bytes of a kept copy of log/ can be put back while perch is stopped"
            );
        }
    }
}
