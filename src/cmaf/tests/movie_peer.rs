//! ffmpeg and GStreamer as the peers that open our movies: the pictures between the cuts, to the bit, and nothing else.

use std::path::Path;

use super::super::{ClipWriter, Joint, MovieHead, SampleEntry, TimelapseWriter, uuid_box};
use super::golden;
use super::movies::{Recorded, file, record};
use super::peer::{encoded_pictures, encoded_sound, run};
use super::*;
use crate::base::Wall;

const NOON: Wall = Wall(1_795_255_200_000);
const PICTURE_TICKS: u64 = 3000;
const ORIGIN: TrackOrigin = TrackOrigin {
    msn: 0,
    start_ticks: 0,
};

struct Material {
    entry: SampleEntry,
    pictures: Vec<Recorded>,
    sound_entry: SampleEntry,
    sound: Vec<Recorded>,
}

fn material() -> Material {
    let (parameters, units) = encoded_pictures();
    let (entry, pictures) = record(parameters, ORIGIN, units);
    let (parameters, units) = encoded_sound();
    let (sound_entry, sound) = record(parameters, ORIGIN, units);
    Material {
        entry,
        pictures,
        sound_entry,
        sound,
    }
}

/// Six seconds of which pictures `from..to` are wanted, the second segment of three left out if so wished.
fn clip(material: &Material, from: u64, to: u64, hole: bool) -> (MovieHead, Vec<u8>) {
    let mut writer = ClipWriter::default();
    let mut media = Vec::new();
    for (index, (pictures, sound)) in material.pictures.iter().zip(&material.sound).enumerate() {
        if hole && index == 1 {
            continue;
        }
        let joint = if index == 0 || hole {
            Joint::Starts
        } else {
            Joint::GoesOn
        };
        let to_ticks = if index == 2 {
            (to - 120) * PICTURE_TICKS
        } else {
            u64::MAX
        };
        let segment = pictures.as_segment(&material.entry);
        writer
            .push_pictures(&segment, joint, from * PICTURE_TICKS, to_ticks)
            .expect("one format");
        let segment = sound.as_segment(&material.sound_entry);
        writer.push_sound(&segment).expect("one format");
        media.extend([pictures, sound]);
    }
    let head = writer.finish(NOON).expect("pictures");
    let mut file = file(&head, &media);
    file.extend(uuid_box(&[7; 16], b"what players do not know"));
    (head, file)
}

/// The digests of the pictures that ffmpeg shows, and of the sound that it plays, of a file of ours.
fn shown(path: &Path, stream: &str) -> Vec<String> {
    let path = path.to_str().expect("a temporary path is text");
    let output = run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-nostdin",
            "-i",
            path,
            "-map",
            stream,
            "-fps_mode",
            "passthrough",
            "-f",
            "framemd5",
            "-",
        ],
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(',')?.1.trim().to_owned()))
        .collect()
}

fn probe(path: &Path, entries: &str) -> String {
    let path = path.to_str().expect("a temporary path is text");
    let output = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-show_entries",
            entries,
            "-of",
            "csv=p=0",
            path,
        ],
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn ffmpeg_shows_the_pictures_between_the_cuts_and_no_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clip.mp4");
    let material = material();
    let (head, whole) = clip(&material, 0, 180, false);
    assert_eq!((head.pictures, head.duration_ticks), (180, 6 * 90_000));
    std::fs::write(&path, whole).expect("written");
    let all = shown(&path, "0:v");
    assert_eq!(all.len(), 180);

    for (from, to, hole) in [
        (0, 180, false),
        (1, 179, false),
        (37, 121, false),
        (59, 180, false),
        (44, 150, true),
    ] {
        let (head, bytes) = clip(&material, from, to, hole);
        std::fs::write(&path, bytes).expect("written");
        let within =
            |number: &u64| (from..to).contains(number) && !(hole && (60..120).contains(number));
        let expected: Vec<_> = (0..180)
            .filter(within)
            .map(|number| all[number as usize].clone())
            .collect();
        assert!(shown(&path, "0:v") == expected, "{from}..{to} {hole}");
        assert_eq!(head.pictures, expected.len() as u64);
        // The sound lasts as long as the pictures, but for one of its samples and what the encoder lacked at its end.
        let durations = probe(&path, "stream=duration");
        let durations: Vec<f64> = durations
            .lines()
            .map(|text| text.parse().expect("seconds"))
            .collect();
        assert!(
            durations[0] - expected.len() as f64 / 30.0 < 0.001,
            "{durations:?}"
        );
        assert!((durations[0] - durations[1]).abs() < 0.05, "{durations:?}");
    }
    let created = probe(&path, "format_tags=creation_time");
    assert_eq!(created, "2026-11-21T10:00:00.000000Z");
}

#[test]
fn gstreamer_plays_pictures_and_sound() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clip.mp4");
    let (_, bytes) = clip(&material(), 37, 150, false);
    std::fs::write(&path, bytes).expect("written");
    let address = format!("uri=file://{}", path.display());
    let (video, audio) = (
        "video-sink=fakesink sync=false",
        "audio-sink=fakesink sync=false",
    );
    // A player that waits for what never comes must not hang the tests.
    let player = [
        "30",
        "gst-launch-1.0",
        "-m",
        "playbin",
        &address,
        video,
        audio,
    ];
    let output = run("timeout", &player);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("from element \"playbin0\" (eos)"), "{said}");
    for kind in ["video-codec", "audio-codec"] {
        assert!(said.contains(kind), "{said}");
    }
}

#[test]
fn ffmpeg_shows_every_picture_of_a_time_lapse() {
    let material = material();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("timelapse.mp4");
    let mut writer = TimelapseWriter::new(4500);
    let mut media = Vec::new();
    for segment in &material.pictures {
        let (start, fragment) = &segment.fragments[0];
        let sample = fragment.samples[0];
        writer
            .push(&material.entry, sample.size_bytes as u32)
            .expect("one format");
        media.extend_from_slice(
            &segment.bytes[*start as usize + sample.offset..][..sample.size_bytes],
        );
    }
    let head = writer.finish(NOON).expect("three pictures");
    std::fs::write(&path, [&head.bytes[..], &media].concat()).expect("written");
    assert_eq!(shown(&path, "0:v").len(), 3);
    assert_eq!(
        probe(&path, "stream=avg_frame_rate,duration"),
        "20/1,0.150000"
    );
}

#[test]
fn the_boxes_of_a_clip_and_of_a_time_lapse_are_what_they_were() {
    let (entry, seen) = record(video(30), ORIGIN, pictures(30, 60));
    let (sound_entry, heard) = record(audio(48_000), ORIGIN, sounds(94));
    let mut writer = ClipWriter::default();
    let segment = seen[0].as_segment(&entry);
    writer
        .push_pictures(&segment, Joint::Starts, 45_000, 93_000)
        .expect("one format");
    let segment = heard[0].as_segment(&sound_entry);
    writer.push_sound(&segment).expect("one format");
    let head = writer.finish(NOON).expect("pictures");
    // Of the media, whose bytes are those of the segments, an empty box is enough.
    let without_media = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let size = bytes.len() - 8;
        bytes[size..size + 4].copy_from_slice(&8u32.to_be_bytes());
        bytes
    };
    golden::check("movie-clip", &without_media(&head.bytes));

    let mut writer = TimelapseWriter::new(3000);
    for size in [100, 120, 90] {
        writer.push(&entry, size).expect("one format");
    }
    let head = writer.finish(NOON).expect("pictures");
    golden::check("movie-timelapse", &without_media(&head.bytes));
}
