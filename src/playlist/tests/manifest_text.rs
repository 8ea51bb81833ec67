//! The DASH manifests of recordings.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::*;
use crate::base::Wall;
use crate::media::{
    AudioParameters, FrameRate, RenditionId, Rung, TrackParameters, VideoParameters,
};

const LOW: RenditionId = RenditionId::video(Rung::Low);
const SOUND: RenditionId = RenditionId::audio(Rung::Low);

fn parameters(id: RenditionId) -> TrackParameters {
    if id == SOUND {
        TrackParameters::Audio(AudioParameters {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_bps: 128_000,
        })
    } else {
        TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x1F, 0xFF]),
            width: 854,
            height: 480,
            frame_rate: FrameRate::whole(30),
            bitrate_bps: 1_000_000,
        })
    }
}

/// A track, its timescale, and its segments as `(msn, run, start, duration)` in ticks.
type Case<'a> = (RenditionId, u32, &'a [(u64, u64, u64, u64)]);

fn manifest(tracks: [Case<'_>; 2]) -> String {
    let recorded = tracks.map(|(id, timescale, segments)| RecordedTrack {
        id,
        segments: segments
            .iter()
            .map(|(msn, run, start_ticks, duration_ticks)| RecordedSegment {
                msn: *msn,
                run: *run,
                wall_start: Wall(0),
                start_ticks: *start_ticks,
                duration_ticks: *duration_ticks,
                timescale,
            })
            .collect(),
    });
    let aligned = align_recording(&recorded);
    let listed: Vec<_> = recorded
        .iter()
        .zip(aligned)
        .map(|(track, segments)| ManifestTrack {
            id: track.id,
            parameters: BTreeMap::from([0, 1].map(|run| (run, parameters(track.id)))),
            segments,
        })
        .collect();
    render_recording_manifest(&listed)
}

#[test]
fn a_run_is_a_period_whose_sound_is_placed_by_its_pictures() {
    let text = manifest([
        (
            LOW,
            90_000,
            &[
                (4, 0, 900_000, 180_000),
                (5, 0, 1_080_000, 180_000),
                (6, 0, 1_260_000, 90_000),
                (9, 1, 0, 180_000),
            ],
        ),
        (
            SOUND,
            48_000,
            &[
                (4, 0, 480_400, 96_256),
                (5, 0, 576_656, 95_232),
                (6, 0, 671_888, 48_128),
                (9, 1, 100, 96_256),
            ],
        ),
    ]);
    let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\" minBufferTime=\"PT2S\" mediaPresentationDuration=\"PT7.000000S\">
  <Period id=\"0\" start=\"PT0.000000S\" duration=\"PT5.000000S\">
    <AdaptationSet contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\">
      <Representation id=\"low\" bandwidth=\"1000000\" codecs=\"avc1.42C01F\" width=\"854\" height=\"480\" frameRate=\"30/1\">
        <SegmentTemplate timescale=\"90000\" presentationTimeOffset=\"900000\" startNumber=\"4\" initialization=\"low/init-0.mp4\" media=\"low/$Number$.m4s\">
          <SegmentTimeline>
            <S t=\"900000\" d=\"180000\" r=\"1\"/>
            <S t=\"1260000\" d=\"90000\"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
    <AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\">
      <Representation id=\"audio-low\" bandwidth=\"128000\" codecs=\"mp4a.40.2\" audioSamplingRate=\"48000\">
        <AudioChannelConfiguration schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"2\"/>
        <SegmentTemplate timescale=\"48000\" presentationTimeOffset=\"480000\" startNumber=\"4\" initialization=\"audio-low/init-0.mp4\" media=\"audio-low/$Number$.m4s\">
          <SegmentTimeline>
            <S t=\"480400\" d=\"96256\"/>
            <S t=\"576656\" d=\"95232\"/>
            <S t=\"671888\" d=\"48128\"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
  </Period>
";
    let (first, second) = text.split_at(expected.len().min(text.len()));
    assert_eq!(first, expected);
    assert!(
        second.starts_with("  <Period id=\"1\" start=\"PT5.000000S\" duration=\"PT2.000000S\">\n")
    );
    assert!(second.contains(
        "presentationTimeOffset=\"0\" startNumber=\"9\" initialization=\"low/init-1.mp4\""
    ));
    assert!(second.ends_with("  </Period>\n</MPD>\n"));
}

#[test]
fn what_is_missing_ends_a_period_and_what_is_not_known_is_left_out() {
    let segments = [
        (4, 0, 0, 180_000),
        (6, 0, 360_000, 180_000),
        (7, 5, 0, 180_000),
    ];
    let text = manifest([(LOW, 90_000, &segments), (SOUND, 48_000, &[])]);
    assert_eq!(text.matches("<Period ").count(), 2);
    assert!(text.contains("presentationTimeOffset=\"360000\" startNumber=\"6\""));
    assert!(!text.contains("audio"));
    let nothing = manifest([(LOW, 90_000, &[]), (SOUND, 48_000, &[])]);
    assert!(nothing.contains("mediaPresentationDuration=\"PT0.000000S\">\n</MPD>"));
}
