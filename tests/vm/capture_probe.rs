//! Looks at cameras through `perch::capture` alone: what is there, whether a camera delivers without loss or copies,
//! who comes and goes. The virtual machine's tests drive it; it is also the shortest example of the module.
//!
//! capture_probe list | controls DEVICE [NAME=VALUE…] | watch SECONDS | run DEVICE FORMAT WIDTHxHEIGHT FPS FRAMES [HOLD]
//!
//! `run` holds HOLD frames before it lets the oldest go, as an encoder would. It ends with status 0 after FRAMES
//! frames, 3 if the run ended by itself, 4 if the camera could not be opened.

use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use perch::base::Monotonic;
use perch::capture::{
    CameraEvent, CameraNames, CameraWatch, Capture, CaptureOptions, ChosenMode, ControlValue,
    ModeWish, discover, list_controls, negotiate, set_controls,
};
use perch::media::{Frame, FrameRate, LADDER, PixelFormat};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => list(),
        ["controls", device, ref wishes @ ..] => controls(device, wishes),
        ["watch", seconds] => watch(number(seconds)),
        ["run", device, format, size, fps, frames] => run(device, format, size, fps, frames, "1"),
        ["run", device, format, size, fps, frames, hold] => {
            run(device, format, size, fps, frames, hold)
        }
        _ => {
            eprintln!("usage: capture_probe list | controls DEVICE [NAME=VALUE…] | watch SECONDS");
            eprintln!("       capture_probe run DEVICE FORMAT WIDTHxHEIGHT FPS FRAMES [HOLD]");
            ExitCode::from(2)
        }
    }
}

fn number(text: &str) -> u32 {
    text.parse()
        .unwrap_or_else(|_| panic!("`{text}` is no number"))
}

fn list() -> ExitCode {
    for camera in discover(&mut CameraNames::default()) {
        println!("{camera}");
        println!("  port {}", camera.identity.port);
        println!(
            "  microphone {}",
            camera.microphone.as_deref().unwrap_or("none")
        );
        let best = negotiate(&camera.modes, &ModeWish::for_ladder(&LADDER));
        match best {
            Some(best) => println!(
                "  best {}x{} {} {}",
                best.width,
                best.height,
                best.format,
                best.rate.as_f64()
            ),
            None => println!("  best none"),
        }
        for mode in &camera.modes {
            println!("  mode {mode}");
        }
    }
    ExitCode::SUCCESS
}

fn controls(device: &str, wishes: &[&str]) -> ExitCode {
    let wishes: Vec<_> = wishes
        .iter()
        .map(|wish| {
            let (name, value) = wish.split_once('=').expect("NAME=VALUE");
            (name.to_owned(), ControlValue::Text(value.to_owned()))
        })
        .collect();
    let device = Path::new(device);
    let result = set_controls(device, &wishes)
        .and_then(|errors| list_controls(device).map(|controls| (errors, controls)));
    match result {
        Ok((errors, controls)) => {
            for control in controls {
                println!("{} {:?} {:?}", control.name, control.value, control.kind);
            }
            for error in &errors {
                eprintln!("{error}");
            }
            ExitCode::from(u8::from(!errors.is_empty()))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(4)
        }
    }
}

fn watch(seconds: u32) -> ExitCode {
    let began = Instant::now();
    let watch = CameraWatch::start(
        CameraNames::default(),
        Vec::new(),
        Box::new(move |event| {
            let ms = began.elapsed().as_millis();
            match event {
                CameraEvent::Appeared(camera) => println!("{ms} appeared {}", camera.id),
                CameraEvent::Vanished(id) => println!("{ms} vanished {id}"),
                CameraEvent::Unusable => {}
            }
        }),
    )
    .expect("a thread can be started");
    std::thread::sleep(Duration::from_secs(seconds.into()));
    drop(watch);
    ExitCode::SUCCESS
}

/// What reaches the main thread from a run.
enum Message {
    Frame(Frame),
    Ended(String),
}

fn run(device: &str, format: &str, size: &str, fps: &str, frames: &str, hold: &str) -> ExitCode {
    let (width, height) = size.split_once('x').expect("WIDTHxHEIGHT");
    let mode = ChosenMode {
        format: [
            PixelFormat::I420,
            PixelFormat::Nv12,
            PixelFormat::Yuyv,
            PixelFormat::Mjpg,
            PixelFormat::H264,
        ]
        .into_iter()
        .find(|known| known.to_string() == format)
        .expect("a format that perch reads"),
        width: number(width),
        height: number(height),
        rate: FrameRate::whole(number(fps)),
    };
    let (sender, receiver) = mpsc::channel();
    let of_frames = sender.clone();
    let started =
        Capture::open(Path::new(device), &mode, CaptureOptions::default()).and_then(|capture| {
            capture.start(
                // The receiver may have gone after its last frame: then the frame goes back to the driver at once.
                Box::new(move |frame| drop(of_frames.send(Message::Frame(frame)))),
                Box::new(move |reason| drop(sender.send(Message::Ended(reason.to_string())))),
            )
        });
    let run = match started {
        Ok(run) => run,
        Err(error) => {
            println!("refused {error}");
            return ExitCode::from(4);
        }
    };
    println!("format {}", run.format());
    let began = Instant::now();
    let (mut held, mut count, mut last) = (VecDeque::new(), 0, Monotonic::default());
    let ended = loop {
        match receiver.recv().expect("the end is always said") {
            Message::Ended(reason) => break Some(reason),
            Message::Frame(frame) => {
                assert!(frame.captured_at > last, "time goes on");
                last = frame.captured_at;
                // Read as an encoder would: a page that is not mapped would end the process.
                let bytes = (*frame.bytes).as_ref();
                assert!(
                    bytes.iter().step_by(4096).any(|&byte| byte != 0),
                    "a picture"
                );
                count += 1;
                held.push_back(frame);
                if held.len() >= number(hold) as usize {
                    held.pop_front();
                }
                if count == number(frames) {
                    break None;
                }
            }
        }
    };
    let report = run.report();
    println!("seconds {:.1}", began.elapsed().as_secs_f64());
    println!("{report:?}");
    run.stop();
    if !held.is_empty() {
        // Frames that are still held must not keep the next run from starting.
        match Capture::open(Path::new(device), &mode, CaptureOptions::default()) {
            Ok(_) => println!("opened again while frames are held"),
            Err(error) => println!("not opened again: {error}"),
        }
    }
    let readable: usize = held.iter().map(|frame| (*frame.bytes).as_ref().len()).sum();
    println!(
        "held {} frames, {readable} bytes readable after the end",
        held.len()
    );
    match ended {
        None => ExitCode::SUCCESS,
        Some(reason) => {
            println!("ended {reason}");
            ExitCode::from(3)
        }
    }
}
