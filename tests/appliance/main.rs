//! The whole binary as its users meet it: started, asked over HTTP, played by players that are not ours, stopped,
//! started again, and given what it cannot use.

mod bad_input;
mod clip_files;
mod doctor;
mod handover;
mod harness;
mod http;
mod imports;
mod lifecycle;
mod players;
mod storage;
mod uploads;
mod warnings;
