//! The store as a whole: what is promised about recordings, over files and an index that are real.

mod asking;
mod bad_sectors;
mod ballast;
mod clip_files;
mod clips;
mod doors;
mod durable;
mod faults;
mod faulty_disk;
mod fixture;
pub(crate) mod fragments;
mod full_disk;
mod holders;
mod imports;
mod made;
mod open_reels;
mod outdated;
mod plays;
mod proofs;
mod rebuilding;
mod retention;
mod scrubbing;
mod uploads;
mod uploads_faults;
mod uploads_import;
mod uploads_room;
mod verifying;
