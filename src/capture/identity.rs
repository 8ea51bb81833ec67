//! Which camera is which: the same name for the same camera after a reboot or a re-plug, different names for twins.
//! Pure but for reading and writing the file of names that were given.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::CameraId;

/// What tells one camera from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CameraIdentity {
    /// Maker and product, or the driver: `046d:082d`, `unicam`.
    pub model: String,
    /// The port that it is plugged into, without numbers that change from boot to boot:
    /// `usb-0000:00:14.0-2/0.0`, `platform:vivid-000/0.0`.
    pub port: String,
    /// The serial number that it states; twins of cheap makes state the same.
    pub serial: Option<String>,
}

/// Names given to cameras so far, so that each keeps its own.
#[derive(Debug, Default)]
pub struct CameraNames {
    file: Option<PathBuf>,
    given: Vec<GivenName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GivenName {
    id: String,
    #[serde(flatten)]
    identity: CameraIdentity,
}

impl CameraNames {
    /// Names that are remembered in `file` (JSON) from one start to the next; it need not exist yet.
    /// Fails if it exists and cannot be read or understood, rather than naming every camera anew.
    pub fn load(file: &Path) -> io::Result<Self> {
        let given = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            file: Some(file.to_owned()),
            given,
        })
    }

    /// The same for who only looks: `file` stays as it is, whatever new names are given.
    pub fn recall(file: &Path) -> io::Result<Self> {
        let names = Self::load(file)?;
        Ok(Self {
            file: None,
            ..names
        })
    }

    /// Names the cameras that are present together, each with its card's name, in the order given.
    /// A camera that was seen before keeps its name: by serial and port, then by serial alone if it moved to
    /// another port. A new one is named after its card, with four digits more if that name is taken.
    pub(super) fn assign(&mut self, found: &[(CameraIdentity, &str)]) -> Vec<CameraId> {
        let before = self.given.clone();
        let mut claimed: Vec<Option<usize>> = found
            .iter()
            .map(|(identity, _)| self.given.iter().position(|g| g.identity == *identity))
            .collect();
        for (index, (identity, _)) in found.iter().enumerate() {
            if claimed[index].is_none() && identity.serial.is_some() {
                claimed[index] = (0..self.given.len()).find(|given| {
                    let known = &self.given[*given].identity;
                    known.serial == identity.serial
                        && known.model == identity.model
                        && lens(&known.port) == lens(&identity.port)
                        && !claimed.contains(&Some(*given))
                });
            }
        }
        let ids = found
            .iter()
            .zip(claimed)
            .map(|((identity, card), claimed)| match claimed {
                Some(given) => {
                    self.given[given].identity = identity.clone();
                    CameraId::from_description(&self.given[given].id)
                }
                None => {
                    let id = self.new_name(identity, card);
                    self.given.push(GivenName {
                        id: id.to_string(),
                        identity: identity.clone(),
                    });
                    id
                }
            })
            .collect();
        if self.given != before {
            self.save();
        }
        ids
    }

    fn new_name(&self, identity: &CameraIdentity, card: &str) -> CameraId {
        let is_free = |id: &CameraId| self.given.iter().all(|given| given.id != id.as_str());
        let plain = CameraId::from_description(short_card_name(card));
        if is_free(&plain) {
            return plain;
        }
        let distinct = identity.serial.as_ref().unwrap_or(&identity.port);
        let stem_max = CameraId::BYTES_MAX - "-0000".len();
        let stem = &plain.as_str()[..plain.as_str().len().min(stem_max)];
        (0..=u16::MAX)
            .map(|attempt| {
                let digits = digest(distinct).wrapping_add(attempt);
                CameraId::from_description(&format!("{stem}-{digits:04x}"))
            })
            .find(is_free)
            .expect("fewer than 65536 cameras are named alike")
    }

    /// Writes beside the file and renames, so that a power cut leaves the old names or the new.
    fn save(&self) {
        let Some(file) = &self.file else { return };
        let write = || {
            let beside = file.with_extension("new");
            fs::write(&beside, serde_json::to_vec_pretty(&self.given)?)?;
            fs::File::open(&beside)?.sync_all()?;
            fs::rename(&beside, file)
        };
        if let Err(error) = write() {
            tracing::warn!(
                file = %file.display(), %error,
                "the names of the cameras could not be saved; twins may swap names at the next start"
            );
        }
    }
}

/// Which of a device's cameras, without where the device is plugged in.
fn lens(port: &str) -> Option<&str> {
    port.rsplit_once('/').map(|(_, lens)| lens)
}

/// UVC's card names end in a repetition that helps nobody: `HD Pro Webcam C920: HD Pro Webcam`.
fn short_card_name(card: &str) -> &str {
    match card.split_once(':') {
        Some((first, rest)) if first.starts_with(rest.trim()) => first,
        _ => card,
    }
}

/// FNV-1a folded to 16 bits: no secret, only short and the same everywhere.
fn digest(text: &str) -> u16 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash >> 16) as u16 ^ hash as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(port: &str, serial: Option<&str>) -> CameraIdentity {
        CameraIdentity {
            model: "046d:082d".to_owned(),
            port: port.to_owned(),
            serial: serial.map(str::to_owned),
        }
    }

    fn names(names: &mut CameraNames, found: &[CameraIdentity]) -> Vec<String> {
        let found: Vec<_> = found.iter().map(|i| (i.clone(), "C920")).collect();
        let ids = names.assign(&found);
        ids.iter().map(CameraId::to_string).collect()
    }

    #[test]
    fn a_camera_alone_is_named_after_its_card() {
        let mut given = CameraNames::default();
        assert_eq!(names(&mut given, &[camera("usb-1", None)]), ["c920"]);
        for (card, expected) in [
            ("HD Pro Webcam C920", "HD Pro Webcam C920"),
            ("HD Pro Webcam C920: HD Pro Webcam ", "HD Pro Webcam C920"),
            ("Integrated Camera: Integrated C", "Integrated Camera"),
            ("Cam: left", "Cam: left"),
        ] {
            assert_eq!(short_card_name(card), expected);
        }
    }

    #[test]
    fn twins_are_told_apart_by_port_and_keep_their_names() {
        let (left, right) = (camera("usb-1", None), camera("usb-2", None));
        let mut given = CameraNames::default();
        let both = names(&mut given, &[left.clone(), right.clone()]);
        assert_eq!(both[0], "c920");
        assert!(
            both[1].starts_with("c920-") && both[1].len() == 9,
            "{both:?}"
        );
        assert_eq!(
            names(&mut given, std::slice::from_ref(&right)),
            [both[1].clone()]
        );
        assert_eq!(names(&mut given, &[right, left]), [&both[1][..], "c920"]);
    }

    #[test]
    fn a_camera_with_a_serial_keeps_its_name_on_another_port() {
        let mut given = CameraNames::default();
        let both = names(
            &mut given,
            &[camera("usb-1", Some("A")), camera("usb-2", Some("B"))],
        );
        let swapped = names(
            &mut given,
            &[camera("usb-1", Some("B")), camera("usb-2", Some("A"))],
        );
        assert_eq!(swapped, [both[1].clone(), both[0].clone()]);
        assert_eq!(given.given.len(), 2);
    }

    #[test]
    fn twins_with_one_serial_between_them_stay_two_cameras() {
        let mut given = CameraNames::default();
        let twins = [camera("usb-1", Some("1")), camera("usb-2", Some("1"))];
        let both = names(&mut given, &twins);
        assert_ne!(both[0], both[1]);
        assert_eq!(names(&mut given, &twins), both);
    }

    #[test]
    fn two_lenses_of_one_camera_keep_their_names_on_another_port() {
        let mut given = CameraNames::default();
        let lenses = |port: &str| [0, 2].map(|lens| camera(&format!("{port}/{lens}.0"), Some("A")));
        let both = names(&mut given, &lenses("usb-1"));
        assert_ne!(both[0], both[1]);
        let [colour, infrared] = lenses("usb-2");
        let moved = names(&mut given, &[infrared, colour]);
        assert_eq!(moved, [both[1].clone(), both[0].clone()]);
    }

    #[test]
    fn names_survive_a_restart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("cameras.json");
        let twins = [camera("usb-1", None), camera("usb-2", None)];
        let mut given = CameraNames::load(&file).expect("no file is no failure");
        let both = names(&mut given, &twins);
        let mut again = CameraNames::load(&file).expect("what was saved can be read");
        assert_eq!(names(&mut again, &twins[1..]), both[1..]);
        let before = fs::read(&file).expect("the names");
        let mut recalled = CameraNames::recall(&file).expect("what was saved can be read");
        let third = [twins[1].clone(), camera("usb-3", None)];
        assert_eq!(names(&mut recalled, &third)[0], both[1]);
        assert_eq!(fs::read(&file).expect("the names"), before);
        fs::write(&file, b"{").expect("room for a byte");
        assert!(CameraNames::load(&file).is_err());
    }

    #[test]
    fn a_long_name_leaves_room_for_its_digits() {
        let mut given = CameraNames::default();
        let card = "x".repeat(100);
        let ids = given.assign(&[
            (camera("usb-1", None), &card),
            (camera("usb-2", None), &card),
        ]);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[1].as_str().len(), CameraId::BYTES_MAX);
    }
}
