//! Genuine segments that somebody without the box and its keys put together anew: the head as perch writes it, the proof
//! made again out of the records of genuine clips.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;
use crate::base::{CameraId, Wall};
use crate::cmaf::{ClipSegment, ClipWriter, Joint, SampleEntry, uuid_box};
use crate::media::{RenditionId, TrackKind};
use crate::seal::{
    ClipPart, ClipProof, Frontier, Leaf, SignedCheckpoint, TileId, TileSource, Tree,
};
use crate::store::ClipFileWish;
use crate::store::tests::fragments::{front, record_of};

/// A segment out of a genuine clip.
struct Taken {
    index: u64,
    leaf: Leaf,
    bytes: Vec<u8>,
    parts: Vec<ClipPart>,
    fragments: Vec<(u64, ReadFragment)>,
    entry: SampleEntry,
}

/// The tiles of a log, made of its leaves.
#[derive(Clone, Default)]
struct Tiles(BTreeMap<TileId, Vec<u8>>);

impl TileSource for Tiles {
    type Error = Infallible;

    fn tile(&mut self, id: TileId) -> Result<Vec<u8>, Infallible> {
        Ok(self.0.get(&id).cloned().unwrap_or_default())
    }
}

/// Clips that have every segment of a log between them, taken apart.
pub(super) struct Workshop {
    note: SignedCheckpoint,
    taken: Vec<Taken>,
    tiles: Tiles,
}

impl Workshop {
    /// All that was recorded, as a clip of each camera.
    pub(super) fn new(porch: &Porch, cameras: &[CameraId]) -> Self {
        let mut note = None;
        let mut taken = Vec::new();
        for camera in cameras {
            let wish = ClipFileWish {
                camera: camera.clone(),
                ..wish(0, 3_600_000)
            };
            let archive = Archive::open(porch.dir.path()).unwrap();
            let clip = archive.clip_file(&wish).unwrap();
            assert!(clip.unproven().is_none(), "{:?}", clip.unproven());
            let clip = read_all(&Arc::new(clip), 0);
            porch.holds(&clip);
            note = Some(take_apart(porch, &clip, &mut taken));
        }
        taken.sort_by_key(|segment| segment.index);
        let (mut frontier, mut tiles) = (Frontier::default(), Tiles::default());
        for (index, segment) in (0..).zip(&taken) {
            assert_eq!(segment.index, index, "the clips have all of the log");
            let mut entries = Vec::new();
            frontier.append(segment.leaf.hash(), &mut entries);
            for entry in entries {
                tiles.0.entry(entry.tile).or_default().extend(entry.hash.0);
            }
        }
        Self {
            note: note.unwrap(),
            taken,
            tiles,
        }
    }

    /// The records that `wanted` picks, in the order in which a clip has them: by number, pictures before sound.
    fn pick(&self, wanted: impl Fn(&Leaf) -> bool) -> Vec<&Taken> {
        let mut picked: Vec<_> = self.taken.iter().filter(|of| wanted(&of.leaf)).collect();
        let place = |of: &&Taken| (of.leaf.msn, of.leaf.rendition.kind == TrackKind::Audio);
        picked.sort_by_key(place);
        picked
    }

    /// A clip of what `wanted` picks.
    pub(super) fn forge(&self, wanted: impl Fn(&Leaf) -> bool) -> Vec<u8> {
        let picked = self.pick(wanted);
        let mut writer = ClipWriter::default();
        let (mut media, mut places, mut next) = (Vec::new(), Vec::new(), None);
        for taken in &picked {
            let leaf = &taken.leaf;
            let segment = ClipSegment {
                entry: &taken.entry,
                bytes_count: taken.bytes.len() as u64,
                fragments: &taken.fragments,
            };
            if leaf.rendition.kind == TrackKind::Audio {
                writer.push_sound(&segment).unwrap();
            } else {
                let joint = match next == Some((leaf.run, leaf.msn)) {
                    true => Joint::GoesOn,
                    false => Joint::Starts,
                };
                writer.push_pictures(&segment, joint, 0, u64::MAX).unwrap();
                next = Some((leaf.run, leaf.msn + 1));
            }
            places.push(SegmentPlace {
                offset: media.len() as u64,
                parts: taken.parts.clone(),
            });
            media.extend(&taken.bytes);
        }
        let head = writer.finish(NOON).unwrap().bytes;
        for place in &mut places {
            place.offset += head.len() as u64;
        }
        let segments = picked.iter().map(|of| (of.index, of.leaf.clone()));
        let mut tree = Tree::new(self.tiles.clone(), self.taken.len() as u64).unwrap();
        let proof = ClipProof::make(&self.note, &mut tree, segments.collect()).unwrap();
        let evidence = ClipEvidence::new(proof, places).unwrap().encode();
        let proof = uuid_box(&CLIP_PROOF_UUID, &evidence);
        [&head[..], &media, &proof].concat()
    }
}

/// Takes a clip's segments; returns the checkpoint that it carries.
fn take_apart(porch: &Porch, clip: &[u8], taken: &mut Vec<Taken>) -> SignedCheckpoint {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    std::fs::write(&path, clip).unwrap();
    let file = File::open(&path).unwrap();
    let check = HeadCheck::new(&clip[..body(clip, b"mdat").start]).unwrap();
    let evidence = &clip[body(clip, b"uuid")];

    // Behind two openings and the size of the proof.
    let mut at = b"perch clip evidence\0v".len() + 4 + b"perch clip proof\0v".len();
    let mut take = |count: usize| {
        at += count;
        &evidence[at - count..at]
    };
    let note_bytes = word(take(4), 0) as usize;
    let note = SignedCheckpoint::parse(std::str::from_utf8(take(note_bytes)).unwrap()).unwrap();
    take(4);
    let store = porch.open();
    for (leaf, place) in ClipEvidence::decode(evidence).unwrap().segments() {
        let index = u64::from_be_bytes(take(8).try_into().unwrap());
        assert_eq!(take(leaf.encode().len()), leaf.encode());
        let header = check.fragment_header(leaf.rendition.kind);
        let init = store.load_init(&leaf.camera, leaf.rendition, leaf.run);
        let start = place.offset as usize;
        taken.push(Taken {
            index,
            leaf: leaf.clone(),
            bytes: clip[start..start + place.bytes_count() as usize].to_vec(),
            parts: place.parts.clone(),
            fragments: read_fragments(&file, place, &header).unwrap(),
            entry: SampleEntry::read(&init.unwrap().unwrap()).unwrap(),
        });
    }
    note
}

pub(super) fn is_sound(leaf: &Leaf) -> bool {
    leaf.rendition.kind == TrackKind::Audio
}

/// Two cameras of one box, which number their segments alike.
fn of_two_cameras() -> (Porch, [CameraId; 2]) {
    let cameras = [front(), CameraId::from_description("garden")];
    let porch = Porch::with(|store| {
        for (camera, later_ms) in cameras.iter().zip([0, 1_800_000]) {
            for rendition in [LOW, SOUND] {
                let start = NOON.plus_ms(later_ms);
                record_of(store, camera, rendition, 0, 1280, [0, 0, 5], start);
            }
        }
    });
    (porch, cameras)
}

#[test]
fn the_pictures_of_one_camera_with_the_sound_of_another_are_refused() {
    let (porch, cameras) = of_two_cameras();
    let workshop = Workshop::new(&porch, &cameras);
    for camera in &cameras {
        porch.holds(&workshop.forge(|leaf| leaf.camera == *camera));
        let forged = workshop.forge(|leaf| is_sound(leaf) == (leaf.camera == *camera));
        let said = porch.refusal(&forged);
        assert!(said.contains("a clip is of one camera"), "{said}");
    }
}

#[test]
fn sound_of_another_time_is_refused() {
    let recorded = |later_ms: i64| {
        Porch::with(|store| {
            let record = |rendition: RenditionId, start: Wall| {
                record_of(store, &front(), rendition, 0, 1280, [0, 0, 5], start);
            };
            record(LOW, NOON);
            record(SOUND, NOON.plus_ms(later_ms));
        })
    };
    // Labels are of one clock, and this is what a reel lets them drift.
    let porch = recorded(10_000);
    porch.holds(&porch.proven(0, 3_700_000));
    for later_ms in [10_001, 3_600_000] {
        let porch = recorded(later_ms);
        let said = porch.refusal(&porch.proven(0, 3_700_000));
        assert!(said.contains("recorded at another time"), "{said}");
    }
}
