//! Sources of raw pictures and sound. Knows nothing of encoders: each source feeds a sink that it is given.

mod scene;
mod scene_clock;
mod scene_picture;
mod scene_pool;
mod scene_tone;

pub use scene::{AudioSink, FrameSink, SceneCounters, SceneOptions, TestScene};
pub use scene_clock::{draw_clock, read_clock};
pub use scene_picture::ScenePicture;
pub use scene_tone::{SceneTone, TONE_FORMAT};
