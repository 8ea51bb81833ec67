//! Reads what stands before a fragment's media, for whoever does not want to read the media (ISO/IEC 23000-19 §7.3.2).

use super::box_walk::BoxWalk;
use super::movie::{FILE_BOX_HEADER_BYTES_MAX, file_box};
use super::read::{ReadError, ReadFragment, ReadHeader, read_moof};

/// More than stands before the media of any fragment that a sane sender makes.
const HEAD_BYTES_MAX: usize = 4 << 20;

/// What the first bytes of a fragment tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FragmentHead {
    /// Everything but the media.
    Whole(ReadFragment),
    /// This many bytes are needed to tell more.
    Needs(usize),
}

/// Reads the first bytes of a fragment; `bytes_left` is how many bytes there are from its start, this fragment's and
/// any others'. Says the same as `read_fragment` does of the whole; asks for at most 4 MiB.
pub fn read_fragment_head(
    bytes: &[u8],
    bytes_left: u64,
    header: &ReadHeader,
) -> Result<FragmentHead, ReadError> {
    let mut offset = 0;
    let mut moof_at = None;
    loop {
        let bad = ReadError::BoxOutOfBounds { offset };
        let left = bytes_left - offset as u64;
        if left == 0 {
            return Err(ReadError::MissingBox(match moof_at {
                None => "moof",
                Some(_) => "mdat",
            }));
        }
        let header_bytes = left.min(FILE_BOX_HEADER_BYTES_MAX as u64) as usize;
        let Some(start) = bytes.get(offset..offset + header_bytes) else {
            return needs(offset + header_bytes, offset);
        };
        let found = file_box(start, left).ok_or(bad)?;
        let end = usize::try_from(found.bytes_count)
            .ok()
            .and_then(|bytes_count| offset.checked_add(bytes_count))
            .ok_or(bad)?;
        match (&found.kind, moof_at) {
            (b"moof", None) => {
                if bytes.len() < end {
                    return needs(end, offset);
                }
                moof_at = Some(offset);
            }
            (b"mdat", Some(moof_at)) => {
                let mut walk = BoxWalk::new(&bytes[..offset]).starting_at(moof_at);
                let moof = walk.next().ok_or(bad)??;
                let media = offset + found.header_bytes as usize..end;
                return read_moof(&moof, media, header).map(FragmentHead::Whole);
            }
            _ => {}
        }
        offset = end;
    }
}

fn needs(bytes_count: usize, offset: usize) -> Result<FragmentHead, ReadError> {
    if bytes_count > HEAD_BYTES_MAX {
        return Err(ReadError::BoxOutOfBounds { offset });
    }
    Ok(FragmentHead::Needs(bytes_count))
}
