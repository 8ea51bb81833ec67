//! What a file is, by its first bytes: the media that browsers and players know. A name's ending says nothing here.

use super::pack::MediaKind;

/// So many first bytes tell what a file is.
pub const PROBE_BYTES: usize = 512;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// What it can be shown as; never [`MediaKind::Other`].
    pub kind: MediaKind,
    /// As HTTP says it (RFC 9110 §8.3.1).
    pub content_type: &'static str,
}

/// First bytes and what they stand for, where a fixed beginning is enough.
const BEGINNINGS: [(&[u8], MediaKind, &str); 12] = [
    (b"\xFF\xD8\xFF", MediaKind::Still, "image/jpeg"),
    (b"\x89PNG\r\n\x1A\n", MediaKind::Still, "image/png"),
    (b"GIF87a", MediaKind::Still, "image/gif"),
    (b"GIF89a", MediaKind::Still, "image/gif"),
    (b"II*\0", MediaKind::Still, "image/tiff"),
    (b"MM\0*", MediaKind::Still, "image/tiff"),
    (b"\x00\x00\x01\xBA", MediaKind::Video, "video/mpeg"),
    (b"FLV\x01", MediaKind::Video, "video/x-flv"),
    (b"ID3", MediaKind::Sound, "audio/mpeg"),
    (b"fLaC", MediaKind::Sound, "audio/flac"),
    (b"OggS", MediaKind::Sound, "audio/ogg"),
    (b"\x1A\x45\xDF\xA3", MediaKind::Video, "video/x-matroska"),
];

/// What a file is that starts with `bytes` ([`PROBE_BYTES`], or all that it has); `None` if it is no media.
/// (ISO/IEC 14496-12 §4.3 for `ftyp`; RFC 9559 for Matroska and WebM; ISO/IEC 13818-1 §2.4.3.2 for transport streams;
/// RFC 6386 and Microsoft's RIFF for WebP, AVI and WAVE; ISO/IEC 13818-7 for ADTS, 11172-3 for MPEG audio.)
pub fn probe_media(bytes: &[u8]) -> Option<MediaType> {
    let media = |kind, content_type| Some(MediaType { kind, content_type });
    if bytes.starts_with(b"\x1A\x45\xDF\xA3") && bytes.windows(4).any(|four| four == b"webm") {
        return media(MediaKind::Video, "video/webm");
    }
    if bytes.starts_with(b"OggS") && bytes.windows(6).any(|six| six == b"theora") {
        return media(MediaKind::Video, "video/ogg");
    }
    let fixed = BEGINNINGS
        .iter()
        .find(|(start, _, _)| bytes.starts_with(start));
    if let Some((_, kind, content_type)) = fixed {
        return media(*kind, content_type);
    }
    let four = |at: usize| bytes.get(at..at + 4);
    match (four(0), four(4)?, four(8)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => return media(MediaKind::Still, "image/webp"),
        (Some(b"RIFF"), _, Some(b"AVI ")) => return media(MediaKind::Video, "video/x-msvideo"),
        (Some(b"RIFF"), _, Some(b"WAVE")) => return media(MediaKind::Sound, "audio/wav"),
        (_, b"ftyp", Some(brand)) => return Some(of_brand(brand)),
        // QuickTime before there was `ftyp`, and fragments without a header.
        (_, b"moov" | b"mdat" | b"wide", _) => return media(MediaKind::Video, "video/quicktime"),
        (_, b"styp" | b"moof" | b"sidx", _) => return media(MediaKind::Video, "video/mp4"),
        _ => {}
    }
    let synced = |step: usize, start: usize| {
        let mut marks = bytes.iter().skip(start).step_by(step).take(3);
        bytes.len() > start + 2 * step && marks.all(|mark| *mark == 0x47)
    };
    if synced(188, 0) || synced(192, 4) {
        return media(MediaKind::Video, "video/mp2t");
    }
    match (bytes[0], bytes[1]) {
        // Layer 0 is ADTS; the others are MPEG audio with a bitrate and a rate that exist.
        (0xFF, second) if second & 0xF6 == 0xF0 => media(MediaKind::Sound, "audio/aac"),
        (0xFF, second) if second & 0xE6 == 0xE2 && second & 0x18 != 0x08 => {
            let exists = bytes[2] & 0xF0 != 0xF0 && bytes[2] & 0x0C != 0x0C;
            exists.then_some(MediaType {
                kind: MediaKind::Sound,
                content_type: "audio/mpeg",
            })
        }
        _ => None,
    }
}

/// What the major brand of an ISO base media file says.
fn of_brand(brand: &[u8]) -> MediaType {
    let (kind, content_type) = match brand {
        b"M4A " | b"M4B " | b"F4A " => (MediaKind::Sound, "audio/mp4"),
        b"qt  " => (MediaKind::Video, "video/quicktime"),
        b"heic" | b"heix" | b"mif1" => (MediaKind::Still, "image/heic"),
        b"avif" => (MediaKind::Still, "image/avif"),
        brand if brand.starts_with(b"3g") => (MediaKind::Video, "video/3gpp"),
        _ => (MediaKind::Video, "video/mp4"),
    };
    MediaType { kind, content_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Option<(MediaKind, &str)>) {
        let found = probe_media(bytes).map(|media| (media.kind, media.content_type));
        assert_eq!(found, expected, "{bytes:?}");
    }

    #[test]
    fn media_is_known_by_its_first_bytes() {
        let ts: Vec<u8> = (0..512)
            .map(|at| if at % 188 == 0 { 0x47 } else { 1 })
            .collect();
        let m2ts = [&[0; 4][..], &ts.repeat(2)].concat();
        let packets: Vec<u8> = m2ts
            .iter()
            .enumerate()
            .map(|(at, _)| if at % 192 == 4 { 0x47 } else { 1 })
            .collect();
        for (bytes, kind, content_type) in [
            (&b"\0\0\0\x20ftypisom"[..], MediaKind::Video, "video/mp4"),
            (b"\0\0\0\x20ftypqt  ", MediaKind::Video, "video/quicktime"),
            (b"\0\0\0\x20ftypM4A ", MediaKind::Sound, "audio/mp4"),
            (b"\0\0\0\x20ftypavif", MediaKind::Still, "image/avif"),
            (b"\0\0\0\x08wide\0\0", MediaKind::Video, "video/quicktime"),
            (
                b"\x1A\x45\xDF\xA3\x01\x42\x82\x84webm",
                MediaKind::Video,
                "video/webm",
            ),
            (
                b"\x1A\x45\xDF\xA3\x01\x42\x82\x88matroska",
                MediaKind::Video,
                "video/x-matroska",
            ),
            (b"RIFF\0\0\0\0WAVEfmt ", MediaKind::Sound, "audio/wav"),
            (b"\xFF\xD8\xFF\xE0", MediaKind::Still, "image/jpeg"),
            (b"\xFF\xFB\x90\x00\0\0\0\0", MediaKind::Sound, "audio/mpeg"),
            (b"\xFF\xF1\x50\x80\0\0\0\0", MediaKind::Sound, "audio/aac"),
            (&ts, MediaKind::Video, "video/mp2t"),
            (&packets, MediaKind::Video, "video/mp2t"),
        ] {
            check(bytes, Some((kind, content_type)));
        }
    }

    #[test]
    fn what_browsers_would_run_and_all_else_is_no_media() {
        for bytes in [
            &b""[..],
            b"M",
            b"<!doctype html><script>",
            b"<svg xmlns=",
            b"%PDF-1.7",
            b"PK\x03\x04\0\0\0\0\0",
            b"\xFF\xFE<\0h\0t\0m\0l\0",
            b"GGGGGGGGGGGGGGGG",
            b"ftypisom",
        ] {
            check(bytes, None);
        }
    }
}
