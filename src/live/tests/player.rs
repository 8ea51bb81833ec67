//! A real window through the real writer, checked on every part, and played by ffmpeg.

use std::process::Command;

use super::*;
use crate::cmaf::{TrackOrigin, TrackWriter};
use crate::media::{AccessUnit, AudioParameters};

/// `DURATION=` of each listed part in order, with whether it is marked independent.
fn listed_parts(text: &str) -> Vec<(f64, bool)> {
    text.lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-PART:DURATION="))
        .map(|rest| {
            let seconds = rest.split(',').next().expect("a duration");
            (
                seconds.parse().expect("a number"),
                rest.ends_with("INDEPENDENT=YES"),
            )
        })
        .collect()
}

/// What never changes while a stream lives.
fn constants(text: &str) -> Vec<&str> {
    [
        "#EXT-X-TARGETDURATION",
        "#EXT-X-PART-INF",
        "#EXT-X-SERVER-CONTROL",
    ]
    .map(|tag| value(text, tag).expect("always there"))
    .to_vec()
}

#[test]
fn every_playlist_of_a_minute_keeps_the_rules() {
    tokio_test(async {
        let camera = LiveCamera::new(LiveOptions::default());
        camera.begin_run(1, true);
        let sound = RenditionId::audio(Rung::Low);
        let avcc = [
            1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 5, 0x67, 0x42, 0xC0, 0x1F, 0x11, 1, 0, 1, 0x68,
        ];
        let TrackParameters::Video(video) = init().parameters.clone() else {
            unreachable!("the header is a picture's")
        };
        let video = TrackParameters::Video(VideoParameters {
            avcc: Bytes::copy_from_slice(&avcc),
            ..video
        });
        let audio = TrackParameters::Audio(AudioParameters {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_bps: 64_000,
        });
        let origin = TrackOrigin {
            msn: 0,
            start_ticks: 0,
        };
        let mut tracks = [(LOW, video, 3000, 1800), (sound, audio, 1024, 2812)].map(
            |(id, parameters, ticks, count)| {
                let writer = TrackWriter::new(parameters, origin).expect("a header");
                camera.open_rendition(id, Arc::new(writer.init_segment()));
                (id, writer, ticks, count)
            },
        );
        let mut seen_constants: Option<Vec<String>> = None;
        for (id, writer, ticks, count) in &mut tracks {
            let mut sizes = Vec::new();
            for index in 0..*count {
                let unit = AccessUnit {
                    pts_ticks: index * u64::from(*ticks),
                    duration_ticks: *ticks,
                    keyframe: *id == sound || index % 60 == 0,
                    data: Bytes::from_static(b"unit"),
                };
                for part in writer.push(unit).expect("in order") {
                    sizes.push(part.bytes.len());
                    let wall = Wall(1_763_712_000_000 + part.msn as i64 * 2_000);
                    let (msn, index) = (part.msn, part.index);
                    camera.publish(*id, part, wall).expect("in order");
                    let text = text(&camera, *id, ask(msn, index)).await;
                    assert!(text.contains(&format!("URI=\"{msn}.{index}.m4s\"")));
                    let constants: Vec<_> =
                        constants(&text).into_iter().map(str::to_owned).collect();
                    assert_eq!(*seen_constants.get_or_insert(constants.clone()), constants);
                    let parts = listed_parts(&text);
                    assert!(parts.len() <= 28);
                    assert!(parts.iter().all(|(seconds, _)| *seconds <= 0.334));
                    let hint = value(&text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=").expect("a hint");
                    let next = camera.edge(*id).expect("published").next();
                    assert_eq!(hint, format!("\"{}.{}.m4s\"", next.0, next.1));
                    let segments = text.lines().filter(|line| !line.starts_with('#')).count();
                    let dates = text.matches("#EXT-X-PROGRAM-DATE-TIME").count();
                    assert!(dates == segments || dates == segments + 1);
                }
            }
            assert!(sizes.len() >= 180);
        }
    });
}

/// Writes what the camera serves into a folder under its addresses and lets ffprobe count the pictures.
#[test]
fn ffmpeg_plays_the_window_over_a_restart() {
    let encode = || {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i"])
            .arg("testsrc2=size=160x120:rate=30:duration=4")
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "superfast",
                "-profile:v",
                "baseline",
            ])
            .args([
                "-pix_fmt",
                "yuv420p",
                "-g",
                "60",
                "-keyint_min",
                "60",
                "-sc_threshold",
                "0",
            ])
            .args([
                "-bf",
                "0",
                "-movflags",
                "frag_keyframe+empty_moov+default_base_moof",
            ])
            .args(["-video_track_timescale", "90000", "-f", "mp4", "-"])
            .output()
            .expect("ffmpeg must be installed to run the tests");
        assert!(output.status.success());
        output.stdout
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rendition = folder.path().join("low");
    std::fs::create_dir(&rendition).expect("a folder");
    let camera = LiveCamera::new(LiveOptions::default());
    for run in 1..3 {
        let file = encode();
        let header = crate::cmaf::read_init(&file).expect("ffmpeg's header reads");
        assert_eq!(header.timescale, 90_000);
        // The timeline goes on: ffmpeg drops pictures whose decode time goes back.
        let origin = TrackOrigin {
            msn: 2 * run,
            start_ticks: 180_000 * 2 * run,
        };
        let mut writer = TrackWriter::new(header.parameters.clone(), origin).expect("a header");
        camera.begin_run(run, true);
        camera.open_rendition(LOW, Arc::new(writer.init_segment()));
        let mut rest = &file[..];
        while let Ok(fragment) = crate::cmaf::read_fragment(rest, &header) {
            let mut pts_ticks = fragment.start_ticks;
            for sample in &fragment.samples {
                let unit = AccessUnit {
                    pts_ticks,
                    duration_ticks: sample.duration_ticks,
                    keyframe: sample.sync,
                    data: Bytes::copy_from_slice(&rest[sample.offset..][..sample.size_bytes]),
                };
                pts_ticks += u64::from(sample.duration_ticks);
                for part in writer.push(unit).expect("in order") {
                    let wall = Wall(1_763_712_000_000 + part.msn as i64 * 2_000);
                    camera.publish(LOW, part, wall).expect("in order");
                }
            }
            rest = &rest[fragment.bytes_count..];
        }
        let bytes = camera.init(LOW, run).expect("the run's header");
        std::fs::write(rendition.join(format!("init-{run}.mp4")), bytes).expect("written");
    }
    camera.end();
    for msn in 2..6 {
        let parts = camera.segment(LOW, msn).expect("four segments");
        let bytes = parts.concat();
        std::fs::write(rendition.join(format!("{msn}.m4s")), bytes).expect("written");
    }
    let playlist = tokio_test(text(&camera, LOW, Directives::default()));
    std::fs::write(rendition.join("index.m3u8"), playlist).expect("written");
    let multivariant = camera.multivariant().expect("a rendition is open");
    let master = folder.path().join("master.m3u8");
    std::fs::write(&master, &multivariant.plain).expect("written");

    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-allowed_extensions", "ALL", "-count_frames"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(&master)
        .output()
        .expect("ffprobe must be installed to run the tests");
    let complaint = String::from_utf8_lossy(&probe.stderr).into_owned();
    let frames = String::from_utf8_lossy(&probe.stdout).into_owned();
    assert_eq!(
        frames.lines().next().map(str::trim),
        Some("240"),
        "{complaint}"
    );
}
