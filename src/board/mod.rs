//! The machine we run on: what it is, how busy and how hot it is, what it lends this process, and what its service
//! manager wants to hear. Decides nothing.

mod load;
mod memory;
mod notify;

pub use load::{CpuLoad, temperature_celsius};
pub use memory::{decline_huge_pages, fix_mmap_threshold};
pub use notify::ServiceManager;

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises this process' limit of open files to the most that the system allows it (getrlimit(2)): the usual 1024 is
/// for programs that call select(2). Returns the limit that holds now.
pub fn raise_files_limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => hard,
            Err(error) => {
                tracing::warn!(%error, soft, "the limit of open files could not be raised");
                soft
            }
        }
    });
    // Without an answer, what every Linux gives.
    limit.map_or(1024, |files| files.try_into().unwrap_or(usize::MAX))
}

/// The name that this machine has on its network.
pub fn host_name() -> Option<String> {
    let names = nix::sys::utsname::uname().ok()?;
    names.nodename().to_str().map(str::to_owned)
}

/// Names the board: its device-tree model, else its DMI product name, else the processor family.
pub fn board_name() -> String {
    let candidates = ["/proc/device-tree/model", "/sys/class/dmi/id/product_name"];
    candidates
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|text| text.trim_matches(['\0', '\n', ' ']).to_owned())
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_the_most_that_is_allowed() {
        let files_max = raise_files_limit();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        assert_eq!((soft, files_max as u64), (hard, hard));
    }
}
