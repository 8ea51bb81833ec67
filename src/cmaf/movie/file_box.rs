//! The boxes of a file, by their headers (ISO/IEC 14496-12 §4.2).

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
