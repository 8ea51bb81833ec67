//! The multivariant playlist.

use bytes::Bytes;

use super::super::*;
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
