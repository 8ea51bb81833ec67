//! Finds the oldest checkpoint that is kept and covers a leaf of the log: what is proven under it stays the same while
//! the box goes on to sign. Reads a few notes of each file, not all of them, since their sizes grow.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::file_system::read_up_to;
use super::log_files::{checkpoints_path, hourly_path, numbers};
use crate::seal::{Checkpoint, NOTE_BYTES_MAX, PublicKeys, SignedCheckpoint};

/// Where notes, of about 4700 bytes each, are looked for at once; the longest that there may be is read behind it.
const WINDOW_BYTES: usize = 32 << 10;

/// The oldest kept checkpoint of more leaves than `index` whose both signatures hold, and what it says. `None` if
/// nothing covers the leaf yet. Damaged ones are passed over.
pub(super) fn first_checkpoint(
    dir: &Path,
    keys: &PublicKeys,
    index: u64,
) -> io::Result<Option<(SignedCheckpoint, Checkpoint)>> {
    let mut files: Vec<PathBuf> = vec![hourly_path(dir)];
    files.extend(numbers(dir)?.into_iter().map(|n| checkpoints_path(dir, n)));
    let mut found = Vec::new();
    for path in files {
        match File::open(path) {
            Ok(file) => found.extend(first_in(&file, keys, index)?),
            // Of the minutes', the oldest goes when a new one is begun.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found
        .into_iter()
        .min_by_key(|(_, checkpoint)| (checkpoint.size, checkpoint.signed_at)))
}

/// The first of a file, by halving.
fn first_in(
    file: &File,
    keys: &PublicKeys,
    index: u64,
) -> io::Result<Option<(SignedCheckpoint, Checkpoint)>> {
    let mut first = None;
    // What starts before `low` covers too little, what starts at `high` or behind is enough, or damaged.
    let (mut low, mut high) = (0, file.metadata()?.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match note_from(file, middle, high, keys)? {
            Some((start, _, checkpoint)) if checkpoint.size <= index => low = start + 1,
            found => {
                if let Some((_, note, checkpoint)) = found {
                    first = Some((note, checkpoint));
                }
                high = middle;
            }
        }
    }
    Ok(first)
}

/// The first note that starts at `from` or behind and before `to`, and whose signatures hold; with where it starts.
fn note_from(
    file: &File,
    from: u64,
    to: u64,
    keys: &PublicKeys,
) -> io::Result<Option<(u64, SignedCheckpoint, Checkpoint)>> {
    let mut from = from;
    let mut buffer = vec![0; 2 + WINDOW_BYTES + NOTE_BYTES_MAX];
    while from < to {
        // A note starts behind an empty line, or with the file.
        let before = from.min(2);
        let base = from - before;
        let count = read_up_to(file, base, &mut buffer)?;
        let end = before + to - from;
        let end = usize::try_from(end).map_or(count, |end| end.min(count).min(2 + WINDOW_BYTES));
        for at in before as usize..end {
            let (head, rest) = buffer[..count].split_at(at);
            let start = base + at as u64;
            let starts = head.ends_with(b"\n\n") || start == 0;
            if starts
                && let Some(note) = note_at(rest)
                && let Ok(checkpoint) = note.verify(keys)
            {
                let checkpoint = checkpoint.clone();
                return Ok(Some((start, note, checkpoint)));
            }
        }
        from += WINDOW_BYTES as u64;
    }
    Ok(None)
}

/// The note with which `bytes` start: its text, an empty line, its signatures, and the empty line behind.
fn note_at(bytes: &[u8]) -> Option<SignedCheckpoint> {
    let bytes = &bytes[..bytes.len().min(NOTE_BYTES_MAX)];
    let empty_line = |from: usize| {
        let found = bytes[from..].windows(2).position(|pair| pair == b"\n\n");
        found.map(|at| from + at)
    };
    let signatures = empty_line(0)? + 2;
    let end = empty_line(signatures)? + 1;
    let note = std::str::from_utf8(&bytes[..end]).ok()?;
    SignedCheckpoint::parse(note).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::seal::{NodeHash, Origin, SigningKeys};

    /// Notes of 10, 20, 30 … leaves, and the keys that signed them.
    fn signed(count: u64) -> (SigningKeys, Vec<String>) {
        let keys = SigningKeys::generate(Origin::of_box("porch").unwrap()).unwrap();
        let note = |number: u64| {
            let note = keys.sign(number * 10, NodeHash([7; 32]), Wall(number as i64 * 60_000));
            format!("{}\n", note.unwrap().as_str())
        };
        let notes = (1..=count).map(note).collect();
        (keys, notes)
    }

    fn sizes(dir: &Path, keys: &SigningKeys, indices: &[u64]) -> Vec<Option<u64>> {
        let found = indices.iter().map(|index| {
            let found = first_checkpoint(dir, keys.public_keys(), *index).unwrap();
            found.map(|(note, checkpoint)| {
                assert_eq!(note.verify(keys.public_keys()), Ok(&checkpoint));
                checkpoint.size
            })
        });
        found.collect()
    }

    #[test]
    fn the_first_that_covers_a_leaf_is_found_wherever_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let (keys, notes) = signed(40);
        assert_eq!(sizes(dir.path(), &keys, &[0]), [None]);
        std::fs::create_dir(dir.path().join("log")).unwrap();
        assert_eq!(sizes(dir.path(), &keys, &[0]), [None]);
        // Of the first twenty, one in seven is left.
        let hourly: String = notes.iter().step_by(7).cloned().collect();
        std::fs::write(hourly_path(dir.path()), hourly).unwrap();
        std::fs::write(checkpoints_path(dir.path(), 3), notes[20..30].concat()).unwrap();
        let cut = &notes[39][..1000];
        let newest = [&notes[30..39].concat(), cut].concat();
        std::fs::write(checkpoints_path(dir.path(), 4), newest).unwrap();
        for (index, expected) in [
            (0, Some(10)),
            (9, Some(10)),
            (10, Some(80)),
            (79, Some(80)),
            (80, Some(150)),
            (150, Some(210)),
            (209, Some(210)),
            (210, Some(220)),
            (299, Some(300)),
            (300, Some(310)),
            (389, Some(390)),
            (390, None),
            (u64::MAX, None),
        ] {
            assert_eq!(sizes(dir.path(), &keys, &[index]), [expected], "{index}");
        }
    }

    #[test]
    fn a_damaged_one_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        let (keys, mut notes) = signed(5);
        // A digit of the time: the signatures do not hold any more.
        notes[2] = notes[2].replace("00:03:00", "00:03:01");
        notes[3].replace_range(1000..2000, &"x".repeat(1000));
        std::fs::write(checkpoints_path(dir.path(), 1), notes.concat()).unwrap();
        let found = sizes(dir.path(), &keys, &[0, 10, 20, 30, 49, 50]);
        let expected = [10, 20, 50, 50, 50].map(Some);
        assert_eq!(found, [&expected[..], &[None]].concat());
    }
}
