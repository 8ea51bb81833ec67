//! Decisions from measurements: which rungs run on a machine that is short of time.
//! Pure: whoever owns the measurements feeds it and carries out what it says.

mod shed;

pub use shed::{LoadSample, RungLoad, ShedDecision, ShedPlanner};
