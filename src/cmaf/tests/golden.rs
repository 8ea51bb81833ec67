//! What is written, box by box, against `tests/golden/cmaf/`. A run with `PERCH_BLESS=1` writes the files
//! anew; a change of them is a change of every recording, so look at the difference.

use std::fmt::Write;

use super::super::box_walk::BoxWalk;
use super::*;

const CONTAINERS: [&[u8; 4]; 10] = [
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"mvex", b"moof", b"traf", b"edts",
];

/// A line a box: its kind, its size, and its body in hex unless it holds boxes.
fn describe(bytes: &[u8], depth: usize, text: &mut String) {
    for view in BoxWalk::new(bytes) {
        let view = view.expect("what we wrote is well-formed");
        let kind = String::from_utf8_lossy(&view.kind).into_owned();
        let indent = depth * 2;
        write!(text, "{:indent$}{kind} {}", "", 8 + view.body.len()).expect("a String takes it");
        if CONTAINERS.contains(&&view.kind) {
            text.push('\n');
            describe(view.body, depth + 1, text);
        } else {
            let hex: String = view.body.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, " {hex}").expect("a String takes it");
        }
    }
}

pub(super) fn check(name: &str, bytes: &[u8]) {
    let mut text = String::new();
    describe(bytes, 0, &mut text);
    let path = format!(
        "{}/tests/golden/cmaf/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("PERCH_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the golden can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden is there");
    assert_eq!(text, golden, "{name}");
}

#[test]
fn headers_and_fragments_are_what_they_were() {
    let mut pictures_writer = writer(video(30));
    check("video-init", &pictures_writer.init_segment().bytes);
    let parts = push_all(&mut pictures_writer, pictures(30, 20));
    check("video-part-keyframe", &parts[0].bytes);
    check("video-part-delta", &parts[1].bytes);

    let mut uneven = writer(video(30));
    push_all(&mut uneven, [unit(0, 3000, true), unit(3001, 3000, true)]);
    let part = uneven.finish().expect("two pictures are open");
    check("video-part-uneven", &part.bytes);

    let mut sounds_writer = writer(audio(48_000));
    check("audio-init", &sounds_writer.init_segment().bytes);
    let parts = push_all(&mut sounds_writer, sounds(15));
    check("audio-part", &parts[0].bytes);
}
