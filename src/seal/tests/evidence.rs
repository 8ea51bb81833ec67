//! A clip's file: its segments are put together again out of it, and what was changed in it is told.

use super::clip::RECORDED;
use super::*;

/// A file with the payloads of a clip of two renditions, each segment in two parts, and the evidence of it.
fn exported() -> (Vec<u8>, ClipEvidence) {
    let clip = RECORDED.clip();
    let mut file = b"the boxes before".to_vec();
    let mut segments = Vec::new();
    for (_, leaf) in &clip {
        // What `RECORDED` takes for the segment's bytes, cut in two fragments.
        let bytes = format!("{} {} {}", leaf.camera, leaf.rendition, leaf.msn).into_bytes();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let mut parts = Vec::new();
        for fragment in [first, second] {
            let (head, payload) = fragment.split_at(3);
            parts.push(ClipPart {
                head: head.to_vec(),
                media_offset: file.len() as u64,
                media_bytes: payload.len() as u32,
            });
            file.extend(payload);
        }
        segments.push(parts);
    }
    let evidence = ClipEvidence::new(RECORDED.make(clip), segments).unwrap();
    (file, evidence)
}

fn verify(file: &[u8], evidence: &ClipEvidence) -> Result<VerifiedClip, ClipProofError> {
    evidence.verify(RECORDED.keys.public_keys(), |offset, buffer| {
        let start = offset as usize;
        match file.get(start..start.saturating_add(buffer.len())) {
            Some(found) => {
                buffer.copy_from_slice(found);
                true
            }
            None => false,
        }
    })
}

#[test]
fn segments_are_put_together_again_out_of_the_file() {
    let (file, evidence) = exported();
    let read = ClipEvidence::decode(&evidence.encode()).unwrap();
    assert_eq!(read, evidence);
    let verified = verify(&file, &read).unwrap();
    assert_eq!(verified.tracks.len(), 2);
    let media = read.media();
    assert_eq!(media.len(), 2);
    let bytes: u64 = media
        .iter()
        .flat_map(|(_, ranges)| ranges)
        .map(|(_, bytes)| bytes)
        .sum();
    assert_eq!(bytes as usize, file.len() - b"the boxes before".len());
}

#[test]
fn each_altered_byte_of_the_media_names_its_segment() {
    let (file, evidence) = exported();
    for at in (16..file.len()).step_by(7) {
        let mut altered = file.clone();
        altered[at] ^= 4;
        let refused = verify(&altered, &evidence);
        let Err(ClipProofError::Segments(faults)) = refused else {
            panic!("byte {at}: {refused:?}")
        };
        assert!(
            matches!(faults[..], [SegmentFault::Altered(_)]),
            "{faults:?}"
        );
    }
    let cut = verify(&file[..file.len() - 1], &evidence);
    assert!(matches!(cut, Err(ClipProofError::Segments(_))));
}

#[test]
fn evidence_that_is_cut_goes_on_or_is_of_another_clip_is_refused() {
    let (file, evidence) = exported();
    let bytes = evidence.encode();
    for cut in (0..bytes.len()).step_by(11) {
        assert!(ClipEvidence::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(
        ClipEvidence::decode(&longer),
        Err(ClipProofError::Malformed)
    );
    for at in (0..bytes.len()).step_by(5) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        if let Ok(read) = ClipEvidence::decode(&altered) {
            assert!(verify(&file, &read).is_err(), "{at}");
        }
    }
    let proof = RECORDED.make(RECORDED.clip());
    assert_eq!(ClipEvidence::new(proof, vec![]), None);
}

#[test]
fn a_part_that_claims_the_end_of_numbers_takes_no_memory() {
    let clip = RECORDED.clip()[..1].to_vec();
    let endless = ClipPart {
        head: vec![],
        media_offset: u64::MAX - 1,
        media_bytes: 256 << 20,
    };
    let proof = RECORDED.make(clip);
    let evidence = ClipEvidence::new(proof, vec![vec![endless]]).unwrap();
    assert!(verify(b"", &evidence).is_err());
}

/// A run with `PERCH_BLESS=1` writes the file, which has landed and must open for ever.
#[test]
fn evidence_of_version_1_still_holds() {
    let path = golden("clip-evidence-v1.bin");
    let (file, evidence) = exported();
    if std::env::var_os("PERCH_BLESS").is_some() {
        std::fs::write(&path, evidence.encode()).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    let read = ClipEvidence::decode(&bytes).unwrap();
    assert!(verify(&file, &read).is_ok());
    assert_eq!(read.encode(), bytes);
}
