//! ffmpeg as the peer: its encoders feed the writer, its demuxer and decoders judge the result.

use std::path::Path;
use std::process::{Command, Output};

use super::*;

const FRAMES_PER_SECOND: u32 = 30;
const SECONDS: u32 = 6;

pub(super) fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} must be installed to run the tests: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {complaint}"
    );
    output
}

fn encode(arguments: &[&str]) -> Vec<u8> {
    let mut all = vec!["-v", "error", "-nostdin"];
    all.extend(arguments);
    all.push("-");
    run("ffmpeg", &all).stdout
}

/// The NAL units of an Annex B stream (ISO/IEC 14496-10 §B.1).
fn nal_units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..stream.len().saturating_sub(2))
        .filter(|&at| stream[at..at + 3] == [0, 0, 1])
        .collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| {
            let nal = &stream[start + 3..end];
            let trailing = nal.iter().rev().take_while(|&&byte| byte == 0).count();
            &nal[..nal.len() - trailing]
        })
        .collect()
}

pub(super) fn encoded_pictures() -> (TrackParameters, Vec<AccessUnit>) {
    let source = format!("testsrc2=size=320x240:rate={FRAMES_PER_SECOND}:duration={SECONDS}");
    let x264 = "keyint=60:min-keyint=60:scenecut=0:aud=1:bframes=0:repeat-headers=1";
    let stream = encode(&[
        "-f",
        "lavfi",
        "-i",
        &source,
        "-c:v",
        "libx264",
        "-preset",
        "superfast",
        "-profile:v",
        "baseline",
        "-pix_fmt",
        "yuv420p",
        "-x264-params",
        x264,
        "-f",
        "h264",
    ]);
    let (mut sps, mut pps) = (Vec::new(), Vec::new());
    let mut pictures: Vec<(bool, Vec<u8>)> = Vec::new();
    for nal in nal_units(&stream) {
        match nal[0] & 0x1F {
            9 => pictures.push((false, Vec::new())),
            7 => sps = nal.to_vec(),
            8 => pps = nal.to_vec(),
            kind => {
                let (keyframe, data) = pictures.last_mut().expect("a delimiter comes first");
                *keyframe |= kind == 5;
                data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
                data.extend_from_slice(nal);
            }
        }
    }
    let mut avcc = vec![1, sps[1], sps[2], sps[3], 0xFF, 0xE1];
    avcc.extend_from_slice(&(sps.len() as u16).to_be_bytes());
    avcc.extend_from_slice(&sps);
    avcc.push(1);
    avcc.extend_from_slice(&(pps.len() as u16).to_be_bytes());
    avcc.extend_from_slice(&pps);
    let parameters = TrackParameters::Video(VideoParameters {
        avcc: avcc.into(),
        width: 320,
        height: 240,
        frame_rate: FrameRate::whole(FRAMES_PER_SECOND),
        bitrate_bps: 500_000,
    });
    let units = pictures
        .into_iter()
        .zip(0..)
        .map(|((keyframe, data), index)| AccessUnit {
            pts_ticks: index * 3000,
            duration_ticks: 3000,
            keyframe,
            data: data.into(),
        });
    (parameters, units.collect())
}

pub(super) fn encoded_sound() -> (TrackParameters, Vec<AccessUnit>) {
    let source = format!("sine=frequency=440:sample_rate=48000:duration={SECONDS}");
    let stream = encode(&[
        "-f", "lavfi", "-i", &source, "-ac", "2", "-c:a", "aac", "-b:a", "64k", "-f", "adts",
    ]);
    let (mut rest, mut units) = (&stream[..], Vec::new());
    while rest.len() > 7 {
        // ISO/IEC 13818-7 §6.2: 7 bytes of header without a checksum, 13 bits of length.
        let bytes = (rest[3] as usize & 3) << 11 | (rest[4] as usize) << 3 | rest[5] as usize >> 5;
        units.push(AccessUnit {
            pts_ticks: units.len() as u64 * 1024,
            duration_ticks: 1024,
            keyframe: true,
            data: rest[7..bytes].to_vec().into(),
        });
        rest = &rest[bytes..];
    }
    (audio(48_000), units)
}

/// Counts the frames that ffprobe decodes from `path`, which must not complain.
fn decoded_frames(path: &Path) -> usize {
    let path = path.to_str().expect("a temporary path is text");
    let output = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv=p=0",
            path,
        ],
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("ffprobe counts frames")
}

fn check(parameters: TrackParameters, units: Vec<AccessUnit>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("track.mp4");
    let count = units.len();
    let mut writer = writer(parameters);
    let mut parts = push_all(&mut writer, units);
    parts.extend(writer.finish());
    let mut file = writer.init_segment().bytes.to_vec();
    for part in &parts {
        file.extend_from_slice(&part.bytes);
    }
    std::fs::write(&path, &file).expect("the file can be written");
    assert_eq!(decoded_frames(&path), count);

    // Any segment decodes alone behind the header.
    let second: Vec<_> = parts.iter().filter(|part| part.msn == 8).collect();
    let mut file = writer.init_segment().bytes.to_vec();
    let mut sum = 0;
    for part in second {
        file.extend_from_slice(&part.bytes);
        sum += u64::from(part.duration_ticks);
    }
    std::fs::write(&path, &file).expect("the file can be written");
    let unit_ticks = u64::from(parts[0].duration_ticks) / if count == 180 { 10 } else { 15 };
    assert_eq!(decoded_frames(&path) as u64, sum / unit_ticks);
}

#[test]
fn ffmpeg_decodes_every_picture_of_x264() {
    let (parameters, units) = encoded_pictures();
    assert_eq!(units.len(), 180);
    check(parameters, units);
}

#[test]
fn ffmpeg_decodes_every_frame_of_aac() {
    let (parameters, units) = encoded_sound();
    assert!(units.len() > 280);
    check(parameters, units);
}
