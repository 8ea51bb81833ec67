//! How this process takes memory.

/// Declines transparent huge pages (prctl(2), `PR_SET_THP_DISABLE`). x264 asks for them and fills few of each: of the
/// 1080p ladder's memory they are 10 MB, which a board of 512 MB misses more than the encoder misses them.
pub fn decline_huge_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "huge pages are not declined");
    }
}
