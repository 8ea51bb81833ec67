//! What the camera sees and hears, sent at the pace that it promises.

use std::f64::consts::TAU;
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::descriptors::{Camera, PACKET_MS, PAYLOAD_MAX, PICTURE_ENDPOINT, SOUND_ENDPOINT};
use super::wire::Bus;

/// Length of the header before each payload (USB Video Class 1.1 §2.4.3.3).
const HEADER: usize = 2;
/// The tone's frequency, in Hz.
const TONE: f64 = 1000.0;
/// Sound that nobody has asked for so long is lost.
const FORGOTTEN_AFTER_MS: u64 = 500;

/// Pictures of one format, size and rate.
pub(super) struct Mode {
    /// `MJPG`, `H264`, `YUY2`, `NV12`.
    pub(super) format: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) fps: u32,
    pictures: Vec<Vec<u8>>,
}

impl Mode {
    /// Bytes of the largest picture.
    pub(super) fn size_bytes_max(&self) -> usize {
        let pixels = (self.width * self.height) as usize;
        match &self.format[..] {
            "NV12" => pixels * 3 / 2,
            _ => pixels * 2,
        }
    }

    /// Time between pictures in units of 100 ns.
    pub(super) fn interval(&self) -> u32 {
        10_000_000 / self.fps
    }
}

/// Reads a mode as it stands on the command line, and its pictures.
pub(super) fn read_mode(text: &str) -> Mode {
    let parts: Vec<&str> = text.splitn(3, ':').collect();
    let [format, shape, file] = parts[..] else {
        panic!("`{text}` is no FORMAT:WIDTHxHEIGHT@FPS:FILE");
    };
    let numbers: Vec<u32> = shape
        .split(['x', '@'])
        .map(|number| number.parse().expect("a size and rate of numbers"))
        .collect();
    let [width, height, fps] = numbers[..] else {
        panic!("`{shape}` is no WIDTHxHEIGHT@FPS");
    };
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut mode = Mode {
        format: format.to_owned(),
        width,
        height,
        fps,
        pictures: Vec::new(),
    };
    mode.pictures = match format {
        "MJPG" => split_before(&bytes, &[0xFF, 0xD8, 0xFF]),
        "H264" => split_before(&bytes, &[0, 0, 0, 1, 9]),
        _ => bytes
            .chunks_exact(mode.size_bytes_max())
            .map(<[u8]>::to_vec)
            .collect(),
    };
    assert!(!mode.pictures.is_empty(), "{file}: holds no picture");
    mode
}

fn split_before(bytes: &[u8], mark: &[u8]) -> Vec<Vec<u8>> {
    let mut starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(mark))
        .collect();
    starts.push(bytes.len());
    starts
        .windows(2)
        .map(|ends| bytes[ends[0]..ends[1]].to_vec())
        .collect()
}

/// Sends pictures while the host wants them. Never returns.
pub(super) fn send_pictures(bus: &Bus, camera: &Camera) {
    loop {
        let stream = bus.wait_stream();
        let mode = &camera.modes[stream.mode];
        for (count, picture) in (0u32..).zip(mode.pictures.iter().cycle()) {
            let due = stream.began + Duration::from_secs(1) * count / mode.fps;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let payloads = picture.chunks(PAYLOAD_MAX - HEADER);
            let last = payloads.len() - 1;
            let sent = payloads.enumerate().all(|(n, payload)| {
                // End of header; the picture's parity; its end.
                let flags = 0x80 | (count & 1) as u8 | if n == last { 2 } else { 0 };
                let mut data = vec![HEADER as u8, flags];
                data.extend(payload);
                let asked = bus.take(PICTURE_ENDPOINT, Some(&stream));
                bus.give(asked.first().map(|request| (request, data)));
                !asked.is_empty()
            });
            if !sent {
                break;
            }
        }
    }
}

/// Sends sound while the host asks for it. Never returns, if there is a microphone.
pub(super) fn send_sound(bus: &Bus, camera: &Camera) {
    let Some(rate) = camera.sample_rate else {
        return;
    };
    let zero = Instant::now();
    let mut next_ms = 0;
    loop {
        let asked = bus.take(SOUND_ENDPOINT, None);
        let now_ms = zero.elapsed().as_millis() as u64;
        // Nobody listened for a while: what was heard then is gone.
        if now_ms > next_ms + FORGOTTEN_AFTER_MS {
            next_ms = now_ms;
        }
        let loud_from = bus.stream().map(|stream| stream.began);
        let request = &asked[0];
        let mut data = Vec::new();
        for _ in 0..request.packets.len() as u32 * PACKET_MS {
            let at = zero + Duration::from_millis(next_ms);
            let loud = loud_from
                .and_then(|began| at.checked_duration_since(began))
                .is_some_and(|since| since.as_millis() % 2000 < 500);
            data.extend(millisecond(next_ms, rate, if loud { 0.5 } else { 0.01 }));
            next_ms += 1;
        }
        let due = zero + Duration::from_millis(next_ms);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        bus.give([(request, data)]);
    }
}

/// The tone in a millisecond.
fn millisecond(at_ms: u64, rate: u32, loudness: f64) -> impl Iterator<Item = u8> {
    let samples = rate / 1000;
    (0..samples).flat_map(move |n| {
        let second = at_ms as f64 / 1000.0 + f64::from(n) / f64::from(rate);
        let sample = f64::from(i16::MAX) * loudness * (second * TONE * TAU).sin();
        (sample as i16).to_le_bytes()
    })
}
