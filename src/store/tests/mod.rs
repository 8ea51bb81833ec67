//! The store as a whole: what is promised about recordings, over files and an index that are real.

mod durable;
mod made;
