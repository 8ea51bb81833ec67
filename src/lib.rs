//! Perch: a private video appliance in one binary. ARCHITECTURE.md draws the floors that these modules stand on.

pub mod adapt;
pub mod app;
pub mod base;
pub mod board;
pub mod capture;
pub mod chunk;
pub mod cmaf;
pub mod cmd;
pub mod config;
pub mod encode;
pub mod live;
pub mod media;
pub mod packager;
pub mod playlist;
pub mod seal;
pub mod serve;
pub mod store;
pub mod upload;
