//! Walks the boxes of a buffer within its bounds (ISO/IEC 14496-12 §4.2). Flat: descending is the caller's
//! choice, so the depth is bounded by what the caller looks for and not by the input.

use super::read::ReadError;

/// A box: its kind, where it starts in the walked buffer, and its body.
pub(super) struct BoxView<'a> {
    pub(super) kind: [u8; 4],
    /// Of the header's first byte, from the start of the walked buffer.
    pub(super) offset: usize,
    /// Of the body's first byte.
    pub(super) body_offset: usize,
    pub(super) body: &'a [u8],
    /// Header and body.
    pub(super) whole: &'a [u8],
}

/// The boxes of a buffer, in order; ends after the first error.
pub(super) struct BoxWalk<'a> {
    buffer: &'a [u8],
    offset: usize,
}

impl<'a> BoxWalk<'a> {
    pub(super) fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, offset: 0 }
    }

    /// The same buffer from the box at `offset` on; offsets stay those in the buffer.
    pub(super) fn starting_at(self, offset: usize) -> Self {
        Self { offset, ..self }
    }

    fn step(&mut self) -> Result<BoxView<'a>, ReadError> {
        let offset = self.offset;
        let rest = &self.buffer[offset..];
        let bad = ReadError::BoxOutOfBounds { offset };
        let (&size, after) = rest.split_first_chunk::<4>().ok_or(bad)?;
        let (&kind, after) = after.split_first_chunk::<4>().ok_or(bad)?;
        let (header_bytes, box_bytes) = match u32::from_be_bytes(size) {
            0 => (8, rest.len()),
            1 => {
                let (&large, _) = after.split_first_chunk::<8>().ok_or(bad)?;
                (
                    16,
                    usize::try_from(u64::from_be_bytes(large)).map_err(|_| bad)?,
                )
            }
            size => (8, size as usize),
        };
        let body = rest.get(header_bytes..box_bytes).ok_or(bad)?;
        let whole = &rest[..box_bytes];
        self.offset += box_bytes;
        Ok(BoxView {
            kind,
            offset,
            body_offset: offset + header_bytes,
            body,
            whole,
        })
    }
}

impl<'a> Iterator for BoxWalk<'a> {
    type Item = Result<BoxView<'a>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.buffer.len() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.offset = self.buffer.len();
        }
        Some(step)
    }
}

/// The body of the first box of a kind. Fails with `MissingBox`.
pub(super) fn find<'a>(buffer: &'a [u8], kind: &'static [u8; 4]) -> Result<&'a [u8], ReadError> {
    find_optional(buffer, kind)?.ok_or(ReadError::MissingBox(kind_name(kind)))
}

/// The body of the first box of a kind, if there is one.
pub(super) fn find_optional<'a>(
    buffer: &'a [u8],
    kind: &'static [u8; 4],
) -> Result<Option<&'a [u8]>, ReadError> {
    for view in BoxWalk::new(buffer) {
        let view = view?;
        if &view.kind == kind {
            return Ok(Some(view.body));
        }
    }
    Ok(None)
}

/// A box's kind as text.
pub(super) fn kind_name(kind: &'static [u8; 4]) -> &'static str {
    std::str::from_utf8(kind).expect("the kinds that we look for are ASCII")
}
