//! Ordinary MP4 files made of recorded segments (ISO/IEC 14496-12): one file with its tables first, which every player
//! opens, and whose every byte has its place before the first is read. Pure; `store` reads the segments.

mod boxes;
mod clip_writer;
mod difference;
mod entry;
mod file_box;
mod head;
mod head_check;
mod samples;
mod timelapse_writer;

pub use boxes::uuid_box;
pub use clip_writer::{ClipSegment, ClipWriteError, ClipWriter, Joint, MovieHead};
pub use difference::Difference;
pub use entry::SampleEntry;
pub use file_box::{FILE_BOX_HEADER_BYTES_MAX, FileBox, file_box};
pub use head_check::{HeadCheck, HeadFault, RecordedSegment};
pub use timelapse_writer::TimelapseWriter;
