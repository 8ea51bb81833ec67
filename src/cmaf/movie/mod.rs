//! Ordinary MP4 files made of recorded segments (ISO/IEC 14496-12): one file with its tables first, which every player
//! opens, and whose every byte has its place before the first is read. Pure; `store` reads the segments.

mod boxes;
mod clip_writer;
mod entry;
mod head;
mod samples;
mod segment_list;
mod timelapse_writer;

pub use boxes::uuid_box;
pub use clip_writer::{ClipSegment, ClipWriteError, ClipWriter, Joint, MovieHead};
pub use entry::SampleEntry;
pub use segment_list::{
    FILE_BOX_HEADER_BYTES_MAX, FileBox, SEGMENT_LIST_UUID, SegmentListError, file_box,
    read_segment_list, segment_list_box,
};
pub use timelapse_writer::TimelapseWriter;
