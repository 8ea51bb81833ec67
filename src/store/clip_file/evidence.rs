//! The evidence that a file of a whole stretch carries: the records of its segments are collected while it is planned,
//! out of what stands behind them in their reels, and proven when all places in the file are known. Reads no media: a
//! segment is compared with its digest when it is read anyway.

use super::fragments::Tables;
use crate::base::CameraId;
use crate::cmaf::{HeadCheck, MovieHead, ReadFragment, uuid_box};
use crate::seal::{
    CLIP_PROOF_UUID, ClipEvidence, ClipPart, ClipProof, Leaf, MakeProofError, SegmentPlace, Tree,
};
use crate::store::ReadError;
use crate::store::box_keys::{load_public_keys, public_keys_path};
use crate::store::first_checkpoint::first_checkpoint;
use crate::store::log_files::{TileFiles, log_folder};
use crate::store::proof::{ProveError, log_unreadable};
use crate::store::reader::{Reader, SegmentEntry};
use crate::store::segment_log::leaf_of;

/// The records of a file's segments so far, in their order, with their places in its media; or why there is no proof.
pub(super) struct Collected {
    segments: Result<Vec<(u64, Leaf)>, ProveError>,
    places: Vec<SegmentPlace>,
}

impl Collected {
    pub(super) fn new() -> Self {
        Self {
            segments: Ok(Vec::new()),
            places: Vec::new(),
        }
    }

    /// Adds a segment of which `tables` has read `parts`, and that begins at `start` in the media.
    pub(super) fn push(
        &mut self,
        camera: &CameraId,
        tables: &mut Tables,
        segment: &SegmentEntry,
        parts: Vec<ClipPart>,
        start: u64,
    ) {
        let Ok(segments) = &mut self.segments else {
            return;
        };
        match record(camera, tables, segment) {
            Ok(record) => {
                segments.push(record);
                self.places.push(SegmentPlace {
                    offset: start,
                    parts,
                });
            }
            Err(error) => self.segments = Err(error),
        }
    }

    /// Makes the box for a file that begins with `head`. `sign` is told the last leaf of the log that it needs if no
    /// checkpoint covers that yet.
    pub(super) fn into_box(
        self,
        reader: &Reader,
        head: &MovieHead,
        sign: &dyn Fn(u64),
    ) -> Result<Vec<u8>, ProveError> {
        let Self {
            segments,
            mut places,
        } = self;
        let proof = prove(reader, segments?, sign)?;
        let media_start = head.bytes.len() as u64;
        for place in &mut places {
            place.offset += media_start;
        }
        let parts = || ProveError::Incomplete("a segment has more parts than a proof".to_owned());
        let evidence = ClipEvidence::new(proof, places).ok_or_else(parts)?;
        let tracks = HeadCheck::new(&head.bytes)
            .map_err(|fault| ProveError::Incomplete(fault.to_string()))?
            .ranges();
        if let Some(fault) = evidence.track_faults(&tracks).first() {
            return Err(ProveError::Incomplete(fault.to_string()));
        }
        Ok(uuid_box(&CLIP_PROOF_UUID, &evidence.encode()))
    }
}

/// What stands before the samples of each fragment, and the samples.
pub(super) fn parts_of(fragments: &[(u64, ReadFragment)]) -> Vec<ClipPart> {
    let part = |(_, fragment): &(u64, ReadFragment)| {
        let all = fragment.bytes_count as u32;
        let head_bytes = fragment
            .samples
            .first()
            .map_or(all, |sample| sample.offset as u32);
        ClipPart {
            head_bytes,
            media_bytes: all.saturating_sub(head_bytes),
        }
    };
    fragments.iter().map(part).collect()
}

fn record(
    camera: &CameraId,
    tables: &mut Tables,
    segment: &SegmentEntry,
) -> Result<(u64, Leaf), ProveError> {
    let trailer = tables.trailer(segment.msn)?;
    let trailer = trailer.ok_or(ProveError::NotRecorded(segment.msn))?;
    let leaf = leaf_of(camera, tables.rendition(), segment.timescale, &trailer);
    leaf.ok_or(ProveError::BeforeTheLog(segment.msn))
}

/// The proof of segments under the oldest checkpoint that covers them: so it stays the same while somebody fetches the
/// file in pieces. It is what whoever gets it would find, or an error says what is wrong.
fn prove(
    reader: &Reader,
    segments: Vec<(u64, Leaf)>,
    sign: &dyn Fn(u64),
) -> Result<ClipProof, ProveError> {
    let dir = reader.dir();
    let last = segments.iter().max_by_key(|(index, _)| *index);
    let (last, msn) = last.map_or((0, 0), |(index, leaf)| (*index, leaf.msn));
    let keys = load_public_keys(&public_keys_path(dir))?;
    let find = || {
        first_checkpoint(dir, &keys, last).map_err(|cause| ReadError::Io {
            path: log_folder(dir),
            cause,
        })
    };
    let found = match find()? {
        None => {
            sign(last);
            find()?
        }
        found => found,
    };
    let (note, checkpoint) = found.ok_or(ProveError::NotYetSigned(msn))?;
    let digests: Vec<_> = segments.iter().map(|(_, leaf)| leaf.digest).collect();
    let tree = Tree::new(TileFiles::new(dir), checkpoint.size);
    let mut tree = tree.map_err(|error| log_unreadable(&error))?;
    let proof = ClipProof::make(&note, &mut tree, segments).map_err(|error| match error {
        MakeProofError::Tree(error) => log_unreadable(&error),
        other => ProveError::Log(other.to_string()),
    })?;
    match proof.verify(&keys, digests) {
        Ok(_) => Ok(proof),
        Err(error) => Err(ProveError::Incomplete(error.to_string())),
    }
}
