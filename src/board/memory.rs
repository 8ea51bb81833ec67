//! How this process takes memory.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// glibc's environment variable for `M_MMAP_THRESHOLD` (mallopt(3)); other C libraries don't look at it.
const MMAP_THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";
/// Its own default, in bytes.
const MMAP_THRESHOLD_BYTES: &str = "131072";

/// Declines transparent huge pages (prctl(2), `PR_SET_THP_DISABLE`). x264 asks for them and fills few of each: of the
/// 1080p ladder's memory they are 10 MB, which a board of 512 MB misses more than the encoder misses them.
pub fn decline_huge_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "huge pages are not declined");
    }
}

/// Has large blocks of memory go back to the system when they are freed, by starting this program once more with the
/// same arguments in this very process; returns where that is done or cannot be. glibc raises its threshold with each
/// large block that is freed (mallopt(3), "Dynamic mmap threshold"): parts and pictures then come from the heap, and
/// leave holes in it that grow. A fixed threshold can only be said before a program starts, or by an unsafe call.
/// To be called before there is a thread.
pub fn fix_mmap_threshold() {
    if env::var_os(MMAP_THRESHOLD).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else {
        return;
    };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again
        .args(arguments)
        .env(MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        .exec();
    tracing::debug!(%error, "freed memory may stay with the heap");
}
