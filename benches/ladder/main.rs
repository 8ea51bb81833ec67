//! CPU seconds of the 1080p30 ladder (four pictures, four sounds) from raw frames in a file, ours next to one
//! ffmpeg process that does the same work with the same x264 settings. Prints a table and the ratios.
//! `cargo bench --bench ladder -- [--seconds N] [--dir DIR] [--rounds N] [--ours-only]`

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use perch::base::{Monotonic, SystemClock, Wall};
use perch::capture::{SceneOptions, ScenePicture, SceneTone, TestScene};
use perch::encode::{
    AudioSource, EncodeOptions, EncoderChoice, OwnH264, SourceInput, VideoSource, start,
};
use perch::media::{
    AudioBlock, AudioFormat, Frame, FrameFormat, FrameRate, LADDER, StreamEvent, TrackKind,
};

const RATE: FrameRate = FrameRate::whole(30);
const SOUND: AudioFormat = AudioFormat {
    sample_rate: 48_000,
    channels: 2,
};

struct Arguments {
    seconds: u64,
    dir: PathBuf,
    rounds: u32,
    ours_only: bool,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    start_up()?;
    let (video, sound) = (
        arguments.dir.join("ladder.yuv"),
        arguments.dir.join("ladder.pcm"),
    );
    make_source(&video, &sound, arguments.seconds)?;
    println!(
        "{} s of 1920x1080 at 30, four rungs, four sounds; CPU seconds (lowest of {} rounds)",
        arguments.seconds, arguments.rounds
    );
    println!("{}", version("ffmpeg", "-version"));
    println!("{}", version("gst-inspect-1.0", "--version"));
    let peers: [(&str, &[&str], &str); 3] = [
        ("ffmpeg, one thread an encoder", &["-threads:v", "1"], ""),
        ("ffmpeg, its own choice of threads", &[], ""),
        (
            "ffmpeg, one thread, cheapest options",
            &["-threads:v", "1", "-aac_coder", "fast"],
            ":flags=fast_bilinear",
        ),
    ];
    let mut ours = f64::MAX;
    let mut theirs = [f64::MAX; 3];
    for _ in 0..arguments.rounds {
        ours = ours.min(run_ours(&video, &sound)?);
        if !arguments.ours_only {
            for ((_, threads, flags), best) in peers.iter().zip(&mut theirs) {
                *best = best.min(run_ffmpeg(&video, &sound, threads, flags)?);
            }
        }
    }
    println!("{:<36} {ours:7.2}", "perch");
    for ((name, ..), theirs) in peers.iter().zip(theirs).filter(|_| !arguments.ours_only) {
        println!(
            "{name:<36} {theirs:7.2}   perch / it = {:.2}",
            ours / theirs
        );
    }
    fs::remove_file(video)?;
    fs::remove_file(sound)?;
    Ok(())
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments {
        seconds: 10,
        dir: std::env::temp_dir(),
        rounds: 1,
        ours_only: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("{word} wants a value"))
        };
        match word.as_str() {
            "--seconds" => parsed.seconds = value()?.parse()?,
            "--dir" => parsed.dir = value()?.into(),
            "--rounds" => parsed.rounds = value()?.parse()?,
            "--ours-only" => parsed.ours_only = true,
            // What `cargo bench` adds by itself.
            "--bench" => {}
            _ => anyhow::bail!("`{word}` is not understood"),
        }
    }
    Ok(parsed)
}

fn version(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok()
        .and_then(|text| text.lines().next().map(str::to_owned))
        .unwrap_or_else(|| format!("{program}: missing"))
}

/// How long it takes from nothing to the first third of a second of every rung, with the live scene.
fn start_up() -> Result<()> {
    let begun = Instant::now();
    let (events, received) = std::sync::mpsc::channel();
    perch::encode::init()?;
    let initialised = begun.elapsed();
    let options = SceneOptions::default();
    let encoder = start(
        SourceInput {
            video: VideoSource::Frames(options.format()),
            audio: Some(AudioSource::Pushed(options.audio_format())),
        },
        EncodeOptions {
            rungs: LADDER.to_vec(),
            rate: RATE,
            encoder: EncoderChoice::software(),
            own_h264: OwnH264::Keep,
        },
        Arc::new(move |event| drop(events.send(event))),
    )?;
    let started = begun.elapsed();
    let (frames, sound) = (
        encoder.frame_input(),
        encoder.sound_input().context("sound was asked for")?,
    );
    let scene = TestScene::start(
        options,
        Arc::new(SystemClock),
        Box::new(move |frame| frames.push(frame)),
        Some(Box::new(move |block| sound.push(block))),
    )?;
    let (mut first, mut full) = (None, 0);
    for event in received {
        if let StreamEvent::Unit { rendition, unit } = event
            && rendition.kind == TrackKind::Video
        {
            first.get_or_insert_with(|| begun.elapsed());
            full += u32::from(unit.pts_ticks == 9 * 3_000);
            if full == LADDER.len() as u32 {
                break;
            }
        }
    }
    println!(
        "start-up: GStreamer {:.0} ms, pipeline {:.0} ms, first unit {:.0} ms, ten pictures of every rung {:.0} ms",
        initialised.as_secs_f64() * 1e3,
        started.as_secs_f64() * 1e3,
        first.unwrap_or_default().as_secs_f64() * 1e3,
        begun.elapsed().as_secs_f64() * 1e3
    );
    for rung in encoder.report().rungs {
        println!(
            "  {:<9} lateness p50 {:.0} ms, max {:.0} ms",
            rung.rung,
            rung.lateness_p50.as_secs_f64() * 1e3,
            rung.lateness_max.as_secs_f64() * 1e3
        );
    }
    scene.stop();
    encoder.stop();
    Ok(())
}

/// The test scene and its tone as raw files.
fn make_source(video: &Path, sound: &Path, seconds: u64) -> Result<()> {
    let mut scene = ScenePicture::new(1_920, 1_080);
    let mut picture = vec![0; scene.size_bytes()];
    let mut file = File::create(video).context("the scratch folder is not writable")?;
    let (mut painting, count) = (Duration::ZERO, seconds * 30);
    for index in 0..count {
        let started = Instant::now();
        scene.paint(index, Wall(index as i64 * 1_000 / 30), &mut picture);
        painting += started.elapsed();
        file.write_all(&picture)?;
    }
    println!(
        "painting a scene picture: {:.2} ms",
        painting.as_secs_f64() * 1e3 / count as f64
    );
    let mut tone = SceneTone::default();
    let mut file = BufWriter::new(File::create(sound)?);
    for block in 0..seconds * 50 {
        file.write_all(&tone.next_block(Wall(block as i64 * 20)))?;
    }
    Ok(())
}

fn run_ours(video: &Path, sound: &Path) -> Result<f64> {
    let shape = ScenePicture::new(1_920, 1_080).shape();
    let before = cpu(UsageWho::RUSAGE_SELF)?;
    let units = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&units);
    let encoder = start(
        SourceInput {
            video: VideoSource::Frames(FrameFormat { shape, rate: RATE }),
            audio: Some(AudioSource::Pushed(SOUND)),
        },
        EncodeOptions {
            rungs: LADDER.to_vec(),
            rate: RATE,
            encoder: EncoderChoice::software(),
            own_h264: OwnH264::Keep,
        },
        Arc::new(move |event| {
            if matches!(event, StreamEvent::Unit { .. }) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }),
    )?;
    let (frames, blocks) = (
        encoder.frame_input(),
        encoder.sound_input().context("sound was asked for")?,
    );
    let (mut video, mut sound) = (File::open(video)?, File::open(sound)?);
    let (returned, free) = std::sync::mpsc::channel();
    for _ in 0..12 {
        returned.send(vec![0u8; 1_920 * 1_080 * 3 / 2])?;
    }
    let (mut index, mut block) = (0u64, 0u64);
    loop {
        let mut picture = free.recv()?;
        if video.read_exact(&mut picture).is_err() {
            break;
        }
        while frames.waiting_count() >= 3 {
            std::thread::sleep(Duration::from_millis(2));
        }
        frames.push(Frame {
            shape,
            captured_at: Monotonic(1 + index * 1_000_000_000 / 30),
            sequence: index as u32,
            bytes: Box::new(Recycled {
                picture,
                returned: returned.clone(),
            }),
        });
        index += 1;
        while block * 3 < index * 5 {
            let mut samples = vec![0; 3_840];
            sound.read_exact(&mut samples)?;
            blocks.push(AudioBlock {
                captured_at: Monotonic(1 + block * 20_000_000),
                samples: Bytes::from(samples),
            });
            block += 1;
        }
    }
    while encoder.report().rungs.iter().any(|rung| rung.units < index) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let report = encoder.report();
    encoder.stop();
    let spent = cpu(UsageWho::RUSAGE_SELF)? - before;
    ensure!(
        report.frames_dropped == 0,
        "{} frames were dropped",
        report.frames_dropped
    );
    for rung in &report.rungs {
        println!(
            "  {:<9} {:.2} Mb/s",
            rung.rung,
            rung.bytes as f64 * 8.0 * 30.0 / index as f64 / 1e6
        );
    }
    println!(
        "  {} access units, {} copies",
        units.load(Ordering::Relaxed),
        report.frames_copied
    );
    Ok(spent)
}

/// A buffer that goes back to the reader when the encoder lets go.
struct Recycled {
    picture: Vec<u8>,
    returned: std::sync::mpsc::Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Recycled {
    fn as_ref(&self) -> &[u8] {
        &self.picture
    }
}

impl Drop for Recycled {
    fn drop(&mut self) {
        // The reader may have finished.
        let _ = self.returned.send(std::mem::take(&mut self.picture));
    }
}

fn run_ffmpeg(video: &Path, sound: &Path, threads: &[&str], flags: &str) -> Result<f64> {
    let before = cpu(UsageWho::RUSAGE_CHILDREN)?;
    let graph = format!(
        "[0:v]split=2[v3][a];[a]scale=1280:720{flags},split=2[v2][b];[b]scale=854:480{flags},split=2[v1][c];[c]scale=426:240{flags}[v0]"
    );
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "error",
        "-nostdin",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
        "-s",
        "1920x1080",
        "-r",
        "30",
        "-i",
    ]);
    command
        .arg(video)
        .args(["-f", "s16le", "-ar", "48000", "-ac", "2", "-i"])
        .arg(sound);
    command.args(["-filter_complex", &graph]);
    for n in 0..LADDER.len() {
        command.args(["-map", &format!("[v{n}]")]);
    }
    command.args(["-map", "1:a"].repeat(LADDER.len()));
    command.args([
        "-c:v",
        "libx264",
        "-preset",
        "superfast",
        "-tune",
        "zerolatency",
        "-profile:v",
        "main",
    ]);
    command
        .args(["-g", "60", "-sc_threshold", "0", "-bf", "0", "-c:a", "aac"])
        .args(threads);
    for (n, spec) in LADDER.iter().enumerate() {
        let bitrate = spec.video_bitrate_bps.to_string();
        for option in ["-b", "-maxrate", "-bufsize"] {
            command.args([&format!("{option}:v:{n}"), &bitrate]);
        }
        command.args([&format!("-b:a:{n}"), &spec.audio_bitrate_bps.to_string()]);
    }
    let status = command
        .args(["-f", "null", "-"])
        .stdout(Stdio::null())
        .status()
        .context("ffmpeg is the peer; is it installed?")?;
    ensure!(status.success(), "ffmpeg failed");
    Ok(cpu(UsageWho::RUSAGE_CHILDREN)? - before)
}

/// CPU seconds, user and system.
fn cpu(who: UsageWho) -> Result<f64> {
    let usage: Usage = getrusage(who)?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(microseconds as f64 / 1e6)
}
