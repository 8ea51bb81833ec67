//! Reads the tables of recorded segments and leaves their media where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::ClipFileError;
use crate::base::{CameraId, Wall};
use crate::cmaf::{
    self, ClipSegment, FragmentHead, ReadFragment, ReadHeader, SampleEntry, read_fragment_head,
    read_init,
};
use crate::media::RenditionId;
use crate::store::ReadError;
use crate::store::reader::Reader;
use crate::store::reel::Trailer;
use crate::store::segment_source::SegmentSource;

/// What is read of a fragment at first: more than stands before the media of any part of ours.
const HEAD_BYTES: usize = 2048;

/// How the segments of a run are read.
struct RunHeader {
    entry: SampleEntry,
    header: ReadHeader,
}

/// What is known of a segment without its media.
pub(super) struct SegmentTables<'a> {
    pub(super) entry: &'a SampleEntry,
    pub(super) bytes_count: u64,
    /// Each with where in the segment it begins.
    pub(super) fragments: Vec<(u64, ReadFragment)>,
}

impl SegmentTables<'_> {
    /// The same for whoever joins segments.
    pub(super) fn as_segment(&self) -> ClipSegment<'_> {
        ClipSegment {
            entry: self.entry,
            bytes_count: self.bytes_count,
            fragments: &self.fragments,
        }
    }
}

/// One rendition, table by table.
pub(super) struct Tables {
    reader: Arc<Reader>,
    camera: CameraId,
    rendition: RenditionId,
    source: SegmentSource,
    headers: BTreeMap<u64, RunHeader>,
    buffer: Vec<u8>,
}

impl Tables {
    pub(super) fn new(reader: &Arc<Reader>, camera: &CameraId, rendition: RenditionId) -> Self {
        Self {
            reader: Arc::clone(reader),
            camera: camera.clone(),
            rendition,
            source: SegmentSource::new(Arc::clone(reader), camera.clone(), rendition),
            headers: BTreeMap::new(),
            buffer: vec![0; HEAD_BYTES],
        }
    }

    /// Whose segments these are.
    pub(super) fn rendition(&self) -> RenditionId {
        self.rendition
    }

    /// What the reel says of a segment; `None` if it is not recorded any more.
    pub(super) fn trailer(&mut self, msn: u64) -> Result<Option<Trailer>, ReadError> {
        self.source.trailer(msn)
    }

    /// Reads a segment's fragments; the first one only where `all` is false. `at` is the segment's label.
    pub(super) fn read(
        &mut self,
        run: u64,
        msn: u64,
        at: Wall,
        all: bool,
    ) -> Result<SegmentTables<'_>, ClipFileError> {
        let deleted = || ClipFileError::Deleted { at };
        let rendition = self.rendition;
        let not_readable = |cause: cmaf::ReadError| ClipFileError::NotReadable {
            rendition,
            at,
            cause,
        };
        if !self.headers.contains_key(&run) {
            let init = self.reader.load_init(&self.camera, rendition, run)?;
            let init = init.ok_or_else(deleted)?;
            let header = RunHeader {
                entry: SampleEntry::read(&init).map_err(not_readable)?,
                header: read_init(&init).map_err(not_readable)?,
            };
            self.headers.insert(run, header);
        }
        let header = &self.headers[&run];
        let bytes_count = self.source.bytes_count(msn)?.ok_or_else(deleted)?;
        let mut fragments = Vec::new();
        let mut start = 0;
        while start < bytes_count && (all || fragments.is_empty()) {
            let left = bytes_count - start;
            let mut wanted = HEAD_BYTES;
            let fragment = loop {
                wanted = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
                if self.buffer.len() < wanted {
                    self.buffer.resize(wanted, 0);
                }
                let buffer = &mut self.buffer[..wanted];
                if !self.source.read_at(msn, start, buffer)? {
                    return Err(deleted());
                }
                match read_fragment_head(buffer, left, &header.header).map_err(not_readable)? {
                    FragmentHead::Whole(fragment) => break fragment,
                    FragmentHead::Needs(more) => wanted = more,
                }
            };
            let next = start + fragment.bytes_count as u64;
            fragments.push((start, fragment));
            start = next;
        }
        Ok(SegmentTables {
            entry: &header.entry,
            bytes_count,
            fragments,
        })
    }
}
