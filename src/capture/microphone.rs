//! Whether a microphone could be opened now, as the kernel tells: to try would mean to take it from whoever opens it
//! at the same time. Driven by `app` while a camera runs without the sound that it is to have.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether the microphone that ALSA calls `name` is there and nobody records from it. False also where that cannot be
/// told: for a name that says no card, such as `default`, and where the kernel keeps no `/proc/asound`.
pub fn is_microphone_free(name: &str) -> bool {
    is_free_in(Path::new("/proc/asound"), name)
}

fn is_free_in(asound: &Path, name: &str) -> bool {
    let Some(folder) = pcm_folder(name) else {
        return false;
    };
    let entries = fs::read_dir(asound.join(folder));
    entries.into_iter().flatten().flatten().any(|entry| {
        let status = fs::read_to_string(entry.path().join("status"));
        status.is_ok_and(|status| status.trim() == "closed")
    })
}

/// Where the kernel tells of `hw:CARD=Mic,DEV=0`, `plughw:1,0` and the like. The device is 0 if none is named.
fn pcm_folder(name: &str) -> Option<PathBuf> {
    let (kind, arguments) = name.split_once(':')?;
    if !matches!(kind, "hw" | "plughw") {
        return None;
    }
    let mut arguments = arguments.split(',');
    let card = arguments.next()?;
    let card = card.strip_prefix("CARD=").unwrap_or(card);
    let device = arguments.next().unwrap_or("0");
    let device: u32 = device.strip_prefix("DEV=").unwrap_or(device).parse().ok()?;
    // A card has a folder under its number, and one under its name.
    let card = match card.parse::<u32>() {
        Ok(number) => format!("card{number}"),
        Err(_) => card.to_owned(),
    };
    Some(Path::new(&card).join(format!("pcm{device}c")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_microphone_is_free_while_it_is_there_and_nobody_records_from_it() {
        let asound = tempfile::tempdir().expect("a temporary folder");
        let check = |name: &str, expected| {
            assert_eq!(is_free_in(asound.path(), name), expected, "{name}");
        };
        check("hw:CARD=C920,DEV=0", false);
        let sub = asound.path().join("C920/pcm0c/sub0");
        fs::create_dir_all(&sub).expect("room");
        check("hw:CARD=C920,DEV=0", false);
        fs::write(sub.join("status"), "closed\n").expect("room");
        fs::write(asound.path().join("C920/pcm0c/info"), "card: 1\n").expect("room");
        for name in ["hw:CARD=C920,DEV=0", "hw:CARD=C920", "plughw:C920,0"] {
            check(name, true);
        }
        for name in ["hw:CARD=C920,DEV=1", "hw:CARD=Mic", "hw:C920,x", "default"] {
            check(name, false);
        }
        let state = "state: RUNNING\nowner_pid   : 812\n";
        fs::write(sub.join("status"), state).expect("room");
        check("hw:CARD=C920,DEV=0", false);
    }

    #[test]
    fn cards_are_known_by_number_and_by_name() {
        for (name, expected) in [
            ("hw:1", Some("card1/pcm0c")),
            ("hw:1,2", Some("card1/pcm2c")),
            ("plughw:CARD=Mic,DEV=3,SUBDEV=0", Some("Mic/pcm3c")),
            ("pulse", None),
            ("dsnoop:CARD=Mic", None),
        ] {
            assert_eq!(pcm_folder(name), expected.map(PathBuf::from), "{name}");
        }
    }
}
