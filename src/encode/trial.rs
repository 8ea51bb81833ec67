//! Tries an encoder before it is trusted: twenty pictures, a keyframe asked for in the middle. A driver may
//! crash or hang, so it runs in a child process; this file holds both sides of it.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::encoder::start;
use super::options::{EncodeError, EncodeOptions, OwnH264, SourceInput, VideoSource};
use super::table::{EncoderChoice, TABLE};
use crate::base::Monotonic;
use crate::media::{
    AccessUnit, Frame, FrameFormat, FrameRate, FrameShape, PixelFormat, Rung, RungSpec, StreamEvent,
};

/// A driver that needs longer hangs.
const TRIAL_LIMIT: Duration = Duration::from_secs(5);
const TRIAL_FRAMES: u64 = 20;
/// Units before the second keyframe is asked for.
const FRAMES_BEFORE_REQUEST: u64 = 10;
/// Twenty pictures hold two keyframes, so they may take this many times their share of the bitrate.
const BITRATE_SLACK: u64 = 4;
/// The child's exit code for what says nothing about the encoder: another plugin is missing, say.
const EXIT_UNPROVEN: u8 = 3;
/// Signals with which a process ends through a fault of its own. Others come from outside: a machine short of memory,
/// a service that is being stopped.
const FAULTS: [Signal; 7] = [
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];

/// What a trial asks of an encoder.
#[derive(Clone, Copy, Debug)]
pub struct TrialTask {
    /// The largest rung: what works there works below.
    pub spec: RungSpec,
    /// Pictures a second.
    pub rate: FrameRate,
}

/// How a trial went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Why the encoder is refused; `None` if it works.
    pub refusal: Option<String>,
    /// How long the trial took.
    pub trial_ms: u64,
}

/// A trial that did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The encoder does not do what is asked, or took its process down.
    Proven(String),
    /// The trial came to no end that the encoder could be blamed for. The next one may.
    Unproven(String),
}

impl Refusal {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Proven(reason) | Self::Unproven(reason) => reason,
        }
    }
}

/// Runs a trial in a child: `program` is this program with whatever leads it to [`trial_child_main`].
/// Returns what came of it and how long it took.
pub(super) fn run_trial(
    program: &[OsString],
    factory: &str,
    task: TrialTask,
) -> (Result<(), Refusal>, Duration) {
    let started = Instant::now();
    let outcome = try_in_child(program, factory, task, TRIAL_LIMIT);
    (outcome, started.elapsed())
}

fn try_in_child(
    program: &[OsString],
    factory: &str,
    task: TrialTask,
    limit: Duration,
) -> Result<(), Refusal> {
    let (path, arguments) = program
        .split_first()
        .ok_or_else(|| Refusal::Unproven("no program to try it with".to_owned()))?;
    let spec = task.spec;
    let numbers = [
        spec.width,
        spec.height,
        spec.video_bitrate_bps,
        task.rate.numerator,
        task.rate.denominator,
    ];
    let mut child = Command::new(path)
        .args(arguments)
        .arg(factory)
        .args(numbers.map(|number| number.to_string()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| Refusal::Unproven(format!("the trial does not start: {error}")))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => {
                // It may have ended by itself just now.
                let _ = child.kill();
                let _ = child.wait();
                let reason = format!("it gave no answer within {} s", limit.as_secs());
                return Err(Refusal::Unproven(reason));
            }
        }
    };
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        // A reason of more than a line is no reason.
        let _ = stdout.take(1_000).read_to_string(&mut said);
    }
    read_answer(status, said.trim())
}

fn read_answer(status: ExitStatus, said: &str) -> Result<(), Refusal> {
    if status.success() {
        return Ok(());
    }
    let reason = if said.is_empty() {
        format!("it took the trial down with it ({status})")
    } else {
        said.to_owned()
    };
    let is_proof = match (status.code(), status.signal()) {
        (Some(code), _) => code != i32::from(EXIT_UNPROVEN),
        (None, Some(signal)) => FAULTS.iter().any(|fault| *fault as i32 == signal),
        (None, None) => false,
    };
    Err(if is_proof {
        Refusal::Proven(reason)
    } else {
        Refusal::Unproven(reason)
    })
}

/// The child's side. `arguments` are what [`run_trial`] appends: factory, width, height, bitrate, rate.
/// Prints the refusal, if any, and exits with 0 only if the encoder works, with 1 only if it does not.
pub fn trial_child_main(arguments: &[String]) -> ExitCode {
    let outcome = parse(arguments)
        .map_err(Refusal::Unproven)
        .and_then(|(choice, task)| try_encoder(&choice, task));
    let Err(refusal) = outcome else {
        return ExitCode::SUCCESS;
    };
    println!("{}", refusal.reason());
    match refusal {
        Refusal::Proven(_) => ExitCode::FAILURE,
        Refusal::Unproven(_) => ExitCode::from(EXIT_UNPROVEN),
    }
}

fn parse(arguments: &[String]) -> Result<(EncoderChoice, TrialTask), String> {
    let [factory, numbers @ ..] = arguments else {
        return Err("no encoder was named".to_owned());
    };
    let numbers: Vec<u32> = numbers
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let &[width, height, video_bitrate_bps, numerator, denominator] = &numbers[..] else {
        return Err("the trial wants width, height, bitrate and rate".to_owned());
    };
    let entry = TABLE
        .iter()
        .find(|entry| entry.matches(factory))
        .ok_or_else(|| format!("{factory} is not in the table"))?;
    let choice = EncoderChoice {
        entry,
        factory: factory.clone(),
    };
    let spec = RungSpec {
        rung: Rung::High,
        width,
        height,
        video_bitrate_bps,
        audio_bitrate_bps: 0,
    };
    let rate = FrameRate {
        numerator: numerator.max(1),
        denominator: denominator.max(1),
    };
    Ok((choice, TrialTask { spec, rate }))
}

/// Encodes the pictures in this process and judges what comes out.
fn try_encoder(choice: &EncoderChoice, task: TrialTask) -> Result<(), Refusal> {
    let spec = task.spec;
    // Its best: what it does not take, a run converts to that.
    let format = if choice.entry.formats[0] == "NV12" {
        PixelFormat::Nv12
    } else {
        PixelFormat::I420
    };
    let shape = FrameShape {
        format,
        width: spec.width,
        height: spec.height,
        stride: spec.width,
    };
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let encoder = start(
        SourceInput {
            video: VideoSource::Frames(FrameFormat {
                shape,
                rate: task.rate,
            }),
            audio: None,
        },
        EncodeOptions {
            rungs: vec![spec],
            rate: task.rate,
            encoder: choice.clone(),
            own_h264: OwnH264::Keep,
        },
        Arc::new(move |event| {
            heard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(event)
        }),
    )
    .map_err(|error| match error {
        EncodeError::Init(_) | EncodeError::MissingElement(_) => {
            Refusal::Unproven(error.to_string())
        }
        _ => Refusal::Proven(error.to_string()),
    })?;
    let input = encoder.frame_input();
    for index in 0..TRIAL_FRAMES {
        if index == FRAMES_BEFORE_REQUEST {
            // Some encoders hold a few pictures back; the request must still fall behind the first keyframe.
            wait_for(|| encoder.report().rungs[0].units > 0 || encoder.report().failure.is_some());
            encoder.force_keyframe(spec.rung);
        }
        wait_for(|| input.waiting_count() < 3 || encoder.report().failure.is_some());
        input.push(picture(shape, task.rate, index));
    }
    // A machine that is busy starting needs longer than a running camera would be given; the parent sets the limit.
    encoder.stop_within(TRIAL_LIMIT);
    let events = std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner));
    judge(&events, task).map_err(Refusal::Proven)
}

/// Polls: a trial is short, and its process does nothing else. The parent ends what never comes true.
fn wait_for(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(2));
    }
}

/// A moving gradient.
fn picture(shape: FrameShape, rate: FrameRate, index: u64) -> Frame {
    let (width, height) = (shape.width as usize, shape.height as usize);
    let mut bytes = vec![128u8; width * height * 3 / 2];
    for (y, row) in bytes[..width * height].chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            *pixel = ((x + y + index as usize * 4) % 200) as u8 + 20;
        }
    }
    let period = u64::from(rate.denominator) * 1_000_000_000 / u64::from(rate.numerator);
    Frame {
        shape,
        captured_at: Monotonic(1_000_000_000 + index * period),
        sequence: index as u32,
        bytes: Box::new(bytes),
    }
}

fn judge(events: &[StreamEvent], task: TrialTask) -> Result<(), String> {
    let mut units: Vec<&AccessUnit> = Vec::new();
    for event in events {
        match event {
            StreamEvent::RunEnded {
                failure: Some(failure),
            } => return Err(failure.reason.clone()),
            StreamEvent::Unit { unit, .. } => units.push(unit),
            _ => {}
        }
    }
    if (units.len() as u64) < TRIAL_FRAMES {
        return Err(format!(
            "{} of {TRIAL_FRAMES} pictures came out",
            units.len()
        ));
    }
    if units
        .iter()
        .filter(|unit| unit.keyframe && has_idr(&unit.data))
        .count()
        < 2
    {
        return Err("the keyframe that was asked for did not come".to_owned());
    }
    let bytes: usize = units.iter().map(|unit| unit.data.len()).sum();
    let share =
        u64::from(task.spec.video_bitrate_bps) * TRIAL_FRAMES * u64::from(task.rate.denominator)
            / u64::from(task.rate.numerator)
            / 8;
    if bytes as u64 > share * BITRATE_SLACK {
        return Err(format!(
            "{bytes} bytes do not keep to {} b/s",
            task.spec.video_bitrate_bps
        ));
    }
    Ok(())
}

/// Whether an access unit with 4-byte lengths holds an IDR slice (NAL type 5).
pub(super) fn has_idr(mut data: &[u8]) -> bool {
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if rest.first().is_some_and(|header| header & 0x1F == 5) {
            return true;
        }
        data = rest.get(length..).unwrap_or(&[]);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::LADDER;

    const TASK: TrialTask = TrialTask {
        spec: LADDER[0],
        rate: FrameRate::whole(30),
    };

    fn shell(script: &str) -> Vec<OsString> {
        ["sh", "-c", script].map(OsString::from).to_vec()
    }

    #[test]
    fn the_software_encoders_pass_the_trial() {
        crate::encode::init().expect("GStreamer starts");
        for element in ["x264enc", "openh264enc"] {
            if gstreamer::ElementFactory::find(element).is_some() {
                let arguments = [element, "426", "240", "500000", "30", "1"].map(str::to_owned);
                let (choice, task) = parse(&arguments).expect("well-formed");
                assert_eq!(try_encoder(&choice, task), Ok(()), "{element}");
            }
        }
    }

    #[test]
    fn a_trial_that_hangs_crashes_or_refuses_says_which_and_what_it_proves() {
        let check = |script: &str, is_proven: bool, part: &str| {
            let limit = Duration::from_millis(300);
            let refusal = try_in_child(&shell(script), "x264enc", TASK, limit).expect_err(script);
            assert!(refusal.reason().contains(part), "{refusal:?}");
            assert_eq!(matches!(refusal, Refusal::Proven(_)), is_proven, "{script}");
        };
        check("echo no firmware; exit 1", true, "no firmware");
        check("kill -SEGV $$", true, "took the trial down");
        check("kill -ABRT $$", true, "took the trial down");
        check("exit 1", true, "took the trial down");
        check("echo no parser; exit 3", false, "no parser");
        check("kill -KILL $$", false, "took the trial down");
        check("kill -TERM $$", false, "took the trial down");
        check("exec sleep 20", false, "no answer");
        let try_with = |program: &[OsString]| try_in_child(program, "x264enc", TASK, TRIAL_LIMIT);
        assert_eq!(try_with(&shell("exit 0")), Ok(()));
        for program in [&["/nowhere/perch".into()][..], &[]] {
            assert!(matches!(try_with(program), Err(Refusal::Unproven(_))));
        }
    }

    #[test]
    fn a_missing_plugin_is_not_held_against_the_encoder() {
        crate::encode::init().expect("GStreamer starts");
        let absent = EncoderChoice {
            entry: &TABLE[0],
            factory: "nvv4l2h264enc".to_owned(),
        };
        if gstreamer::ElementFactory::find(&absent.factory).is_none() {
            assert!(matches!(
                try_encoder(&absent, TASK),
                Err(Refusal::Unproven(_))
            ));
        }
    }

    #[test]
    fn an_encoder_that_ignores_requests_or_its_bitrate_is_refused() {
        let unit = |n: u64, keyframe: bool, size: usize| StreamEvent::Unit {
            rendition: crate::media::RenditionId::video(Rung::High),
            unit: AccessUnit {
                pts_ticks: n * 3_000,
                duration_ticks: 3_000,
                keyframe,
                data: [
                    &[0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }][..],
                    &vec![0; size],
                ]
                .concat()
                .into(),
            },
        };
        let run = |keys: &[u64], size: usize, count: u64| {
            judge(
                &(0..count)
                    .map(|n| unit(n, keys.contains(&n), size))
                    .collect::<Vec<_>>(),
                TASK,
            )
        };
        assert_eq!(run(&[0, 10], 1_000, 20), Ok(()));
        assert!(run(&[0], 1_000, 20).is_err_and(|reason| reason.contains("asked for")));
        assert!(run(&[0, 10], 100_000, 20).is_err_and(|reason| reason.contains("keep to")));
        assert!(run(&[0, 10], 1_000, 12).is_err_and(|reason| reason.contains("12 of 20")));
    }

    #[test]
    fn an_idr_is_found_behind_other_units_and_never_past_the_end() {
        assert!(has_idr(&[0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x65]));
        assert!(!has_idr(&[0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x41]));
        assert!(!has_idr(&[0xFF, 0xFF, 0xFF, 0xFF, 0x41]));
        assert!(!has_idr(&[0, 0]));
    }

    #[test]
    fn nonsense_arguments_are_refused() {
        for arguments in [
            &[][..],
            &["x264enc"],
            &["rm", "1", "2", "3", "4", "5"],
            &["x264enc", "a", "b", "c", "d", "e"],
        ] {
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
            assert!(parse(&arguments).is_err(), "{arguments:?}");
        }
    }
}
