//! Cameras: which are there, what each offers, and their pictures lent to a sink without a copy.
//!
//! `discover` and `watch` find them, `negotiate` chooses a mode, `stream` runs it on a thread of its own. Multi-planar
//! cameras are only listed; `encode` opens them. Driven by `app`.

mod controls;
mod discover;
mod error;
mod identity;
mod ioctl;
mod judge;
mod mapping;
mod mode;
mod negotiate;
mod queue;
mod report;
mod stream;
mod sysfs;
mod watch;

pub use controls::{Control, ControlError, ControlKind, ControlValue, list_controls, set_controls};
pub use discover::{CameraDevice, check_device, discover};
pub use error::{EndReason, OpenError};
pub use identity::{CameraIdentity, CameraNames};
pub use mode::{FrameRates, Mode};
pub use negotiate::{ChosenMode, ModeWish, negotiate};
pub use report::CaptureReport;
pub use stream::{Capture, CaptureOptions, CaptureRun, EndSink, FrameSink};
pub use watch::{CameraEvent, CameraEventSink, CameraWatch};
