//! Names that appear in addresses and paths, checked once where they enter.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The stable name of a camera: 1 to 64 of `a-z 0-9 -`, neither starting nor ending with `-`.
/// Safe in a URL and as a folder's name. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CameraId(Arc<str>);

/// The text is no camera name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no camera name: use 1 to 64 of a-z, 0-9 and -, not starting or ending with -")]
pub struct InvalidCameraId(pub String);

impl CameraId {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// Makes the nearest valid name from any text, such as a device's own description.
    pub fn from_description(text: &str) -> Self {
        let mut name = String::with_capacity(text.len());
        for c in text.chars().map(|c| c.to_ascii_lowercase()) {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
        }
        name.truncate(Self::BYTES_MAX);
        let name = name.trim_end_matches('-');
        Self(if name.is_empty() {
            "camera".into()
        } else {
            name.into()
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CameraId {
    type Err = InvalidCameraId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = !text.is_empty()
            && text.len() <= Self::BYTES_MAX
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCameraId(text.to_owned()))
        }
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_description_becomes_a_valid_name() {
        for (text, name) in [
            ("HD Pro Webcam C920", "hd-pro-webcam-c920"),
            ("  (Integrated)  ", "integrated"),
            ("日本", "camera"),
            ("", "camera"),
        ] {
            assert_eq!(CameraId::from_description(text).as_str(), name);
        }
        let long = CameraId::from_description(&"a-".repeat(100));
        assert_eq!(long.as_str().parse::<CameraId>(), Ok(long));
    }

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for text in [
            "",
            "..",
            "a/b",
            "A",
            "-a",
            "a-",
            "a.b",
            "a\0",
            &"a".repeat(65),
        ] {
            assert!(text.parse::<CameraId>().is_err(), "{text}");
        }
    }
}
