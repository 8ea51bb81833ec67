//! Verifies the file of a clip with nothing but the box's public keys: an ordinary MP4 with a `uuid` box that holds the
//! clip's evidence (see `seal::ClipEvidence`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use crate::cmaf::read_sample_ranges;
use crate::seal::{
    CLIP_PROOF_UUID, ClipEvidence, ClipProofError, FileRange, PublicKeys, VerifiedClip,
};
use crate::store::load_public_keys;

/// The largest evidence or `moov` that is read, in bytes: of twelve days.
const BOX_BYTES_MAX: u64 = 4 << 30;

/// Boxes at the top level of a file; far more than any writer makes of an ordinary MP4.
const BOXES_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests;

#[derive(Debug, Serialize)]
struct Report {
    proven: bool,
    origin: Option<String>,
    signed_at: Option<String>,
    tracks: Vec<Track>,
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

/// Status 0 if the clip is what the box signed, else 1.
pub(super) fn run(path: &Path, keys: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let keys = load_public_keys(keys).context("name the box's public keys with --key")?;
    let report = verify(path, &keys).with_context(|| path.display().to_string())?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(match report.proven {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn verify(path: &Path, keys: &PublicKeys) -> anyhow::Result<Report> {
    let file = File::open(path)?;
    let clip = read_clip(&file)?;
    let read = |offset: u64, buffer: &mut [u8]| file.read_exact_at(buffer, offset).is_ok();
    Ok(match clip.evidence.verify(keys, read) {
        Ok(verified) => {
            let faults = clip.evidence.track_faults(&clip.tracks);
            of_verified(verified, faults.iter().map(ToString::to_string).collect())
        }
        Err(ClipProofError::Segments(faults)) => {
            of_faults(faults.iter().map(ToString::to_string).collect())
        }
        Err(error) => of_faults(vec![error.to_string()]),
    })
}

fn of_verified(verified: VerifiedClip, faults: Vec<String>) -> Report {
    Report {
        proven: faults.is_empty(),
        origin: Some(verified.origin.to_string()),
        signed_at: Some(verified.signed_at.to_string()),
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
        faults,
    }
}

fn of_faults(faults: Vec<String>) -> Report {
    Report {
        proven: false,
        origin: None,
        signed_at: None,
        tracks: Vec::new(),
        faults,
    }
}

fn print(report: &Report) {
    for track in &report.tracks {
        println!(
            "{} {}: {} segments from {} to {}",
            track.camera, track.rendition, track.segments, track.from, track.to
        );
    }
    for fault in &report.faults {
        println!("{fault}");
    }
    match (&report.origin, &report.signed_at, report.proven) {
        (Some(origin), Some(at), true) => {
            println!("this is what {origin} recorded and signed at {at}");
        }
        _ => println!("this is not proven to be what the box recorded"),
    }
}

/// What of a clip's file is read before its media.
struct Clip {
    evidence: ClipEvidence,
    /// Where each track of the file takes its samples from.
    tracks: Vec<Vec<FileRange>>,
}

fn read_clip(file: &File) -> anyhow::Result<Clip> {
    let (mut evidence, mut moov) = (None, None);
    let size = file.metadata()?.len();
    let mut offset = 0;
    for _ in 0..BOXES_MAX {
        if offset == size {
            break;
        }
        let (kind, body, end) = read_box(file, offset, size)?;
        let place = match &kind {
            b"moov" => Some(&mut moov),
            b"uuid" if is_evidence(file, body, end) => Some(&mut evidence),
            _ => None,
        };
        if let Some(place) = place {
            ensure!(
                place.is_none(),
                "the file has two of what it may have one of"
            );
            *place = Some((body, end));
        }
        offset = end;
    }
    ensure!(offset == size, "the file has too many boxes");
    let Some((body, end)) = evidence else {
        bail!(
            "the file carries no proof; was it exported by perch, and not changed by another program since?"
        );
    };
    let bytes = read_body(file, body + CLIP_PROOF_UUID.len() as u64, end)?;
    let evidence = ClipEvidence::decode(&bytes)?;
    let (body, end) = moov.context("the file is no MP4 that plays: it has no moov box")?;
    let tracks = read_sample_ranges(&read_body(file, body, end)?)?;
    Ok(Clip {
        evidence,
        tracks: tracks.into_iter().map(|track| track.ranges).collect(),
    })
}

/// Kind of the box at `offset`, where its body starts, and where it ends. (ISO/IEC 14496-12 §4.2)
fn read_box(file: &File, offset: u64, size: u64) -> anyhow::Result<([u8; 4], u64, u64)> {
    let mut header = [0; 8];
    let cut = || format!("the box at byte {offset} is cut off");
    file.read_exact_at(&mut header, offset).with_context(cut)?;
    let [a, b, c, d, kind @ ..] = header;
    let (header_bytes, bytes) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, size - offset),
        1 => {
            let mut large = [0; 8];
            file.read_exact_at(&mut large, offset + 8)
                .with_context(cut)?;
            (16, u64::from_be_bytes(large))
        }
        bytes => (8, bytes.into()),
    };
    let end = offset.checked_add(bytes).filter(|&end| end <= size);
    let end = end.filter(|_| bytes >= header_bytes).with_context(cut)?;
    Ok((kind, offset + header_bytes, end))
}

fn is_evidence(file: &File, body: u64, end: u64) -> bool {
    let mut uuid = [0; 16];
    end - body >= 16 && file.read_exact_at(&mut uuid, body).is_ok() && uuid == CLIP_PROOF_UUID
}

fn read_body(file: &File, body: u64, end: u64) -> anyhow::Result<Vec<u8>> {
    ensure!(
        end - body <= BOX_BYTES_MAX,
        "a box of the file is too large to be read"
    );
    let mut bytes = vec![0; usize::try_from(end - body)?];
    file.read_exact_at(&mut bytes, body)?;
    Ok(bytes)
}
