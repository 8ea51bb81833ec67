//! The keys with which this box signs, in its data directory: made at the first start, never changed. The public ones
//! lie beside as a text that people copy to where clips are verified.
//!
//! ```text
//! keys/box.key   secret; readable by perch's user alone
//! keys/box.pub   two lines, for everybody
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::seal::{KeysError, PublicKeys, SigningKeys};

/// More than any text of keys takes.
const TEXT_BYTES_MAX: u64 = 16 << 10;

/// Where the public keys lie.
pub(super) fn public_keys_path(dir: &Path) -> PathBuf {
    dir.join("keys/box.pub")
}

/// Why a box cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum BoxKeysError {
    /// The operating system refuses.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// The text is damaged.
    #[error("{0}: {1}")]
    Keys(PathBuf, KeysError),
}

/// The keys below `dir`, made if there are none.
pub(super) fn load_or_make_keys(dir: &Path) -> Result<SigningKeys, BoxKeysError> {
    let secret = dir.join("keys/box.key");
    let io = |cause| BoxKeysError::Io(secret.clone(), cause);
    let keys = match File::open(&secret) {
        Ok(file) => {
            let mut text = zeroize::Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX as usize));
            file.take(TEXT_BYTES_MAX)
                .read_to_end(&mut text)
                .map_err(io)?;
            // What is no text is no key either.
            SigningKeys::from_text(std::str::from_utf8(&text).unwrap_or_default())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let keys = SigningKeys::generate_for_new_box()
                .map_err(|error| BoxKeysError::Keys(secret.clone(), error))?;
            make_folder(dir).map_err(io)?;
            write_new(&secret, keys.to_text().as_bytes(), 0o600).map_err(io)?;
            Ok(keys)
        }
        Err(error) => return Err(io(error)),
    };
    let keys = keys.map_err(|error| BoxKeysError::Keys(secret.clone(), error))?;
    let public = public_keys_path(dir);
    let text = keys.public_keys().to_string();
    if fs::read_to_string(&public).ok().as_ref() != Some(&text) {
        write_new(&public, text.as_bytes(), 0o644)
            .map_err(|cause| BoxKeysError::Io(public, cause))?;
    }
    Ok(keys)
}

/// The public keys in a file.
pub fn load_public_keys(path: &Path) -> Result<PublicKeys, BoxKeysError> {
    let text = File::open(path).and_then(|file| {
        let mut text = String::new();
        file.take(TEXT_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    });
    let text = text.map_err(|cause| BoxKeysError::Io(path.to_owned(), cause))?;
    text.parse()
        .map_err(|error| BoxKeysError::Keys(path.to_owned(), error))
}

fn make_folder(dir: &Path) -> io::Result<()> {
    let folder = dir.join("keys");
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(dir)?.sync_all()
}

/// Writes a file whole or not at all.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_secret_and_with_a_name_of_their_own() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keys = load_or_make_keys(one.path()).unwrap();
        let again = load_or_make_keys(one.path()).unwrap();
        assert_eq!(keys.public_keys(), again.public_keys());
        let mode = fs::metadata(one.path().join("keys/box.key")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        let public = load_public_keys(&public_keys_path(one.path())).unwrap();
        assert_eq!(&public, keys.public_keys());
        let stranger = load_or_make_keys(other.path()).unwrap();
        assert_ne!(stranger.public_keys().origin(), public.origin());
    }

    #[test]
    fn damaged_keys_are_told_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        load_or_make_keys(dir.path()).unwrap();
        let path = dir.path().join("keys/box.key");
        for rubbish in [&b"rubbish"[..], b"\xff\xfe"] {
            fs::write(&path, rubbish).unwrap();
            assert!(matches!(
                load_or_make_keys(dir.path()),
                Err(BoxKeysError::Keys(..))
            ));
            assert_eq!(fs::read(&path).unwrap(), rubbish);
        }
    }
}
