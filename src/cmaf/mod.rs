//! CMAF tracks: access units in, header, parts and segments out, and the same boxes read back; and ordinary MP4 files
//! made of what was recorded so.
//! Pure: no I/O, no clock. Driven by the packager for each rendition; the only importer of `mp4-atom`.

mod box_walk;
mod fragment;
mod fragment_head;
mod header;
mod movie;
mod read;
mod sample_table;
mod track_writer;

#[cfg(test)]
mod tests;

pub use fragment_head::{FragmentHead, read_fragment_head};
pub use movie::{
    ClipSegment, ClipWriteError, ClipWriter, Difference, FILE_BOX_HEADER_BYTES_MAX, FileBox,
    HeadCheck, HeadFault, Joint, MovieHead, RecordedSegment, SampleEntry, TimelapseWriter,
    file_box, uuid_box,
};
pub use read::{ReadError, ReadFragment, ReadHeader, ReadSample, read_fragment, read_init};
pub use track_writer::{PART_BYTES_MAX, TrackOrigin, TrackWriter, UNIT_BYTES_MAX, WriteError};

/// Every file holds one track.
const TRACK_ID: u32 = 1;

/// `sample_flags` of a sample that depends on no other (ISO/IEC 14496-12 §8.8.3.1).
const SYNC_SAMPLE_FLAGS: u32 = 0x0200_0000;
/// `sample_flags` of a sample that depends on others and is no sync sample.
const DELTA_SAMPLE_FLAGS: u32 = 0x0101_0000;
/// The bit of `sample_flags` that says "no sync sample".
const NON_SYNC_BIT: u32 = 0x0001_0000;
