//! The multivariant playlist and the playlists of recordings.

use bytes::Bytes;

use super::super::*;
use crate::base::Wall;
use crate::media::{
    AudioParameters, FrameRate, RenditionId, Rung, TrackParameters, VideoParameters,
};

fn picture(rung: Rung) -> OpenRendition {
    OpenRendition {
        id: RenditionId::video(rung),
        parameters: TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x1F, 0xFF]),
            width: 1280,
            height: 720,
            frame_rate: FrameRate::whole(30),
            bitrate_bps: 2_000_000,
        }),
        query: String::new(),
    }
}

fn sound(rung: Rung) -> OpenRendition {
    OpenRendition {
        id: RenditionId::audio(rung),
        parameters: TrackParameters::Audio(AudioParameters {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_bps: 192_000,
        }),
        query: String::new(),
    }
}

#[test]
fn each_picture_names_the_sound_of_its_rung() {
    let renditions = [picture(Rung::Medium), sound(Rung::Medium)];
    let expected = r#"#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-medium",NAME="sound",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio-medium/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2740000,AVERAGE-BANDWIDTH=2301600,CODECS="avc1.42C01F,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000,AUDIO="audio-medium"
medium/index.m3u8
"#;
    assert_eq!(render_multivariant(&renditions), expected);
}

#[test]
fn a_picture_whose_sound_is_missing_takes_the_nearest() {
    let check = |sounds: &[Rung], expected: &str| {
        let mut renditions = vec![picture(Rung::Medium)];
        renditions.extend(sounds.iter().map(|rung| sound(*rung)));
        let text = render_multivariant(&renditions);
        let line = text
            .lines()
            .find(|line| line.starts_with("#EXT-X-STREAM-INF"));
        assert!(line.expect("a variant").contains(expected), "{text}");
    };
    check(
        &[Rung::VeryLow, Rung::Low, Rung::High],
        ",AUDIO=\"audio-low\"",
    );
    check(&[Rung::High], ",AUDIO=\"audio-high\"");
    check(&[], ",FRAME-RATE=30.000");
}

#[test]
fn variants_are_listed_lowest_first_and_without_sound_where_there_is_none() {
    let text = render_multivariant(&[picture(Rung::High), picture(Rung::VeryLow)]);
    let uris: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(uris, ["very_low/index.m3u8", "high/index.m3u8"]);
    assert!(!text.contains("AUDIO"));
}

#[test]
fn sound_alone_can_be_listened_to() {
    let text = render_multivariant(&[sound(Rung::Low)]);
    assert!(text.ends_with("CODECS=\"mp4a.40.2\"\naudio-low/index.m3u8\n"));
}

#[test]
fn a_recordings_range_follows_into_its_playlists() {
    let mut ranged = picture(Rung::Low);
    ranged.query = "?from=a&to=b".to_owned();
    assert!(render_multivariant(&[ranged]).ends_with("\nlow/index.m3u8?from=a&to=b\n"));
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
        #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n\
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
    assert_eq!(render_recording_playlist(&segments), expected);
}

#[test]
fn an_empty_recording_is_an_ended_playlist() {
    let text = render_recording_playlist(&[]);
    assert!(
        text.starts_with("#EXTM3U\n")
            && text.ends_with("VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-ENDLIST\n")
    );
}
