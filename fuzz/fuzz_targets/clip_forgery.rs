//! Edits of a clip that is proven: whatever is made of its file, and of where its evidence says that segments lie, is
//! refused, or has the media that was recorded. The signatures hold, so that what is behind them is reached.
//! `./scripts/fuzz clip_forgery`

#![no_main]

use std::convert::Infallible;
use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use perch_fuzz::base::{DigestKind, Wall};
use perch_fuzz::cmaf::{
    ClipSegment, ClipWriter, FILE_BOX_HEADER_BYTES_MAX, FragmentHead, HeadCheck, Joint,
    ReadFragment, RecordedSegment, SampleEntry, TrackOrigin, TrackWriter, read_fragment,
    read_fragment_head, read_init,
};
use perch_fuzz::media::{
    AccessUnit, AudioParameters, FrameRate, RenditionId, Rung, TrackKind, TrackParameters,
    VideoParameters,
};
use perch_fuzz::seal::{
    ClipEvidence, ClipPart, ClipProof, Frontier, Leaf, Origin, PublicKeys, SegmentPlace,
    SigningKeys, TileId, TileSource, Tree,
};

const NOON: Wall = Wall(1_795_255_200_000);

/// Each of two seconds.
const SEGMENTS: u64 = 2;

/// Edits beyond these say nothing new, and take time.
const EDITS_MAX: usize = 16;

struct Recorded {
    msn: u64,
    bytes: Vec<u8>,
    fragments: Vec<(u64, ReadFragment)>,
}

/// A clip's file up to the end of its media, and its evidence in pieces.
#[derive(Clone)]
struct Clip {
    keys: PublicKeys,
    proof: ClipProof,
    places: Vec<SegmentPlace>,
    file: Vec<u8>,
    media_start: usize,
}

/// The only tile of a small log.
struct Tile(Vec<u8>);

impl TileSource for Tile {
    type Error = Infallible;

    fn tile(&mut self, _: TileId) -> Result<Vec<u8>, Infallible> {
        Ok(self.0.clone())
    }
}

/// With keys that are new each time.
static CLIP: LazyLock<Clip> = LazyLock::new(|| {
    let clip = made();
    assert!(is_proven(&clip), "what was not edited holds");
    clip
});

fn record(parameters: &TrackParameters, ticks: u32, count: u64) -> (SampleEntry, Vec<Recorded>) {
    let is_sound = matches!(parameters, TrackParameters::Audio(_));
    let origin = TrackOrigin {
        msn: 7,
        start_ticks: 0,
    };
    let mut writer = TrackWriter::new(parameters.clone(), origin).expect("they fit a header");
    let init = writer.init_segment().bytes;
    let header = read_init(&init).expect("our own header");
    let mut parts = Vec::new();
    for index in 0..count {
        let unit = AccessUnit {
            pts_ticks: index * u64::from(ticks),
            duration_ticks: ticks,
            keyframe: is_sound || index % (count / SEGMENTS) == 0,
            data: vec![index as u8; 1 + index as usize % 3].into(),
        };
        parts.extend(writer.push(unit).expect("in order"));
    }
    parts.extend(writer.finish());
    let mut segments: Vec<Recorded> = Vec::new();
    for part in parts {
        if segments.last().is_none_or(|last| last.msn != part.msn) {
            segments.push(Recorded {
                msn: part.msn,
                bytes: Vec::new(),
                fragments: Vec::new(),
            });
        }
        let segment = segments.last_mut().expect("it was pushed above");
        let start = segment.bytes.len() as u64;
        let fragment = read_fragment(&part.bytes, &header).expect("our own fragment");
        segment.fragments.push((start, fragment));
        segment.bytes.extend_from_slice(&part.bytes);
    }
    let entry = SampleEntry::read(&init).expect("our own header");
    (entry, segments)
}

fn made() -> Clip {
    const AVCC: &[u8] = &[
        1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 5, 0x67, 0x42, 0xC0, 0x1F, 0x11, 1, 0, 4, 0x68, 0xCE,
        0x3C, 0x80,
    ];
    let video = TrackParameters::Video(VideoParameters {
        avcc: Bytes::from_static(AVCC),
        width: 1280,
        height: 720,
        frame_rate: FrameRate::whole(10),
        bitrate_bps: 2_000_000,
    });
    let audio = TrackParameters::Audio(AudioParameters {
        asc: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        bitrate_bps: 64_000,
    });
    let (picture_entry, pictures) = record(&video, 9_000, 20 * SEGMENTS);
    let (sound_entry, sounds) = record(&audio, 1_024, 93 * SEGMENTS);
    let renditions = [
        (RenditionId::video(Rung::High), &picture_entry),
        (RenditionId::audio(Rung::High), &sound_entry),
    ];
    let mut writer = ClipWriter::default();
    let mut media = Vec::new();
    let (mut leaves, mut places) = (Vec::new(), Vec::new());
    let (mut frontier, mut entries) = (Frontier::default(), Vec::new());
    let mut previous = [None; 2];
    for (pictures, sound) in pictures.iter().zip(&sounds) {
        for (which, segment) in [pictures, sound].into_iter().enumerate() {
            let (rendition, entry) = renditions[which];
            let of_clip = ClipSegment {
                entry,
                bytes_count: segment.bytes.len() as u64,
                fragments: &segment.fragments,
            };
            let joint = match media.is_empty() {
                true => Joint::Starts,
                false => Joint::GoesOn,
            };
            match rendition.kind {
                TrackKind::Video => writer.push_pictures(&of_clip, joint, 0, u64::MAX),
                TrackKind::Audio => writer.push_sound(&of_clip),
            }
            .expect("one format");
            let leaf = Leaf {
                camera: "porch".parse().expect("a name"),
                rendition,
                run: 1,
                msn: segment.msn,
                wall_start: NOON.plus_ms(2_000 * segment.msn as i64),
                duration_ms: 2_000,
                digest: DigestKind::Blake2b256.digest(&segment.bytes),
                previous: previous[which],
            };
            previous[which] = Some(leaf.hash());
            leaves.push((frontier.size(), leaf.clone()));
            frontier.append(leaf.hash(), &mut entries);
            places.push(SegmentPlace {
                offset: media.len() as u64,
                parts: segment.fragments.iter().map(part_of).collect(),
            });
            media.extend_from_slice(&segment.bytes);
        }
    }
    let tile = Tile(entries.iter().flat_map(|entry| entry.hash.0).collect());
    let mut tree = Tree::new(tile, frontier.size()).expect("a small one");
    let keys = SigningKeys::generate(Origin::of_box("porch").expect("a name of a box"));
    let keys = keys.expect("randomness");
    let checkpoint = keys.sign(frontier.size(), frontier.root(), NOON);
    let checkpoint = checkpoint.expect("keys that sign");
    let proof = ClipProof::make(&checkpoint, &mut tree, leaves).expect("leaves of the tree");
    let head = writer.finish(NOON).expect("there are pictures");
    let media_start = head.bytes.len();
    for place in &mut places {
        place.offset += media_start as u64;
    }
    Clip {
        keys: keys.public_keys().clone(),
        proof,
        places,
        file: [&head.bytes, media.as_slice()].concat(),
        media_start,
    }
}

fn part_of((_, fragment): &(u64, ReadFragment)) -> ClipPart {
    let head_bytes = fragment.samples[0].offset;
    ClipPart {
        head_bytes: head_bytes as u32,
        media_bytes: (fragment.bytes_count - head_bytes) as u32,
    }
}

/// All that `perch verify` asks of a clip whose boxes are in their order.
fn is_proven(clip: &Clip) -> bool {
    let Some(evidence) = ClipEvidence::new(clip.proof.clone(), clip.places.clone()) else {
        return false;
    };
    assert_eq!(
        ClipEvidence::decode(&evidence.encode()).as_ref(),
        Ok(&evidence)
    );
    let read = |offset: u64, buffer: &mut [u8]| {
        let found = usize::try_from(offset).ok().and_then(|start| {
            let end = start.checked_add(buffer.len())?;
            clip.file.get(start..end)
        });
        found.map(|found| buffer.copy_from_slice(found)).is_some()
    };
    let holds = evidence.verify(&clip.keys, read).is_ok();
    let Ok(mut check) = HeadCheck::new(&clip.file[..clip.media_start]) else {
        return false;
    };
    let plays = evidence.track_faults(&check.ranges()).is_empty();
    holds && plays && takes_all_media(clip, &evidence, &mut check) && check.finish().is_ok()
}

/// Whether the segments, which are genuine, lie behind each other up to the file's end and the head is one for them.
fn takes_all_media(clip: &Clip, evidence: &ClipEvidence, check: &mut HeadCheck<'_>) -> bool {
    let mut at = clip.media_start;
    for (leaf, place) in evidence.segments() {
        if place.offset != at as u64 {
            return false;
        }
        let kind = leaf.rendition.kind;
        let header = check.fragment_header(kind);
        let mut fragments = Vec::new();
        let mut start = 0;
        for part in &place.parts {
            let bytes_count = u64::from(part.head_bytes) + u64::from(part.media_bytes);
            let known = u64::from(part.head_bytes) + FILE_BOX_HEADER_BYTES_MAX as u64;
            let head = &clip.file[at + start..][..known.min(bytes_count) as usize];
            let Ok(FragmentHead::Whole(fragment)) = read_fragment_head(head, bytes_count, &header)
            else {
                return false;
            };
            fragments.push((start as u64, fragment));
            start += bytes_count as usize;
        }
        let pushed = check.push(&RecordedSegment {
            kind,
            run: leaf.run,
            msn: leaf.msn,
            wall_start: leaf.wall_start,
            duration_ms: leaf.duration_ms,
            bytes_count: place.bytes_count(),
            fragments: &fragments,
        });
        if pushed.is_err() {
            return false;
        }
        at += start;
    }
    at == clip.file.len()
}

/// One edit: what, where, and a number that is written there.
fn edit(clip: &mut Clip, [what, high, low, number @ ..]: [u8; 7]) {
    let at = usize::from(u16::from_be_bytes([high, low]));
    let value = u32::from_be_bytes(number);
    let place_index = usize::from(high) % clip.places.len();
    let place = &mut clip.places[place_index];
    let in_head = at % clip.media_start;
    match what % 8 {
        0 => clip.file[in_head] = number[0],
        1 => {
            let field = clip.file[in_head..clip.media_start].iter_mut();
            field.zip(number).for_each(|(byte, new)| *byte = new);
        }
        2 => {
            let at = at % clip.file.len();
            clip.file[at] = number[0];
        }
        3 => place.offset = u64::from(value) << (low % 33),
        4 => place.offset = place.offset.wrapping_add_signed(i64::from(value as i8)),
        5 => {
            let part_index = usize::from(low) % place.parts.len().max(1);
            if let Some(part) = place.parts.get_mut(part_index) {
                part.head_bytes = part
                    .head_bytes
                    .wrapping_add_signed(i32::from(number[0] as i8));
                part.media_bytes = part
                    .media_bytes
                    .wrapping_add_signed(i32::from(number[1] as i8));
            }
        }
        6 => {
            let part_index = usize::from(low) % (place.parts.len() + 1);
            let part = ClipPart {
                head_bytes: value >> 16,
                media_bytes: value & 0xFFFF,
            };
            match number[0] {
                0 => drop(place.parts.drain(part_index..)),
                _ => place.parts.insert(part_index, part),
            }
        }
        _ => {
            let other = usize::from(low) % clip.places.len();
            clip.places.swap(place_index, other);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut clip = CLIP.clone();
    let (edits, _) = bytes.as_chunks::<7>();
    for one in edits.iter().take(EDITS_MAX) {
        edit(&mut clip, *one);
    }
    if is_proven(&clip) {
        assert!(clip.places == CLIP.places);
        assert!(clip.file[clip.media_start..] == CLIP.file[CLIP.media_start..]);
    }
});
