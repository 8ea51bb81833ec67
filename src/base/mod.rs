//! Ground floor: time, identity, units, digests and fields of bytes that every other module speaks.
//! Knows nothing of media, disks or sockets.

mod bytes_io;
mod clock;
mod digest;
mod digest_each;
mod id;

pub(crate) use bytes_io::{FieldReader, FieldWriter};
pub use clock::{Clock, Monotonic, SimulatedClock, SystemClock, Wall};
pub use digest::{Digest, DigestKind, Hasher, InvalidDigest, blake2b_256};
pub(crate) use digest::{bytes_from_hex, write_hex};
pub use id::{CameraId, InvalidCameraId};
