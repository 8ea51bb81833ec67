//! Ground floor: time, identity, units and fields of bytes that every other module speaks.
//! Knows nothing of media, disks or sockets.

mod bytes_io;
mod clock;
mod id;

pub(crate) use bytes_io::{FieldReader, FieldWriter};
pub use clock::{Clock, Monotonic, SimulatedClock, SystemClock, Wall};
pub use id::{CameraId, InvalidCameraId};
