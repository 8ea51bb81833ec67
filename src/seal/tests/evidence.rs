//! A clip's file: its segments are put together again out of it, and what was changed in it is told.

use std::sync::LazyLock;

use super::clip::{Recorded, recorded};
use super::*;

/// Segments of two fragments, half of the name in each.
static FRAGMENTED: LazyLock<Recorded> = LazyLock::new(|| recorded(|name| fragments(name).concat()));

fn iso_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn fragments(name: &str) -> [Vec<u8>; 2] {
    let (first, second) = name.as_bytes().split_at(name.len() / 2);
    [first, second].map(|half| [iso_box(b"moof", b"head"), iso_box(b"mdat", half)].concat())
}

/// A file with the segments of a clip of two renditions, each in two parts, and the evidence of it.
fn exported() -> (Vec<u8>, ClipEvidence) {
    let (file, places) = placed();
    let proof = FRAGMENTED.make(FRAGMENTED.clip());
    (file, ClipEvidence::new(proof, places).unwrap())
}

fn placed() -> (Vec<u8>, Vec<SegmentPlace>) {
    let mut file = b"the boxes before".to_vec();
    let mut places = Vec::new();
    for (_, leaf) in FRAGMENTED.clip() {
        let name = format!("{} {} {}", leaf.camera, leaf.rendition, leaf.msn);
        let offset = file.len() as u64;
        let parts = fragments(&name).map(|fragment| {
            file.extend(&fragment);
            ClipPart {
                head_bytes: HEAD_BYTES,
                media_bytes: fragment.len() as u32 - HEAD_BYTES,
            }
        });
        places.push(SegmentPlace {
            offset,
            parts: parts.to_vec(),
        });
    }
    (file, places)
}

/// A `moof` of twelve bytes and the header of an `mdat`.
const HEAD_BYTES: u32 = 12 + 8;

fn verify(file: &[u8], evidence: &ClipEvidence) -> Result<VerifiedClip, ClipProofError> {
    evidence.verify(FRAGMENTED.keys.public_keys(), |offset, buffer| {
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
    let ranges: Vec<_> = read.media().flat_map(|(_, ranges)| ranges).collect();
    assert_eq!(ranges.len(), 2 * 40);
    let played: String = ranges[..2]
        .iter()
        .map(|&(start, bytes)| &file[start as usize..][..bytes as usize])
        .map(String::from_utf8_lossy)
        .collect();
    assert_eq!(played, "porch high 50");
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
    let proof = FRAGMENTED.make(FRAGMENTED.clip());
    assert_eq!(ClipEvidence::new(proof, vec![]), None);
}

#[test]
fn what_is_recorded_as_media_cannot_be_passed_off_as_a_head() {
    let refused = |change: fn(&mut SegmentPlace)| {
        let (file, mut places) = placed();
        change(&mut places[3]);
        let proof = FRAGMENTED.make(FRAGMENTED.clip());
        let evidence = ClipEvidence::new(proof, places).unwrap();
        match verify(&file, &evidence) {
            Err(ClipProofError::Segments(faults)) => faults.len() == 1,
            other => panic!("{other:?}"),
        }
    };
    // The first fragment, all of it, is said to stand before the samples of the second.
    assert!(refused(|place| {
        let first = place.parts.remove(0);
        place.parts[0].head_bytes += first.head_bytes + first.media_bytes;
    }));
    // The first picture of a fragment, too.
    assert!(refused(|place| {
        place.parts[0].head_bytes += 2;
        place.parts[0].media_bytes -= 2;
    }));
    // Or the last, as the head of the next.
    assert!(refused(|place| {
        place.parts[0].media_bytes -= 2;
        place.parts[1].head_bytes += 2;
    }));
    assert!(refused(|place| place.parts[1].media_bytes += 1));
    assert!(refused(|place| place.parts.clear()));
    assert!(refused(|place| place.offset += 1));
}

#[test]
fn a_part_that_claims_the_end_of_numbers_takes_no_memory() {
    let clip = FRAGMENTED.clip()[..1].to_vec();
    let endless = |offset| SegmentPlace {
        offset,
        parts: vec![ClipPart {
            head_bytes: 20,
            media_bytes: 256 << 20,
        }],
    };
    let proof = || FRAGMENTED.make(clip.clone());
    assert_eq!(
        ClipEvidence::new(proof(), vec![endless(u64::MAX - 1)]),
        None
    );
    let evidence = ClipEvidence::new(proof(), vec![endless(u64::MAX - (512 << 20))]).unwrap();
    assert!(verify(b"", &evidence).is_err());
    let larger = ClipPart {
        head_bytes: 20,
        media_bytes: (256 << 20) + 1,
    };
    let place = |parts| SegmentPlace { offset: 0, parts };
    assert_eq!(ClipEvidence::new(proof(), vec![place(vec![larger])]), None);
    let part = ClipPart {
        head_bytes: 20,
        media_bytes: 1,
    };
    let parts = |count| vec![place(vec![part; count])];
    assert!(ClipEvidence::new(proof(), parts(CLIP_PARTS_MAX)).is_some());
    assert_eq!(ClipEvidence::new(proof(), parts(CLIP_PARTS_MAX + 1)), None);
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
