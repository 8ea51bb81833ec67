//! A USB camera made of software: answers as one would on the bus, over USB/IP, so that the kernel's own `uvcvideo` and
//! `snd-usb-audio` drive it. Its pictures come from files, encoded beforehand; its microphone hears a tone that is loud
//! for half a second from each even second of the picture on. Runs inside the virtual machine; killed, it is unplugged.
//!
//! usb_camera PORT NAME SOUND FORMAT:WIDTHxHEIGHT@FPS:FILE…
//!
//! PORT is one of `vhci_hcd`'s, SOUND is `mute` or samples a second (mono), FORMAT is MJPG, H264 (with access unit
//! delimiters), YUY2 or NV12. A file begins anew with each stream, and after its last picture.

mod descriptors;
mod media;
mod wire;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::sync::Arc;
use std::{fs, thread};

use descriptors::Camera;
use wire::Bus;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, name, sound, modes @ ..] = &arguments[..] else {
        eprintln!("usage: usb_camera PORT NAME mute|SAMPLE_RATE FORMAT:WIDTHxHEIGHT@FPS:FILE…");
        exit(2);
    };
    let camera = Arc::new(Camera {
        name: name.clone(),
        sample_rate: sound.parse().ok(),
        modes: modes.iter().map(|mode| media::read_mode(mode)).collect(),
    });
    let (ours, kernels) = UnixStream::pair().expect("two sockets can be had");
    let bus = Arc::new(Bus::new(ours.try_clone().expect("a socket can be shared")));
    for serve in [media::send_pictures, media::send_sound] {
        let (bus, camera) = (Arc::clone(&bus), Arc::clone(&camera));
        thread::spawn(move || serve(&bus, &camera));
    }
    // "PORT SOCKET DEVICE SPEED": the device number only has to be one; 3 is high speed.
    let plug = format!("{port} {} {} 3", kernels.as_raw_fd(), 0x1_0002);
    fs::write("/sys/devices/platform/vhci_hcd.0/attach", plug).expect("the port is free");
    wire::answer(&bus, &camera, ours);
}
