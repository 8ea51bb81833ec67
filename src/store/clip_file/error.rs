//! Why a stretch cannot be had as a file, told apart by what there is to do.

use crate::base::{CameraId, Wall};
use crate::cmaf;
use crate::media::RenditionId;
use crate::store::ReadError;

/// A stretch of a recording cannot be had as one file.
#[derive(Debug, thiserror::Error)]
pub enum ClipFileError {
    /// It would end before it starts, or where it starts.
    #[error("the clip ends at or before its start; ask for `to` later than `from`")]
    RangeBackwards,
    /// It would be longer than one file may be.
    #[error("one file holds at most {0} hours; ask for several")]
    RangeTooLong(i64),
    /// There is no picture.
    #[error("no picture of {camera} is recorded from {from} to {to}")]
    NothingRecorded {
        /// Whose.
        camera: CameraId,
        /// From when.
        from: Wall,
        /// To when.
        to: Wall,
    },
    /// There are pictures, but not these.
    #[error("{rendition} of {camera} is not recorded in this range; {} is", list(.recorded))]
    OtherRendition {
        /// Whose.
        camera: CameraId,
        /// Which.
        rendition: RenditionId,
        /// What there is.
        recorded: Vec<RenditionId>,
    },
    /// Something changes within the range that one file cannot hold both of.
    #[error(
        "the size of the picture, or the kind of sound, changes at {at}; ask for one clip that ends then, and one that \
         starts then"
    )]
    OtherFormat {
        /// The first moment of the other kind.
        at: Wall,
    },
    /// Retention was faster.
    #[error("what was recorded at {at} has been deleted meanwhile; ask for what is left")]
    Deleted {
        /// When.
        at: Wall,
    },
    /// A segment is none of ours.
    #[error(
        "the segment of {rendition} from {at} cannot be read: {cause}; ask for a clip without it"
    )]
    NotReadable {
        /// Which.
        rendition: RenditionId,
        /// Civil time at which it starts.
        at: Wall,
        /// What is wrong with it.
        cause: cmaf::ReadError,
    },
    /// The disk, or what is on it.
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn list(renditions: &[RenditionId]) -> String {
    let names: Vec<_> = renditions.iter().map(|id| id.name()).collect();
    names.join(", ")
}
