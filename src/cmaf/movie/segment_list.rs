//! Where the recorded segments lie in the media of a clip: what whoever checks a clip against the box's log needs to
//! know, and players skip. A `uuid` box behind the media with the segments' sizes in their order; they fill `mdat`.

use super::boxes::{count, u32, uuid_box};

/// The extended type of the box: 0d3c54a8-7e0f-4c43-8f5b-5d1f0a9bb6e2 (ISO/IEC 14496-12 §4.2.2).
pub const SEGMENT_LIST_UUID: [u8; 16] = [
    0x0d, 0x3c, 0x54, 0xa8, 0x7e, 0x0f, 0x4c, 0x43, 0x8f, 0x5b, 0x5d, 0x1f, 0x0a, 0x9b, 0xb6, 0xe2,
];

/// The only version so far.
const VERSION: u32 = 1;

/// Why there is no list of segments to go by.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SegmentListError {
    /// A newer perch wrote it.
    #[error(
        "the list of segments has version {0}, which this perch does not know; use a newer one"
    )]
    Version(u32),
    /// It is cut, or goes on behind its end, or its segments do not fill the media.
    #[error("the list of segments is damaged")]
    Malformed,
}

/// Makes the box: version and count, then the size of each segment, all of four bytes.
pub fn segment_list_box(sizes: &[u32]) -> Vec<u8> {
    let mut body = Vec::with_capacity(8 + 4 * sizes.len());
    u32(&mut body, VERSION);
    count(&mut body, sizes.len());
    sizes.iter().for_each(|size| u32(&mut body, *size));
    uuid_box(&SEGMENT_LIST_UUID, &body)
}

/// Reads the box's body, what stands behind the extended type: where each segment begins in the media, which has
/// `media_bytes` bytes, and its size.
pub fn read_segment_list(
    body: &[u8],
    media_bytes: u64,
) -> Result<Vec<(u64, u32)>, SegmentListError> {
    let malformed = SegmentListError::Malformed;
    let (version, rest) = body.split_first_chunk::<4>().ok_or(malformed)?;
    match u32::from_be_bytes(*version) {
        VERSION => {}
        version => return Err(SegmentListError::Version(version)),
    }
    let (listed, sizes) = rest.split_first_chunk::<4>().ok_or(malformed)?;
    let (sizes, beyond) = sizes.as_chunks::<4>();
    if sizes.len() != u32::from_be_bytes(*listed) as usize || !beyond.is_empty() {
        return Err(malformed);
    }
    let mut start = 0;
    let segments = sizes
        .iter()
        .map(|size| {
            let size = u32::from_be_bytes(*size);
            let segment = (start, size);
            start += u64::from(size);
            segment
        })
        .collect();
    (start == media_bytes).then_some(segments).ok_or(malformed)
}

/// More than any header of a box has, its extended type with it, in bytes.
pub const FILE_BOX_HEADER_BYTES_MAX: usize = 32;

/// A box of a file, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileBox {
    /// Its kind.
    pub kind: [u8; 4],
    /// Its extended type, of a `uuid` box.
    pub uuid: Option<[u8; 16]>,
    /// Size of its header in bytes, the extended type with it.
    pub header_bytes: u64,
    /// Size of all of it, in bytes.
    pub bytes_count: u64,
}

/// Reads the header of a box from the first [`FILE_BOX_HEADER_BYTES_MAX`] bytes of it, or what there is; `bytes_left` is how much of the file
/// there is from its start. `None` if no box fits there.
pub fn file_box(bytes: &[u8], bytes_left: u64) -> Option<FileBox> {
    let (&size, rest) = bytes.split_first_chunk::<4>()?;
    let (&kind, rest) = rest.split_first_chunk::<4>()?;
    let (mut header_bytes, bytes_count, rest) = match u32::from_be_bytes(size) {
        0 => (8, bytes_left, rest),
        1 => {
            let (&large, rest) = rest.split_first_chunk::<8>()?;
            (16, u64::from_be_bytes(large), rest)
        }
        size => (8, u64::from(size), rest),
    };
    let mut uuid = None;
    if &kind == b"uuid" {
        uuid = Some(*rest.first_chunk::<16>()?);
        header_bytes += 16;
    }
    (header_bytes..=bytes_left)
        .contains(&bytes_count)
        .then_some(FileBox {
            kind,
            uuid,
            header_bytes,
            bytes_count,
        })
}
