//! Perch: a private video appliance in one binary. ARCHITECTURE.md draws the floors that these modules stand on.

pub mod adapt;
pub mod base;
pub mod capture;
pub mod board;
pub mod config;
pub mod cmaf;
pub mod live;
pub mod media;
pub mod playlist;
