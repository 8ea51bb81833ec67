//! What the camera says that it is: a video function with one streaming interface over a bulk endpoint (USB Video Class
//! 1.1), and an audio function with a microphone over an isochronous one (USB Audio Class 1.0).

use super::media::Mode;

/// Endpoint of the pictures, and the most bytes of one payload: what `uvcvideo` asks for at a time.
pub(super) const PICTURE_ENDPOINT: u32 = 1;
pub(super) const PAYLOAD_MAX: usize = 16_384;
/// Endpoint of the sound, and how much one packet holds. A millisecond is usual, and a thousand requests a second too
/// many for a machine that is emulated.
pub(super) const SOUND_ENDPOINT: u32 = 2;
pub(super) const PACKET_MS: u32 = 8;
pub(super) const VIDEO_STREAMING: u8 = 1;
pub(super) const AUDIO_STREAMING: u8 = 3;

/// A camera.
pub(super) struct Camera {
    pub(super) name: String,
    /// Samples a second of its microphone, if it has one.
    pub(super) sample_rate: Option<u32>,
    pub(super) modes: Vec<Mode>,
}

impl Camera {
    /// The descriptor that GET_DESCRIPTOR's wValue asks for, if there is one.
    pub(super) fn descriptor(&self, value: u16) -> Option<Vec<u8>> {
        let [index, kind] = value.to_le_bytes();
        match (kind, index) {
            (1, 0) => Some(device()),
            (2, 0) => Some(self.configuration()),
            (3, 0) => Some(vec![4, 3, 0x09, 0x04]),
            (3, 1) => Some(string("Perch tests")),
            (3, 2) => Some(string(&self.name)),
            _ => None,
        }
    }

    fn configuration(&self) -> Vec<u8> {
        let mut body = self.video();
        if let Some(rate) = self.sample_rate {
            body.extend(audio(rate));
        }
        let interfaces = if self.sample_rate.is_some() { 4 } else { 2 };
        let mut all = vec![9, 2];
        all.extend(length(9 + body.len()));
        all.extend([interfaces, 1, 0, 0x80, 50]);
        all.extend(body);
        all
    }

    fn video(&self) -> Vec<u8> {
        let mut video = vec![8, 11, 0, 2, 0x0E, 0x03, 0, 0];
        video.extend([9, 4, 0, 0, 0, 0x0E, 0x01, 0, 0]);
        // Header, a sensor without controls, the way to USB.
        video.extend([13, 0x24, 1, 0x10, 0x01, 40, 0]);
        video.extend(48_000_000u32.to_le_bytes());
        video.extend([1, VIDEO_STREAMING]);
        video.extend([
            18, 0x24, 2, 1, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0,
        ]);
        video.extend([9, 0x24, 3, 2, 0x01, 0x01, 0, 1, 0]);
        video.extend([9, 4, VIDEO_STREAMING, 0, 1, 0x0E, 0x02, 0, 0]);
        let formats: Vec<u8> = (1..)
            .zip(&self.modes)
            .flat_map(|(index, mode)| format_and_frame(index, mode))
            .collect();
        let count = self.modes.len() as u8;
        video.extend([13 + count, 0x24, 1, count]);
        video.extend(length(13 + self.modes.len() + formats.len()));
        video.extend([0x80 | PICTURE_ENDPOINT as u8, 0, 2, 0, 0, 0, 1]);
        video.extend(vec![0; self.modes.len()]);
        video.extend(formats);
        video.extend([7, 5, 0x80 | PICTURE_ENDPOINT as u8, 2, 0, 2, 0]);
        video
    }
}

fn device() -> Vec<u8> {
    // USB 2.0, functions joined by association, Linux Foundation's "multifunction composite gadget".
    vec![
        18, 1, 0x00, 0x02, 0xEF, 2, 1, 64, 0x6B, 0x1D, 0x04, 0x01, 0, 1, 1, 2, 0, 1,
    ]
}

fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut string = vec![2 + units.len() as u8, 3];
    string.extend(units);
    string
}

fn format_and_frame(index: u8, mode: &Mode) -> Vec<u8> {
    let guid = |bits: u8| {
        let mut format = mode.format.as_bytes().to_vec();
        format.extend([
            0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71, bits, 1,
        ]);
        format
    };
    let (kind, rest) = match &mode.format[..] {
        "MJPG" => (6, vec![1, 1]),
        "H264" => (0x10, guid(16)),
        "NV12" => (4, guid(12)),
        _ => (4, guid(16)),
    };
    let framed = kind == 0x10;
    let mut format = vec![0, 0x24, kind, index, 1];
    format.extend(rest);
    // Aspect, interlacing, copy protection; H.264 pictures vary in size.
    format.extend([0, 0, 0, 0]);
    format.extend(framed.then_some(1));
    format[0] = format.len() as u8;

    let rate = mode.fps * mode.size_bytes_max() as u32 * 8;
    let mut frame = vec![30, 0x24, kind + 1, 1, 0];
    frame.extend((mode.width as u16).to_le_bytes());
    frame.extend((mode.height as u16).to_le_bytes());
    frame.extend(rate.to_le_bytes());
    frame.extend(rate.to_le_bytes());
    if !framed {
        frame.extend((mode.size_bytes_max() as u32).to_le_bytes());
    }
    frame.extend(mode.interval().to_le_bytes());
    frame.push(1);
    if framed {
        frame.extend([0; 4]);
    }
    frame.extend(mode.interval().to_le_bytes());
    format.extend(frame);
    format
}

fn audio(rate: u32) -> Vec<u8> {
    let [low, middle, high, _] = rate.to_le_bytes();
    let packet = length((rate / 1000 * PACKET_MS) as usize * 2);
    let mut audio = vec![8, 11, 2, 2, 1, 2, 0, 0];
    audio.extend([9, 4, 2, 0, 0, 1, 1, 0, 0]);
    // Header, a microphone, the way to USB.
    audio.extend([9, 0x24, 1, 0, 1, 30, 0, 1, AUDIO_STREAMING]);
    audio.extend([12, 0x24, 2, 1, 0x01, 0x02, 0, 1, 0, 0, 0, 0]);
    audio.extend([9, 0x24, 3, 2, 0x01, 0x01, 0, 1, 0]);
    audio.extend([9, 4, AUDIO_STREAMING, 0, 0, 1, 2, 0, 0]);
    audio.extend([9, 4, AUDIO_STREAMING, 1, 1, 1, 2, 0, 0]);
    // Mono, 16 bits, one rate.
    audio.extend([7, 0x24, 1, 2, 1, 1, 0]);
    audio.extend([11, 0x24, 2, 1, 1, 2, 16, 1, low, middle, high]);
    audio.extend([9, 5, 0x80 | SOUND_ENDPOINT as u8, 5]);
    audio.extend(packet);
    audio.extend([4, 0, 0]);
    // Makes the host ask for the largest packets.
    audio.extend([7, 0x25, 1, 0x80, 0, 0, 0]);
    audio
}

fn length(bytes: usize) -> [u8; 2] {
    (bytes as u16).to_le_bytes()
}
