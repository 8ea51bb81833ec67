//! Verifies the file of a clip with nothing but the box's public keys: an ordinary MP4 with a `uuid` box that holds the
//! clip's evidence (see `seal::ClipEvidence`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use crate::cmaf::read_sample_ranges;
use crate::seal::{CLIP_PROOF_UUID, ClipEvidence, ClipProofError, FileRange, VerifiedClip};
use crate::store::load_public_keys;

/// The largest evidence or `moov` that is read, in bytes: of twelve days.
const BOX_BYTES_MAX: u64 = 4 << 30;

/// Boxes at the top level of a file; far more than any writer makes of an ordinary MP4.
const BOXES_MAX: usize = 1 << 16;

#[derive(Serialize)]
struct Report {
    proven: bool,
    origin: Option<String>,
    signed_at: Option<String>,
    tracks: Vec<Track>,
    faults: Vec<String>,
}

#[derive(Serialize)]
struct Track {
    camera: String,
    rendition: String,
    from: String,
    to: String,
    segments: usize,
}

/// Status 0 if the clip is what the box signed, else 1.
pub(super) fn run(path: &Path, keys: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let report = verify(path, keys)?;
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

fn verify(path: &Path, keys: &Path) -> anyhow::Result<Report> {
    let keys = load_public_keys(keys).context("name the box's public keys with --key")?;
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let clip = read_clip(&file).with_context(|| path.display().to_string())?;
    let read = |offset: u64, buffer: &mut [u8]| file.read_exact_at(buffer, offset).is_ok();
    Ok(match clip.evidence.verify(&keys, read) {
        Ok(verified) => of_verified(verified, other_samples(&clip)),
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

/// What plays although the proof does not speak of it, or is proven and does not play.
fn other_samples(clip: &Clip) -> Vec<String> {
    let proven = clip.evidence.media();
    let mut tracks = clip.tracks.clone();
    let mut faults = Vec::new();
    for ((camera, rendition), ranges) in proven {
        match tracks.iter().position(|track| *track == ranges) {
            Some(at) => drop(tracks.remove(at)),
            None => faults.push(format!(
                "no track of the file plays {camera} {rendition} as it is proven: its samples were changed, left out \
                 or put in another order"
            )),
        }
    }
    if !tracks.is_empty() {
        let count = tracks.len();
        faults.push(format!(
            "{count} tracks of the file play what is not proven"
        ));
    }
    faults
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::base::{CameraId, SystemClock, Wall};
    use crate::media::{
        AudioParameters, InitSegment, Part, RenditionId, Rung, Segment, TrackParameters,
    };
    use crate::seal::ClipPart;
    use crate::store::{Store, StoreOptions};

    const SOUND: RenditionId = RenditionId::audio(Rung::Medium);

    fn iso_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
        words.into_iter().flat_map(u32::to_be_bytes).collect()
    }

    /// Two seconds in two parts, each a `moof` of nothing and an `mdat`.
    fn segment(msn: u64) -> Segment {
        let part = |index: u32| Part {
            msn,
            index,
            start_ticks: msn * 96_000 + u64::from(index) * 48_000,
            duration_ticks: 48_000,
            independent: true,
            last: index == 1,
            bytes: [
                iso_box(b"moof", &words([msn as u32, index])),
                iso_box(b"mdat", format!("sound {msn} {index}").repeat(9).as_bytes()),
            ]
            .concat()
            .into(),
        };
        Segment {
            msn,
            run: 0,
            wall_start: Wall(1_795_255_200_000 + msn as i64 * 2000),
            init: Arc::new(InitSegment {
                parameters: TrackParameters::Audio(AudioParameters {
                    asc: Bytes::from_static(&[0x11, 0x90]),
                    sample_rate: 48_000,
                    channels: 2,
                    bitrate_bps: 64_000,
                }),
                bytes: iso_box(b"moov", b"").into(),
            }),
            parts: vec![part(0), part(1)],
        }
    }

    /// A `trak` whose samples, one a chunk, lie at the given places.
    fn track(samples: &[FileRange]) -> Vec<u8> {
        let count = samples.len() as u32;
        let sizes = samples.iter().map(|(_, bytes)| *bytes as u32);
        let places = samples.iter().map(|(offset, _)| *offset as u32);
        let stbl = [
            iso_box(b"stsz", &words([0, 0, count].into_iter().chain(sizes))),
            iso_box(b"stsc", &words([0, 1, 1, 1, 1])),
            iso_box(b"stco", &words([0, count].into_iter().chain(places))),
        ];
        let minf = iso_box(b"minf", &iso_box(b"stbl", &stbl.concat()));
        let hdlr = iso_box(b"hdlr", b"\0\0\0\0\0\0\0\0soun\0\0\0\0\0\0\0\0\0\0\0\0\0");
        iso_box(b"trak", &iso_box(b"mdia", &[hdlr, minf].concat()))
    }

    struct Exported {
        dir: tempfile::TempDir,
        mdat: Vec<u8>,
        samples: Vec<FileRange>,
        uuid: Vec<u8>,
    }

    /// Records, and exports segments 2 to 5 as an exporter would.
    fn exported() -> Exported {
        let dir = tempfile::tempdir().unwrap();
        let camera: CameraId = "door".parse().unwrap();
        let options = StoreOptions {
            free_bytes_min: 0,
            ..StoreOptions::default()
        };
        let store = Store::open(dir.path(), options, Arc::new(SystemClock));
        let (store, _) = store.unwrap();
        for msn in 0..8 {
            store.append(&camera, SOUND, Arc::new(segment(msn)));
        }
        store.flush();
        let (mut media, mut samples, mut segments) = (Vec::new(), Vec::new(), Vec::new());
        for msn in 2..6 {
            let mut parts = Vec::new();
            for part in segment(msn).parts {
                let (head, payload) = part.bytes.split_at(16 + 8);
                let place = (8 + media.len() as u64, payload.len() as u64);
                media.extend(payload);
                samples.push(place);
                parts.push(ClipPart {
                    head: head.to_vec(),
                    media_offset: place.0,
                    media_bytes: place.1 as u32,
                });
            }
            segments.push(parts);
        }
        let wanted: Vec<_> = (2..6).map(|msn| (SOUND, msn)).collect();
        let proof = store.clip_proof(&camera, &wanted).unwrap();
        let evidence = ClipEvidence::new(proof, segments).unwrap().encode();
        store.close();
        Exported {
            dir,
            mdat: iso_box(b"mdat", &media),
            samples,
            uuid: iso_box(b"uuid", &[&CLIP_PROOF_UUID[..], &evidence].concat()),
        }
    }

    impl Exported {
        fn verify(&self, mdat: &[u8], tracks: &[Vec<u8>]) -> anyhow::Result<Report> {
            self.verify_file(&[mdat, &iso_box(b"moov", &tracks.concat()), &self.uuid])
        }

        fn verify_file(&self, boxes: &[&[u8]]) -> anyhow::Result<Report> {
            let path = self.dir.path().join("clip.mp4");
            std::fs::write(&path, boxes.concat())?;
            verify(&path, &self.dir.path().join("keys/box.pub"))
        }
    }

    #[test]
    fn an_exported_clip_is_proven_with_the_public_keys_alone() {
        let clip = exported();
        let report = clip.verify(&clip.mdat, &[track(&clip.samples)]).unwrap();
        assert!(report.proven, "{:?}", report.faults);
        assert_eq!((report.tracks.len(), report.tracks[0].segments), (1, 4));
        assert_eq!(report.tracks[0].from, "2026-11-21T10:00:04.000Z");
        assert_eq!(report.tracks[0].to, "2026-11-21T10:00:12.000Z");
        let other = exported();
        let keys = other.dir.path().join("keys/box.pub");
        let refused = verify(&clip.dir.path().join("clip.mp4"), &keys).unwrap();
        assert!(!refused.proven && refused.faults[0].contains("the keys are of"));
    }

    #[test]
    fn whatever_is_changed_in_the_file_is_told() {
        let clip = exported();
        let sound = [track(&clip.samples)];
        for at in (8..clip.mdat.len()).step_by(11) {
            let mut altered = clip.mdat.clone();
            altered[at] ^= 1;
            let report = clip.verify(&altered, &sound).unwrap();
            assert!(!report.proven && report.faults[0].contains("was altered"));
        }
        // Proven bytes that do not play, or do in another order, or beside others.
        let mut swapped = clip.samples.clone();
        swapped.swap(1, 3);
        let short = [track(&clip.samples[..7])];
        let more = [track(&clip.samples), track(&clip.samples[2..4])];
        for tracks in [&[track(&swapped)][..], &short, &more, &[]] {
            let report = clip.verify(&clip.mdat, tracks).unwrap();
            assert!(
                !report.proven && report.faults[0].contains("track"),
                "{:?}",
                report.faults
            );
        }
    }

    #[test]
    fn a_file_without_a_proof_and_one_that_is_no_mp4_are_refused_with_a_reason() {
        let clip = exported();
        let moov = iso_box(b"moov", &track(&clip.samples));
        let refusal = |boxes: &[&[u8]]| {
            let refused = clip.verify_file(boxes).map(|report| report.proven);
            format!("{:#}", refused.unwrap_err())
        };
        assert!(refusal(&[&clip.mdat, &moov]).contains("carries no proof"));
        assert!(refusal(&[&clip.mdat, &clip.uuid]).contains("no moov"));
        assert!(refusal(&[&clip.uuid, &moov, &clip.uuid]).contains("two of"));
        assert!(refusal(&[&clip.uuid[..9]]).contains("cut off"));
        assert!(refusal(&[b"\0\0\0\x03abcdefgh"]).contains("cut off"));
        let cut = &clip.uuid[..clip.uuid.len() - 1];
        let cut = [&(cut.len() as u32).to_be_bytes()[..], &cut[4..]].concat();
        assert!(refusal(&[&clip.mdat, &moov, &cut]).contains("the proof is damaged"));
    }
}
