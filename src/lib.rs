//! Perch: a private video appliance in one binary. ARCHITECTURE.md draws the floors that these modules stand on.

pub mod base;
pub mod media;
pub mod store;
