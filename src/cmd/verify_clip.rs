//! Verifies the file of a clip with nothing but the box's public keys: an ordinary MP4 with a `uuid` box that holds the
//! clip's evidence (see `seal::ClipEvidence`). What a player makes of a file, it makes of any of its boxes; so each byte
//! of the file must be one that perch writes there: the head is made again (see `cmaf::HeadCheck`), the media is the
//! proven segments and nothing else, and behind it stands the evidence alone.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use super::verify::NOT_PROVEN;
use crate::cmaf::{
    FILE_BOX_HEADER_BYTES_MAX, FileBox, FragmentHead, HeadCheck, ReadFragment, ReadHeader,
    RecordedSegment, file_box, read_fragment_head,
};
use crate::media::TrackKind;
use crate::seal::{
    CLIP_PROOF_UUID, ClipEvidence, ClipProofError, PublicKeys, SegmentPlace, Silence, SilenceKind,
    TrackSpan, VerifiedClip,
};
use crate::store::load_public_keys;

/// The largest evidence and the largest head that are read, in bytes: a day, the longest clip, has some 40 MB of each.
const PIECE_BYTES_MAX: u64 = 512 << 20;

/// What a file consists of at its top level.
const BOXES: [&[u8; 4]; 4] = [b"ftyp", b"moov", b"mdat", b"uuid"];

#[cfg(test)]
mod tests;

#[derive(Debug, Serialize)]
struct Report {
    proven: bool,
    origin: Option<String>,
    signed_at: Option<String>,
    tracks: Vec<Track>,
    /// Whether there is any sound.
    sound: bool,
    /// Where there are pictures and no sound beside them.
    without_sound: Vec<WithoutSound>,
    faults: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Track {
    camera: String,
    rendition: String,
    from: String,
    to: String,
    segments: usize,
}

#[derive(Debug, Serialize)]
struct WithoutSound {
    from: String,
    to: String,
    because: Because,
}

/// Why there is no sound, as far as the proof tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Because {
    /// The box recorded none.
    NotRecorded,
    /// Nothing shows whether it recorded any.
    NotShown,
    /// Neither does anything here, but there is sound of the same run beside it.
    Missing,
}

impl From<&Silence> for WithoutSound {
    fn from(silence: &Silence) -> Self {
        Self {
            from: silence.from.to_string(),
            to: silence.to.to_string(),
            because: match silence.kind {
                SilenceKind::NotRecorded => Because::NotRecorded,
                SilenceKind::NotShown => Because::NotShown,
                SilenceKind::Missing => Because::Missing,
            },
        }
    }
}

/// Status 0 if the clip is what the box signed, 1 if something is wrong, 2 if what it has is genuine but sound is
/// missing in it.
pub(super) fn run(path: &Path, keys: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let keys = load_public_keys(keys).context("name the box's public keys with --key")?;
    let report = verify(path, &keys).with_context(|| path.display().to_string())?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(match (report.proven, report.faults.is_empty()) {
        (true, _) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(NOT_PROVEN),
    })
}

fn verify(path: &Path, keys: &PublicKeys) -> anyhow::Result<Report> {
    let file = File::open(path)?;
    let boxes = read_boxes(&file)?;
    let evidence = read_evidence(&file, &boxes)?;
    if let Err(fault) = check_boxes(&boxes) {
        return Ok(of_faults(vec![fault]));
    }
    let media = &boxes[2];
    let media_start = media.offset + media.header_bytes;
    let head = read_piece(&file, 0, media_start)?;
    let read = |offset: u64, buffer: &mut [u8]| file.read_exact_at(buffer, offset).is_ok();
    let verified = match evidence.verify(keys, read) {
        Ok(verified) => verified,
        Err(ClipProofError::Segments(faults)) => {
            return Ok(of_faults(faults.iter().map(ToString::to_string).collect()));
        }
        Err(error) => return Ok(of_faults(vec![error.to_string()])),
    };
    let faults = match HeadCheck::new(&head) {
        Err(fault) => vec![fault.to_string()],
        Ok(check) => {
            let played = evidence.track_faults(&check.ranges());
            let mut faults: Vec<_> = played.iter().map(ToString::to_string).collect();
            let media = media_start..media.end();
            if let Err(fault) = check_media(&file, &evidence, check, media) {
                faults.push(fault.to_string());
            }
            faults
        }
    };
    Ok(of_verified(verified, faults))
}

/// Whether the media is the proven segments and nothing else, and the head the one that perch writes before them.
fn check_media(
    file: &File,
    evidence: &ClipEvidence,
    mut check: HeadCheck<'_>,
    media: Range<u64>,
) -> anyhow::Result<()> {
    let mut at = media.start;
    for (leaf, place) in evidence.segments() {
        ensure!(
            place.offset == at,
            "there is something in `mdat` at byte {at} that is not proven"
        );
        let kind = leaf.rendition.kind;
        let fragments = read_fragments(file, place, &check.fragment_header(kind))?;
        check.push(&RecordedSegment {
            kind,
            run: leaf.run,
            msn: leaf.msn,
            wall_start: leaf.wall_start,
            duration_ms: leaf.duration_ms,
            bytes_count: place.bytes_count(),
            fragments: &fragments,
        })?;
        at += place.bytes_count();
    }
    ensure!(
        at == media.end,
        "there is something in `mdat` at byte {at} that is not proven"
    );
    Ok(check.finish()?)
}

/// The tables of a proven segment's fragments, each with where it begins in the segment.
fn read_fragments(
    file: &File,
    place: &SegmentPlace,
    header: &ReadHeader,
) -> anyhow::Result<Vec<(u64, ReadFragment)>> {
    let mut fragments = Vec::with_capacity(place.parts.len());
    let mut start = 0;
    for part in &place.parts {
        let bytes_count = u64::from(part.head_bytes) + u64::from(part.media_bytes);
        // What a box's header may have is asked for behind an empty part's head, too.
        let known = bytes_count.min(u64::from(part.head_bytes) + FILE_BOX_HEADER_BYTES_MAX as u64);
        let mut head = vec![0; usize::try_from(known)?];
        file.read_exact_at(&mut head, place.offset + start)?;
        match read_fragment_head(&head, bytes_count, header)? {
            FragmentHead::Whole(fragment) => fragments.push((start, fragment)),
            FragmentHead::Needs(_) => bail!("a part of a segment is not as perch writes it"),
        }
        start += bytes_count;
    }
    Ok(fragments)
}

fn of_verified(verified: VerifiedClip, faults: Vec<String>) -> Report {
    let is_missing = |silence: &Silence| silence.kind == SilenceKind::Missing;
    let is_sound = |track: &TrackSpan| track.rendition.kind == TrackKind::Audio;
    Report {
        proven: faults.is_empty() && !verified.silences.iter().any(is_missing),
        origin: Some(verified.origin.to_string()),
        signed_at: Some(verified.signed_at.to_string()),
        sound: verified.tracks.iter().any(is_sound),
        tracks: verified
            .tracks
            .into_iter()
            .map(|track| Track {
                camera: track.camera.to_string(),
                rendition: track.rendition.to_string(),
                from: track.from.to_string(),
                to: track.to.to_string(),
                segments: track.segments,
            })
            .collect(),
        without_sound: verified.silences.iter().map(Into::into).collect(),
        faults,
    }
}

fn of_faults(faults: Vec<String>) -> Report {
    Report {
        proven: false,
        origin: None,
        signed_at: None,
        tracks: Vec::new(),
        sound: false,
        without_sound: Vec::new(),
        faults,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for track in &self.tracks {
            writeln!(
                f,
                "{} {}: {} segments from {} to {}",
                track.camera, track.rendition, track.segments, track.from, track.to
            )?;
        }
        for WithoutSound { from, to, because } in &self.without_sound {
            let because = match because {
                Because::NotRecorded => "the box recorded none",
                Because::NotShown => "nothing shows whether the box recorded any",
                Because::Missing => {
                    "there is more of the same run, and nothing shows that it was not taken out"
                }
            };
            writeln!(f, "without sound from {from} to {to}: {because}")?;
        }
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        let without = if self.sound { "" } else { ", without sound" };
        match (&self.origin, &self.signed_at) {
            (Some(origin), Some(at)) if self.proven => {
                writeln!(
                    f,
                    "this is what {origin} recorded and signed at {at}{without}"
                )
            }
            (Some(origin), Some(at)) if self.faults.is_empty() => writeln!(
                f,
                "what is in it is what {origin} recorded and signed at {at}; that its sound is whole is not proven"
            ),
            _ => writeln!(f, "this is not proven to be what the box recorded"),
        }
    }
}

/// A box at the top level of the file.
struct TopBox {
    offset: u64,
    kind: [u8; 4],
    uuid: Option<[u8; 16]>,
    header_bytes: u64,
    bytes_count: u64,
}

impl TopBox {
    fn end(&self) -> u64 {
        self.offset + self.bytes_count
    }
}

/// The boxes of a file; of those that are too many, the first.
fn read_boxes(file: &File) -> anyhow::Result<Vec<TopBox>> {
    /// So many that what is foreign among them can be named.
    const BOXES_MAX: usize = 1 << 16;
    let size = file.metadata()?.len();
    let mut boxes = Vec::new();
    let mut offset = 0;
    while offset < size && boxes.len() < BOXES_MAX {
        let mut header = [0; FILE_BOX_HEADER_BYTES_MAX];
        let known = (size - offset).min(header.len() as u64) as usize;
        file.read_exact_at(&mut header[..known], offset)?;
        let found = file_box(&header[..known], size - offset)
            .with_context(|| format!("the box at byte {offset} is cut off"))?;
        let FileBox {
            kind,
            uuid,
            header_bytes,
            bytes_count,
        } = found;
        boxes.push(TopBox {
            offset,
            kind,
            uuid,
            header_bytes,
            bytes_count,
        });
        offset += bytes_count;
    }
    Ok(boxes)
}

/// Whether a file's boxes are those that perch writes. Says of the first that is not what it is.
fn check_boxes(boxes: &[TopBox]) -> Result<(), String> {
    for (index, found) in boxes.iter().enumerate() {
        let kind = found.kind.escape_ascii();
        let at = found.offset;
        match BOXES.get(index) {
            Some(expected) if **expected == found.kind => {}
            Some(expected) => {
                let expected = expected.escape_ascii();
                return Err(format!(
                    "the file has a `{kind}` box at byte {at} where perch writes `{expected}`"
                ));
            }
            None => {
                return Err(format!(
                    "the file has a `{kind}` box at byte {at}, which perch does not write there"
                ));
            }
        }
    }
    match BOXES.get(boxes.len()) {
        Some(missing) => Err(format!("the file has no `{}` box", missing.escape_ascii())),
        None => Ok(()),
    }
}

fn read_evidence(file: &File, boxes: &[TopBox]) -> anyhow::Result<ClipEvidence> {
    let is_evidence = |found: &&TopBox| found.uuid == Some(CLIP_PROOF_UUID);
    let found = boxes.iter().rfind(is_evidence).context(
        "the file carries no proof; was it exported by perch, and not changed by another program since?",
    )?;
    let bytes = read_piece(file, found.offset + found.header_bytes, found.end())?;
    Ok(ClipEvidence::decode(&bytes)?)
}

fn read_piece(file: &File, start: u64, end: u64) -> anyhow::Result<Vec<u8>> {
    ensure!(
        end - start <= PIECE_BYTES_MAX,
        "what stands at byte {start} of the file is too large to be read"
    );
    let mut bytes = vec![0; usize::try_from(end - start)?];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}
