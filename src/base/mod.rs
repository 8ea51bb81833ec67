//! Ground floor: time, identity and units that every other module speaks.
//! Knows nothing of media, disks or sockets.

mod clock;
mod id;

pub use clock::{Clock, Monotonic, SimulatedClock, SystemClock, Wall};
pub use id::{CameraId, InvalidCameraId};
