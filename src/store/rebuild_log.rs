//! Compares reels, while an index is made of them, with the log of segments and what of it was signed.

use std::io;
use std::path::Path;

use super::box_keys::{load_public_keys, public_keys_path};
use super::file_system::is_damage;
use super::log_files::{TileFiles, last_checkpoint};
use super::rebuild_rows::ReadReel;
use super::segment_log::{LogRow, leaf_of};
use crate::base::Wall;
use crate::seal::{SegmentName, Tree};

/// How the log of segments bears reels out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFinding {
    /// Segments whose records the log holds.
    pub held: u64,
    /// Segments that are too young for the log's files, or older than the log.
    pub beyond: u64,
    /// Segments of which the log holds another record: one of them was altered.
    pub altered: Vec<SegmentName>,
    /// Leaves of the last checkpoint whose both signatures hold, and when it was signed.
    pub signed: Option<(u64, Wall)>,
    /// Whether the log's root is the one that was signed; false without a checkpoint.
    pub root_holds: bool,
}

pub(super) struct LogCheck {
    tree: Option<Tree<TileFiles>>,
    size: u64,
    first_reel: Option<i64>,
    finding: LogFinding,
}

impl LogCheck {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let held = TileFiles::new(dir).leaves()?;
        let keys = load_public_keys(&public_keys_path(dir)).ok();
        let signed = match keys.as_ref().map(|keys| last_checkpoint(dir, keys)) {
            // What the disk does not give back proves nothing, and keeps nothing from coming back.
            Some(Err(error)) if is_damage(&error) => None,
            found => found.transpose()?.flatten(),
        };
        let verified = keys.as_ref().zip(signed.as_ref());
        let checkpoint = verified.and_then(|(keys, note)| note.verify(keys).ok().cloned());
        let mut finding = LogFinding::default();
        if let Some(checkpoint) = &checkpoint {
            finding.signed = Some((checkpoint.size, checkpoint.signed_at));
            let tree = Tree::new(TileFiles::new(dir), checkpoint.size);
            let root = tree.ok().and_then(|mut tree| tree.root().ok());
            finding.root_holds = root == Some(checkpoint.root);
        }
        // What lies behind the last checkpoint may be half written.
        let size = checkpoint
            .as_ref()
            .map_or(0, |signed| signed.size.min(held));
        Ok(Self {
            tree: Tree::new(TileFiles::new(dir), size).ok(),
            size,
            first_reel: None,
            finding,
        })
    }

    /// Looks each segment of a reel up.
    pub(super) fn look_at(&mut self, reel: &ReadReel) {
        for found in &reel.segments {
            let timescale = reel.head.parameters.timescale();
            let (camera, rendition) = (&reel.head.camera, reel.head.rendition);
            let Some((index, leaf)) = leaf_of(camera, rendition, timescale, &found.trailer) else {
                self.finding.beyond += 1;
                continue;
            };
            if index >= self.size {
                self.first_reel.get_or_insert(reel.id);
                self.finding.beyond += 1;
                continue;
            }
            let held = self.tree.as_mut().and_then(|tree| tree.leaf(index).ok());
            if held == Some(leaf.hash()) {
                self.finding.held += 1;
            } else {
                self.finding.altered.push(SegmentName {
                    camera: leaf.camera,
                    rendition: leaf.rendition,
                    msn: leaf.msn,
                    wall_start: leaf.wall_start,
                });
            }
        }
    }

    /// Where the log goes on, `last_reel` being the last that was looked at, and what was found.
    pub(super) fn finish(self, last_reel: i64) -> (LogRow, LogFinding) {
        let row = LogRow {
            size: self.size,
            first_reel: self.first_reel.unwrap_or(last_reel + 1),
        };
        (row, self.finding)
    }
}
