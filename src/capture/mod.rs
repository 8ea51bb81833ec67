//! Sources of pictures: the cameras that are plugged in, their pictures lent to a sink without a copy, and the test
//! scene. Knows nothing of encoders: each source feeds a sink that it is given. Driven by `app`.
//!
//! `discover` and `watch` find cameras, `negotiate` chooses a mode, `stream` runs it on a thread of its own. Multi-planar
//! cameras are only listed; `encode` opens them.

mod controls;
mod discover;
mod error;
mod identity;
mod ioctl;
mod judge;
mod mapping;
mod microphone;
mod mode;
mod negotiate;
mod queue;
mod report;
mod scene;
mod scene_clock;
mod scene_picture;
mod scene_pool;
mod scene_tone;
mod stream;
mod sysfs;
mod watch;

pub use controls::{Control, ControlError, ControlKind, ControlValue, list_controls, set_controls};
pub use discover::{CameraDevice, check_device, discover, find_microphone, unreadable_nodes};
pub use error::{EndReason, OpenError};
pub use identity::{CameraIdentity, CameraNames};
pub use microphone::is_microphone_free;
pub use mode::{FrameRates, Mode};
pub use negotiate::{ChosenMode, ModeWish, negotiate};
pub use report::CaptureReport;
pub use scene::{AudioSink, SceneCounters, SceneOptions, TestScene};
pub use scene_clock::{draw_clock, read_clock};
pub use scene_picture::ScenePicture;
pub use scene_tone::{SceneTone, TONE_FORMAT};
pub use stream::{Capture, CaptureOptions, CaptureRun, EndSink, FrameSink};
pub use watch::{CameraEvent, CameraEventSink, CameraWatch};
