//! Which data directory a command means, and whether it may write there.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use nix::unistd::{Uid, User};

use crate::config::Config;

/// Without a service, below the current folder.
const OF_THE_FOLDER: &str = "perch-data";

/// Where the service keeps its own: what StateDirectory= in systemd/perch.service makes.
const OF_THE_SERVICE: &str = "/var/lib/perch";

/// Where an appliance records: as said, else where systemd provides a place, else below the current folder.
pub(super) fn to_record_in(given: Option<PathBuf>, config: &Config) -> PathBuf {
    named(given, config).unwrap_or_else(|| OF_THE_FOLDER.into())
}

/// Where an appliance has recorded: the same, but rather the service's than a folder that is not there.
pub(super) fn recorded_in(given: Option<PathBuf>, config: &Config) -> PathBuf {
    named(given, config).unwrap_or_else(|| {
        let places = [OF_THE_FOLDER, OF_THE_SERVICE].map(PathBuf::from);
        let there = places.iter().find(|place| place.is_dir());
        there.unwrap_or(&places[0]).clone()
    })
}

fn named(given: Option<PathBuf>, config: &Config) -> Option<PathBuf> {
    // STATE_DIRECTORY comes with StateDirectory= (systemd.exec(5)).
    let state = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    given.or_else(|| config.data_dir.clone()).or_else(state)
}

/// Refuses to write as root into a directory that belongs to somebody else: its owner could not write any more to what
/// root leaves there.
pub(super) fn check_owner(dir: &Path) -> anyhow::Result<()> {
    // Who comes first makes it.
    let Ok(found) = dir.metadata() else {
        return Ok(());
    };
    let owner = Uid::from_raw(found.uid());
    if is_foreign(Uid::effective(), owner) {
        let name = user_name(owner);
        bail!(
            "data directory {}: it belongs to {name}, who could not write to what root leaves there; run this as \
             `sudo -u {name} perch …`",
            dir.display()
        );
    }
    Ok(())
}

/// Whether a directory is there and belongs to the user that this process runs as.
pub(super) fn is_own(dir: &Path) -> bool {
    dir.metadata()
        .is_ok_and(|found| found.is_dir() && found.uid() == Uid::effective().as_raw())
}

/// Whom a file or directory belongs to, as `sudo -u` takes it; `None` if it is not there.
pub(super) fn owner_name(path: &Path) -> Option<String> {
    let found = path.metadata().ok()?;
    Some(user_name(Uid::from_raw(found.uid())))
}

fn user_name(user: Uid) -> String {
    let known = User::from_uid(user).ok().flatten();
    known.map_or_else(|| format!("'#{user}'"), |known| known.name)
}

/// Whether a process is there and is one of the directory's owner. (proc(5): a process owns its folder.)
pub(super) fn runs_as_owner(pid: u32, dir: &Path) -> bool {
    let owner = |path: &Path| path.metadata().ok().map(|found| found.uid());
    let of_process = owner(Path::new(&format!("/proc/{pid}")));
    of_process.is_some() && of_process == owner(dir)
}

/// Everybody else is refused by the system.
fn is_foreign(user: Uid, owner: Uid) -> bool {
    user.is_root() && !owner.is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_goes_before_what_is_found() {
        let mut config = Config::default();
        let given = Some(PathBuf::from("/srv/given"));
        config.data_dir = Some("/srv/configured".into());
        for place in [to_record_in, recorded_in] {
            assert_eq!(place(given.clone(), &config), Path::new("/srv/given"));
            assert_eq!(place(None, &config), Path::new("/srv/configured"));
        }
    }

    #[test]
    fn root_writes_to_its_own_directories_alone() {
        let (root, other) = (Uid::from_raw(0), Uid::from_raw(1000));
        assert!(is_foreign(root, other));
        assert!(!is_foreign(root, root) && !is_foreign(other, other) && !is_foreign(other, root));
        let dir = tempfile::tempdir().expect("a folder");
        assert!(check_owner(dir.path()).is_ok());
        assert!(check_owner(&dir.path().join("none")).is_ok());
        assert!(runs_as_owner(std::process::id(), dir.path()));
        assert_eq!(
            owner_name(dir.path()),
            Some(user_name(Uid::effective())),
            "who made it"
        );
        assert_eq!(owner_name(&dir.path().join("none")), None);
        // Linux gives no number above four million (proc(5), pid_max).
        assert!(!runs_as_owner(u32::MAX, dir.path()));
    }

    #[test]
    fn only_a_directory_that_is_there_is_somebodys_own() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(is_own(dir.path()));
        assert!(!is_own(&dir.path().join("none")));
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert!(!is_own(&file));
        let others = dir.path().join("others");
        std::fs::create_dir(&others).expect("a folder");
        // Root alone gives its folders away, and to anybody else the file system's root is another's.
        let is_given = std::os::unix::fs::chown(&others, Some(1), None).is_ok();
        assert!(!is_own(if is_given { &others } else { Path::new("/") }));
    }
}
