//! The playlists of recordings, alone and next to each other.

use super::super::*;
use crate::base::Wall;
use crate::media::{RenditionId, Rung};

const HIGH: RenditionId = RenditionId::video(Rung::High);
const LOW: RenditionId = RenditionId::video(Rung::Low);
const HIGH_SOUND: RenditionId = RenditionId::audio(Rung::High);

fn texts<const N: usize>(tracks: [(RenditionId, &[RecordedSegment]); N]) -> [String; N] {
    let tracks = tracks.map(|(id, segments)| RecordedTrack {
        id,
        segments: segments.to_vec(),
    });
    let aligned = align_recording(&tracks);
    std::array::from_fn(|index| render_recording_playlist(&aligned[index]))
}

/// A track, the `(msn, run)` that are recorded of it, and what it lists.
type Case<'a> = (RenditionId, &'a [(u64, u64)], &'a str);

/// Checks what tracks list: each `!` a discontinuity, behind the sequence of the first.
fn check<const N: usize>(tracks: [Case<'_>; N]) {
    let recorded = tracks.map(|(_, segments, _)| {
        let segments = segments.iter();
        segments
            .map(|(msn, run)| recorded(*msn, *run, msn * 180_000, 180_000))
            .collect::<Vec<_>>()
    });
    let texts: [_; N] = texts(std::array::from_fn(|i| (tracks[i].0, &recorded[i][..])));
    for ((id, _, expected), text) in tracks.iter().zip(texts) {
        let short = text.lines().filter_map(|line| match line {
            "#EXT-X-DISCONTINUITY" => Some("!".to_owned()),
            _ if line.starts_with('#') => line
                .strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:")
                .map(|sequence| format!("{sequence}:")),
            _ => line.strip_suffix(".m4s").map(str::to_owned),
        });
        assert_eq!(short.collect::<Vec<_>>().join(" "), *expected, "{id}");
    }
}

fn recorded(msn: u64, run: u64, start_ticks: u64, duration_ticks: u64) -> RecordedSegment {
    RecordedSegment {
        msn,
        run,
        wall_start: Wall(1_763_712_000_000 + msn as i64 * 2_000),
        start_ticks,
        duration_ticks,
        timescale: 90_000,
    }
}

#[test]
fn a_recording_marks_each_gap_and_each_run() {
    let segments = [
        recorded(4, 1, 0, 180_000),
        recorded(5, 1, 180_000, 90_000),
        recorded(6, 2, 270_000, 180_000),
        recorded(9, 2, 810_000, 180_000),
        recorded(10, 2, 1_000_000, 180_000),
    ];
    let expected = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:4\n\
        #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n\
        #EXT-X-MAP:URI=\"init-1.mp4\"\n\
        #EXT-X-PROGRAM-DATE-TIME:2025-11-21T08:00:08.000Z\n#EXTINF:2.00000,\n4.m4s\n\
        #EXT-X-PROGRAM-DATE-TIME:2025-11-21T08:00:10.000Z\n#EXTINF:1.00000,\n5.m4s\n\
        #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-2.mp4\"\n\
        #EXT-X-PROGRAM-DATE-TIME:2025-11-21T08:00:12.000Z\n#EXTINF:2.00000,\n6.m4s\n\
        #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-2.mp4\"\n\
        #EXT-X-PROGRAM-DATE-TIME:2025-11-21T08:00:18.000Z\n#EXTINF:2.00000,\n9.m4s\n\
        #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-2.mp4\"\n\
        #EXT-X-PROGRAM-DATE-TIME:2025-11-21T08:00:20.000Z\n#EXTINF:2.00000,\n10.m4s\n\
        #EXT-X-ENDLIST\n";
    let [pictures] = texts([(HIGH, &segments)]);
    assert_eq!(pictures, expected);
}

#[test]
fn an_empty_recording_is_an_ended_playlist() {
    let text = render_recording_playlist(&[]);
    assert!(
        text.starts_with("#EXTM3U\n")
            && text.ends_with("VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-ENDLIST\n")
    );
}

#[test]
fn sound_lacks_what_its_picture_lacks_and_both_say_so() {
    check([
        (HIGH, &[(4, 1), (5, 1), (7, 1), (8, 1)], "0: 4 5 ! 7 8"),
        (
            HIGH_SOUND,
            &[(3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)],
            "0: 4 5 ! 7 8",
        ),
    ]);
}

#[test]
fn a_run_without_sound_counts_for_the_sound_too() {
    check([
        (HIGH, &[(4, 1), (5, 2), (6, 2), (7, 3)], "0: 4 ! 5 6 ! 7"),
        (HIGH_SOUND, &[(4, 1), (7, 3)], "0: 4 ! ! 7"),
    ]);
    check([
        (HIGH, &[(4, 1), (5, 2), (6, 2)], "0: 4 ! 5 6"),
        (HIGH_SOUND, &[(5, 2), (6, 2)], "1: 5 6"),
    ]);
}

#[test]
fn a_quality_goes_on_while_another_is_shed() {
    check([
        (LOW, &[(4, 1), (5, 1), (6, 1), (7, 1)], "0: 4 ! 5 6 ! 7"),
        (HIGH, &[(4, 1), (7, 1)], "0: 4 ! ! 7"),
        (HIGH_SOUND, &[(4, 1), (6, 1), (7, 1)], "0: 4 ! ! 7"),
    ]);
}

#[test]
fn no_picture_is_left_out_for_want_of_its_sound() {
    check([
        (HIGH, &[(4, 1), (5, 1), (6, 1), (7, 1)], "0: 4 ! 5 ! 6 ! 7"),
        (HIGH_SOUND, &[(4, 1), (6, 1)], "0: 4 ! ! 6"),
    ]);
    check([(HIGH, &[(4, 1)], "0: 4"), (HIGH_SOUND, &[(5, 1)], "0:")]);
}
