//! Reads a planned file from any place on.

use std::sync::Arc;

use bytes::Bytes;

use super::error::ClipFileError;
use super::{ClipFile, Piece};
use crate::store::segment_source::SegmentSource;

/// Reads one file; keeps the reels that it reads from open.
#[derive(Debug)]
pub struct ClipFileReader {
    file: Arc<ClipFile>,
    pictures: SegmentSource,
    sound: Option<SegmentSource>,
}

impl ClipFileReader {
    /// Starts to read a file.
    pub fn new(file: Arc<ClipFile>) -> Self {
        let source = |rendition| {
            SegmentSource::new(Arc::clone(&file.reader), file.camera.clone(), rendition)
        };
        Self {
            pictures: source(file.rendition),
            sound: file.sound.map(source),
            file,
        }
    }

    /// The bytes from `offset` to the end of the piece in which that lies: the tables, a segment or a keyframe, what
    /// stands behind the media. Empty at the end of the file. A segment is compared with its digest. Reads disk.
    pub fn read(&mut self, offset: u64) -> Result<Bytes, ClipFileError> {
        let file = &self.file;
        if let Some(rest) = tail_of(&file.head.bytes, offset) {
            return Ok(rest);
        }
        let in_media = offset - file.media_start();
        if in_media >= file.head.media_bytes {
            let rest = tail_of(&file.tail, in_media - file.head.media_bytes);
            return Ok(rest.unwrap_or_default());
        }
        let next = file.pieces.partition_point(|piece| piece.start <= in_media);
        let piece = file.pieces[next - 1];
        let bytes = self.load(&piece)?;
        Ok(bytes.slice((in_media - piece.start) as usize..))
    }

    fn load(&mut self, piece: &Piece) -> Result<Bytes, ClipFileError> {
        let source = match &mut self.sound {
            Some(sound) if piece.is_sound => sound,
            _ => &mut self.pictures,
        };
        let deleted = ClipFileError::Deleted { at: self.file.from };
        let Some(within) = piece.within else {
            let bytes = source.load(piece.msn)?;
            // Only another segment could have another size.
            let same = bytes.filter(|bytes| bytes.len() == piece.bytes as usize);
            return same.ok_or(deleted);
        };
        let mut buffer = vec![0; piece.bytes as usize];
        if !source.read_at(piece.msn, within, &mut buffer)? {
            return Err(deleted);
        }
        Ok(buffer.into())
    }
}

/// What lies at and behind `offset`, `None` if that is nothing.
fn tail_of(bytes: &Bytes, offset: u64) -> Option<Bytes> {
    let offset = usize::try_from(offset).ok()?;
    (offset < bytes.len()).then(|| bytes.slice(offset..))
}
