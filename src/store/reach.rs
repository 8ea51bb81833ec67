//! Where the appliance that holds a data directory can be reached: a small file beside the lock, for commands that find
//! the lock taken. Only who holds the lock writes and removes it, and whoever takes the lock removes what a killed
//! process left: so while the lock is held, the file is its holder's.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Store;

/// The file, below the data directory.
const REACH_PATH: &str = "appliance.json";

/// It is written here and renamed, so that nobody reads half of it.
const NEW_PATH: &str = "appliance.json.new";

/// A file that is longer is none of ours.
const BYTES_MAX: u64 = 4096;

/// Where an appliance can be reached from its own machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Where it answers HTTP; loopback if it listens on every address.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
}

/// The file as long as it is to be there. Dropping this removes it, so that has to come before the store closes.
#[derive(Debug)]
pub struct Announced {
    dir: PathBuf,
}

impl Reach {
    /// What the holder of a directory's lock says of itself. `None` if it says nothing: it is no appliance, or one that
    /// starts or stops. Without a holder this may tell of a process that was killed. Fails if the file cannot be read,
    /// or is not what an appliance writes.
    pub fn of_holder(dir: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(dir.join(REACH_PATH)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut text)?;
        Ok(Some(serde_json::from_slice(&text)?))
    }

    fn write(&self, dir: &Path) -> io::Result<()> {
        let new = dir.join(NEW_PATH);
        remove(&new)?;
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        // Not synced: after a power cut nobody holds the lock.
        fs::rename(new, dir.join(REACH_PATH))
    }
}

impl Store {
    /// Leaves in the data directory where this process answers, until the result is dropped; `listening` is the address
    /// that its server listens on.
    pub fn announce(&self, listening: SocketAddr) -> io::Result<Announced> {
        let reach = Reach {
            address: from_here(listening),
            pid: std::process::id(),
        };
        reach.write(&self.0.dir)?;
        Ok(Announced {
            dir: self.0.dir.clone(),
        })
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Err(error) = forget_holder(&self.dir) {
            tracing::debug!(%error, "{REACH_PATH} stays behind");
        }
    }
}

/// Removes what the last holder of the lock said of itself. For who holds it now.
pub(super) fn forget_holder(dir: &Path) -> io::Result<()> {
    remove(&dir.join(NEW_PATH)).and(remove(&dir.join(REACH_PATH)))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The address by which this machine reaches a server that listens on `listening`.
fn from_here(mut listening: SocketAddr) -> SocketAddr {
    if listening.ip().is_unspecified() {
        listening.set_ip(match listening {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listening
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_everywhere_is_reached_over_loopback() {
        for (listening, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.1.2.3:8080", "10.1.2.3:8080"),
            ("[fe80::1%2]:8080", "[fe80::1%2]:8080"),
        ] {
            let listening = listening.parse().unwrap();
            assert_eq!(from_here(listening).to_string(), reached);
        }
    }

    #[test]
    fn another_file_of_that_name_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", "{}", "null", "{\"address\":\"here\",\"pid\":1}"] {
            fs::write(dir.path().join(REACH_PATH), text).unwrap();
            assert!(Reach::of_holder(dir.path()).is_err(), "{text:?}");
        }
        fs::write(dir.path().join(REACH_PATH), " ".repeat(10_000)).unwrap();
        assert!(Reach::of_holder(dir.path()).is_err());
    }
}
