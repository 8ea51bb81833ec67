//! The machine we run on: what it is, how busy and how hot it is, and what its service manager wants to hear.
//! Reads the kernel's files only; decides nothing.

mod load;
mod memory;
mod notify;

pub use load::{CpuLoad, temperature_celsius};
pub use memory::decline_huge_pages;
pub use notify::ServiceManager;

use std::fs;

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
