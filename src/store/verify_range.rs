//! Whether a stretch of a camera's recording is whole and what the box signed: every segment read again, its record
//! looked up in the log, and the chain of records followed from the segment before the stretch to the one behind it.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::archive::Archive;
use super::proof::{Evidence, ProveError, SignedLog, evidence};
use super::reader::{Reader, SegmentEntry, tracks};
use super::rows::REEL_SEGMENTS_MAX;
use super::segment_source::SegmentSource;
use super::status::Gap;
use crate::base::{CameraId, Wall};
use crate::media::RenditionId;
use crate::seal::{NodeHash, Origin, PublicKeys, root_of_cover, verify_inclusion};

/// What was found out about a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeReport {
    /// The box that signed, and when; `None` if nothing was signed yet.
    pub signed: Option<(Origin, Wall)>,
    /// Each rendition with a segment in the stretch.
    pub tracks: Vec<RangeTrack>,
    /// Gaps in the stretch, as the box noted them. Nobody signed these.
    pub gaps: Vec<Gap>,
    /// What is altered, damaged or missing.
    pub faults: Vec<RangeFault>,
}

/// One rendition of a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeTrack {
    /// Which.
    pub rendition: RenditionId,
    /// Segments that are what the box signed.
    pub proven: u64,
    /// Segments that are sound but younger than the last checkpoint.
    pub unsigned: u64,
    /// Segments that are sound but were recorded before there was a log.
    pub before_the_log: u64,
}

/// Something wrong with a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeFault {
    /// Of which rendition.
    pub rendition: RenditionId,
    /// Its media sequence number.
    pub msn: u64,
    /// Civil time at which it starts.
    pub wall_start: Wall,
    /// What is wrong.
    pub what: String,
}

impl RangeReport {
    /// Whether all of the stretch is proven: there is something, all of it is signed, and nothing is wrong.
    pub fn is_proven(&self) -> bool {
        let proven = |track: &RangeTrack| {
            track.proven > 0 && track.unsigned == 0 && track.before_the_log == 0
        };
        self.faults.is_empty() && !self.tracks.is_empty() && self.tracks.iter().all(proven)
    }
}

/// A segment with a record in the log.
struct Logged {
    track: usize,
    entry: SegmentEntry,
    index: u64,
    hash: NodeHash,
}

impl Archive {
    /// Reads a stretch of a camera's recording and proves it, as far as it can be, under the given public keys. Without
    /// any, those in the data directory count, which whoever altered the recording could have replaced. `progress` is told bytes done and in
    /// all. Segments of which a part lies between `from` and `to` count.
    pub fn verify_range(
        &self,
        camera: &CameraId,
        (from, to): (Wall, Wall),
        keys: Option<&PublicKeys>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<RangeReport, ProveError> {
        let (dir, reader) = (self.dir(), self.reader());
        let recording = reader.recording(camera, from, to)?;
        let signed = match SignedLog::open(dir, keys) {
            Ok(signed) => Some(signed),
            Err(ProveError::NothingSigned) => None,
            Err(error) => return Err(error),
        };
        let mut report = RangeReport {
            signed: signed.as_ref().map(|signed| {
                let checkpoint = &signed.checkpoint;
                (checkpoint.origin.clone(), checkpoint.signed_at)
            }),
            tracks: Vec::new(),
            gaps: recording.gaps,
            faults: Vec::new(),
        };
        let entries = recording.renditions.iter().flat_map(|t| &t.segments);
        let (mut done, total) = (0, entries.map(|entry| entry.bytes).sum());
        let mut logged = Vec::new();
        for rendition in &recording.renditions {
            let mut track = Track::new(reader, camera, rendition.id)?;
            let mut counts = RangeTrack {
                rendition: rendition.id,
                proven: 0,
                unsigned: 0,
                before_the_log: 0,
            };
            if let Some(first) = rendition.segments.first() {
                track.start_before(first.msn)?;
            }
            for entry in &rendition.segments {
                let evidence = evidence(&mut track.source, entry.msn);
                done += entry.bytes;
                progress(done, total);
                let evidence = match evidence {
                    Ok(evidence) => evidence,
                    Err(ProveError::Read(error)) => {
                        report.fault(rendition.id, entry, error.to_string());
                        track.last = None;
                        continue;
                    }
                    // Retention took it meanwhile, and with it what the next one follows.
                    Err(ProveError::NotRecorded(_)) => {
                        track.last = None;
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if let Some(what) = track.step(&evidence) {
                    report.fault(rendition.id, entry, what);
                }
                match (&evidence.leaf, &signed) {
                    (None, _) => counts.before_the_log += 1,
                    (Some((index, leaf)), Some(signed)) if *index < signed.checkpoint.size => {
                        logged.push(Logged {
                            track: report.tracks.len(),
                            entry: *entry,
                            index: *index,
                            hash: leaf.hash(),
                        });
                    }
                    _ => counts.unsigned += 1,
                }
            }
            if let Some(last) = rendition.segments.last()
                && let Some((msn, what)) = track.end_behind(last.msn)?
            {
                let behind = SegmentEntry { msn, ..*last };
                report.fault(rendition.id, &behind, what);
            }
            report.tracks.push(counts);
        }
        if let Some(signed) = &signed {
            look_up(dir, signed, logged, &mut report)?;
        }
        report.tell_damaged(reader, camera, (from, to))?;
        Ok(report)
    }
}

impl RangeReport {
    fn fault(&mut self, rendition: RenditionId, entry: &SegmentEntry, what: String) {
        self.faults.push(RangeFault {
            rendition,
            msn: entry.msn,
            wall_start: entry.wall_start,
            what,
        });
    }

    /// Segments that were found damaged before, and are not played any more.
    fn tell_damaged(
        &mut self,
        reader: &Reader,
        camera: &CameraId,
        (from, to): (Wall, Wall),
    ) -> Result<(), ProveError> {
        let found = reader.read(|connection| {
            let mut found = Vec::new();
            for (rendition, track) in tracks(connection, camera)? {
                let mut damaged = connection.prepare_cached(
                    "SELECT reel.first_msn + damaged.id - reel.id * ?2, reel.wall_ms + damaged.wall_ms
                     FROM damaged JOIN reel ON reel.id = damaged.id / ?2
                     WHERE reel.track = ?1 AND reel.wall_ms + damaged.wall_ms BETWEEN ?3 AND ?4",
                )?;
                let rows = damaged.query_map(
                    params![track, REEL_SEGMENTS_MAX, from.0, to.0 - 1],
                    |row| {
                        Ok(RangeFault {
                            rendition,
                            msn: row.get(0)?,
                            wall_start: Wall(row.get(1)?),
                            what: "it was found damaged before, and is not played any more".to_owned(),
                        })
                    },
                )?;
                for fault in rows {
                    found.push(fault?);
                }
            }
            Ok(found)
        })?;
        self.faults.extend(found);
        self.faults
            .sort_by_key(|fault| (fault.wall_start, fault.rendition));
        Ok(())
    }
}

/// The chain of one rendition's records, followed from segment to segment.
struct Track<'a> {
    reader: &'a Reader,
    source: SegmentSource,
    track: Option<i64>,
    /// Record of the segment before; `None` if it is not known.
    last: Option<NodeHash>,
}

impl<'a> Track<'a> {
    fn new(
        reader: &'a Arc<Reader>,
        camera: &CameraId,
        rendition: RenditionId,
    ) -> Result<Self, ProveError> {
        let known = reader.read(|connection| tracks(connection, camera))?;
        let track = known.into_iter().find(|(id, _)| *id == rendition);
        Ok(Self {
            reader,
            source: SegmentSource::new(Arc::clone(reader), camera.clone(), rendition),
            track: track.map(|(_, track)| track),
            last: None,
        })
    }

    /// Says what is wrong between the segment before and this one.
    fn step(&mut self, evidence: &Evidence) -> Option<String> {
        let leaf = evidence.leaf.as_ref().map(|(_, leaf)| leaf);
        let before = std::mem::replace(&mut self.last, leaf.map(|leaf| leaf.hash()));
        let broken = before.is_some() && leaf.is_some_and(|leaf| leaf.previous != before);
        broken.then(|| "what was recorded right before it is missing".to_owned())
    }

    fn start_before(&mut self, msn: u64) -> Result<(), ProveError> {
        if let Some(before) = self.neighbour(msn, Side::Before)?
            && let Ok(evidence) = evidence(&mut self.source, before)
        {
            self.step(&evidence);
        }
        Ok(())
    }

    /// Number of the segment behind the last one, and what is missing between the two.
    fn end_behind(&mut self, msn: u64) -> Result<Option<(u64, String)>, ProveError> {
        let Some(behind) = self.neighbour(msn, Side::Behind)? else {
            return Ok(None);
        };
        let evidence = evidence(&mut self.source, behind);
        let fault = evidence.ok().and_then(|evidence| self.step(&evidence));
        Ok(fault.map(|what| (behind, what)))
    }

    fn neighbour(&self, msn: u64, side: Side) -> Result<Option<u64>, ProveError> {
        let (comparison, order, bound) = match side {
            Side::Before => ("<", "DESC", "reel.first_msn <= ?2"),
            Side::Behind => (
                ">",
                "ASC",
                "reel.first_msn >= (SELECT coalesce(max(first_msn), 0) FROM reel
                 WHERE track = ?1 AND first_msn <= ?2)",
            ),
        };
        let found = self.reader.read(|connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT reel.first_msn + segment.id - reel.id * ?3 FROM reel
                     JOIN segment ON segment.id >= reel.id * ?3 AND segment.id < (reel.id + 1) * ?3
                     WHERE reel.track = ?1 AND {bound}
                     AND reel.first_msn + segment.id - reel.id * ?3 {comparison} ?2
                     ORDER BY reel.first_msn {order}, segment.id {order} LIMIT 1"
                ))?
                .query_row(params![self.track, msn, REEL_SEGMENTS_MAX], |row| {
                    row.get(0)
                })
                .optional()?;
            Ok(found)
        })?;
        Ok(found)
    }
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    Behind,
}

/// Shows that the log under the checkpoint holds the records: all at once, or if that fails, one by one.
fn look_up(
    dir: &Path,
    signed: &SignedLog,
    mut logged: Vec<Logged>,
    report: &mut RangeReport,
) -> Result<(), ProveError> {
    let (size, root) = (signed.checkpoint.size, signed.checkpoint.root);
    let mut tree = signed.tree(dir)?;
    logged.sort_by_key(|segment| segment.index);
    let leaves: Vec<_> = logged.iter().map(|s| (s.index, s.hash)).collect();
    let indices: Vec<_> = leaves.iter().map(|(index, _)| *index).collect();
    let all_hold = tree
        .cover(&indices)
        .is_ok_and(|cover| root_of_cover(size, &leaves, &cover) == Ok(root));
    for segment in &logged {
        let holds = all_hold || {
            let path = tree.inclusion(segment.index);
            path.is_ok_and(|path| {
                verify_inclusion((size, &root), segment.index, &segment.hash, &path).is_ok()
            })
        };
        if holds {
            report.tracks[segment.track].proven += 1;
        } else {
            let rendition = report.tracks[segment.track].rendition;
            let what = "its record is not the one that the box signed, or the log is damaged";
            report.fault(rendition, &segment.entry, what.to_owned());
        }
    }
    Ok(())
}
