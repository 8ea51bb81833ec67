//! Any bytes as a reel: its segments and what is damaged of it lie in the file and do not overlap, and boxes that can be
//! read are laid out again as they were. The checks of boxes are made to hold, so that the fuzzer reaches what is behind
//! them. `./scripts/fuzz reel`

#![no_main]

use libfuzzer_sys::fuzz_target;
use perch_fuzz::store::{ReelBox, read_head, read_segments};

fn read(file: &[u8]) {
    if let Some(start) = read_head(file) {
        assert!((start as usize) < file.len());
    }
    let (segments, damaged) = read_segments(file, 0);
    let mut stretches = [segments, damaged].concat();
    stretches.sort_by_key(|stretch| stretch.start);
    let mut at = 0;
    for stretch in stretches {
        assert!(at <= stretch.start && stretch.start < stretch.end);
        at = stretch.end;
    }
    assert!(at <= file.len() as u64);
}

/// A reel of pieces, each behind what it is to be and how many bytes it has.
fn pieced(mut bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    while let Some(([what, count], rest)) = bytes.split_first_chunk() {
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*count)));
        bytes = rest;
        let sealed = match what % 4 {
            0 => Some(ReelBox::Head),
            1 => Some(ReelBox::Trailer),
            2 => {
                file.extend((piece.len() as u32 + 8).to_be_bytes());
                file.extend(b"mdat");
                None
            }
            _ => None,
        };
        let Some(kind) = sealed else {
            file.extend(piece);
            continue;
        };
        let sealed = kind.seal(piece);
        assert!(
            kind.read_and_encode(&sealed)
                .is_none_or(|again| again == sealed)
        );
        file.extend(sealed);
    }
    file
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&pieced(bytes));
});
