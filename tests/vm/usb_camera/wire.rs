//! The bus: requests as the kernel's virtual host controller puts them (USB/IP, Documentation/usb/usbip_protocol.rst of
//! the kernel), those of the control endpoint answered here, the others kept until there is something to give.

use std::collections::VecDeque;
use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::descriptors::{Camera, PAYLOAD_MAX, VIDEO_STREAMING};

const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const SUBMITTED: u32 = 3;
const UNLINKED: u32 = 4;
/// `-EPIPE`: the endpoint knows no such request.
const STALL: i32 = -32;
/// `-ECONNRESET`: was taken back in time.
const TAKEN_BACK: i32 = -104;

/// A request of the host for data. It waits until it is answered, as the host may take it back.
#[derive(Clone)]
pub(super) struct Request {
    number: u32,
    endpoint: u32,
    /// Offset and size of each packet, if it is isochronous.
    pub(super) packets: Vec<(u32, u32)>,
}

/// One time that the host wants pictures.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Stream {
    pub(super) mode: usize,
    pub(super) began: Instant,
}

/// The camera's end of the cable.
pub(super) struct Bus {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    out: UnixStream,
    waiting: VecDeque<Request>,
    /// What the host has tried out, and what it wants.
    probed: usize,
    stream: Option<Stream>,
}

impl Bus {
    pub(super) fn new(out: UnixStream) -> Self {
        let state = State {
            out,
            waiting: VecDeque::new(),
            probed: 0,
            stream: None,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of this program panics")
    }

    /// Waits until pictures are wanted.
    pub(super) fn wait_stream(&self) -> Stream {
        let wanted = self
            .changed
            .wait_while(self.lock(), |state| state.stream.is_none());
        let state = wanted.expect("no thread of this program panics");
        state.stream.expect("it was waited for")
    }

    /// What is wanted now.
    pub(super) fn stream(&self) -> Option<Stream> {
        self.lock().stream
    }

    /// Waits for the host to ask `endpoint`, and returns all that it asks; nothing once `stream` is no longer what it
    /// wants.
    pub(super) fn take(&self, endpoint: u32, stream: Option<&Stream>) -> Vec<Request> {
        let mut state = self.lock();
        loop {
            if stream.is_some() && state.stream.as_ref() != stream {
                return Vec::new();
            }
            let waiting = state.waiting.iter();
            let asked: Vec<_> = waiting
                .filter(|request| request.endpoint == endpoint)
                .cloned()
                .collect();
            if !asked.is_empty() {
                return asked;
            }
            let woken = self.changed.wait(state);
            state = woken.expect("no thread of this program panics");
        }
    }

    /// Gives what was asked for, unless it was taken back; each packet of a request in packets is as large as the next.
    pub(super) fn give<'a>(&self, answers: impl IntoIterator<Item = (&'a Request, Vec<u8>)>) {
        let mut state = self.lock();
        let mut message = Vec::new();
        for (request, data) in answers {
            let mut waiting = state.waiting.iter();
            let Some(at) = waiting.position(|waits| waits.number == request.number) else {
                continue;
            };
            state.waiting.remove(at);
            message.extend(head(SUBMITTED, request.number));
            let packets = request.packets.len();
            for field in [0, data.len() as i32, 0, packets as i32, 0, 0, 0] {
                message.extend(field.to_be_bytes());
            }
            message.extend(&data);
            for (offset, size) in &request.packets {
                for field in [*offset, *size, (data.len() / packets) as u32, 0] {
                    message.extend(field.to_be_bytes());
                }
            }
        }
        state.send(&message);
    }
}

impl State {
    fn send(&mut self, message: &[u8]) {
        if self.out.write_all(message).is_err() {
            exit(0);
        }
    }
}

fn head(command: u32, number: u32) -> Vec<u8> {
    [command, number, 0, 0, 0]
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .collect()
}

fn fields<const N: usize>(cable: &mut impl Read) -> [u32; N] {
    [(); N].map(|()| {
        let mut bytes = [0; 4];
        if cable.read_exact(&mut bytes).is_err() {
            exit(0);
        }
        u32::from_be_bytes(bytes)
    })
}

/// Serves the host until the cable is pulled.
pub(super) fn answer(bus: &Bus, camera: &Camera, cable: UnixStream) {
    let mut cable = BufReader::new(cable);
    loop {
        if cable.buffer().is_empty() {
            bus.changed.notify_all();
        }
        let [command, number, _, direction, endpoint] = fields(&mut cable);
        let [first, length, _, packet_count, _, setup_high, setup_low] = fields(&mut cable);
        let mut state = bus.lock();
        match command {
            SUBMIT => {
                let mut data = vec![0; if direction == 0 { length as usize } else { 0 }];
                if cable.read_exact(&mut data).is_err() {
                    exit(0);
                }
                if endpoint == 0 {
                    let setup = [setup_high.to_be_bytes(), setup_low.to_be_bytes()].concat();
                    let answer = state.control(camera, &setup, &data);
                    let status = if answer.is_some() { 0 } else { STALL };
                    let mut given = answer.unwrap_or_default();
                    given.truncate(length as usize);
                    let moved = if direction == 0 {
                        data.len()
                    } else {
                        given.len()
                    };
                    let mut message = head(SUBMITTED, number);
                    for field in [status, moved as i32, 0, 0, 0, 0, 0] {
                        message.extend(field.to_be_bytes());
                    }
                    message.extend(given);
                    state.send(&message);
                } else {
                    // More packets than any request has say that it is not isochronous.
                    let packet_count = if packet_count > 1024 { 0 } else { packet_count };
                    let packets = (0..packet_count)
                        .map(|_| {
                            let [offset, size, _, _] = fields(&mut cable);
                            (offset, size)
                        })
                        .collect();
                    state.waiting.push_back(Request {
                        number,
                        endpoint,
                        packets,
                    });
                }
            }
            UNLINK => {
                let before = state.waiting.len();
                state.waiting.retain(|request| request.number != first);
                let taken_back = state.waiting.len() < before;
                let mut message = head(UNLINKED, number);
                for field in [if taken_back { TAKEN_BACK } else { 0 }, 0, 0, 0, 0, 0, 0] {
                    message.extend(field.to_be_bytes());
                }
                state.send(&message);
            }
            other => panic!("the host says {other}, which USB/IP does not know"),
        }
    }
}

impl State {
    /// Answers a request of the control endpoint; `None` refuses it.
    fn control(&mut self, camera: &Camera, setup: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        let word = |at: usize| u16::from_le_bytes([setup[at], setup[at + 1]]);
        let (value, index) = (word(2), word(4));
        match (setup[0], setup[1]) {
            (0x80, 6) => camera.descriptor(value),
            (0x80..=0x82, 0) => Some(vec![0, 0]),
            (0x81, 10) => Some(vec![0]),
            // The configuration, and whether the microphone is heard: its requests say that themselves.
            (0x00, 9) => Some(Vec::new()),
            (0x01, 11) => Some(Vec::new()),
            // How the end of a stream is said where it comes over a bulk endpoint.
            (0x02, 1) => {
                self.stream = None;
                Some(Vec::new())
            }
            (0x21, 0x01) if index as u8 == VIDEO_STREAMING => self.set(camera, value, data),
            (0xA1, request) if index as u8 == VIDEO_STREAMING => match request {
                0x85 => Some(vec![34, 0]),
                0x86 => Some(vec![3]),
                _ => Some(self.probe(camera)),
            },
            _ => None,
        }
    }

    /// Tries a mode out, or begins with it (USB Video Class 1.1 §4.3.1.1).
    fn set(&mut self, camera: &Camera, value: u16, data: &[u8]) -> Option<Vec<u8>> {
        let format = usize::from(*data.get(2)?);
        self.probed = format.clamp(1, camera.modes.len()) - 1;
        if value >> 8 == 2 {
            self.stream = Some(Stream {
                mode: self.probed,
                began: Instant::now(),
            });
        }
        Some(Vec::new())
    }

    fn probe(&self, camera: &Camera) -> Vec<u8> {
        let mode = &camera.modes[self.probed];
        let mut probe = vec![1, 0, self.probed as u8 + 1, 1];
        probe.extend(mode.interval().to_le_bytes());
        probe.extend([0; 10]);
        probe.extend((mode.size_bytes_max() as u32).to_le_bytes());
        probe.extend((PAYLOAD_MAX as u32).to_le_bytes());
        probe.extend(48_000_000u32.to_le_bytes());
        probe.extend([3, 0, 0, 0]);
        probe
    }
}
