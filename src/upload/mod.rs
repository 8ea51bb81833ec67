//! The rules of resumable uploads: tus 1.0 with its extensions, and the drafts of the IETF's successor. Pure: header
//! fields and the state of an upload in; what may be stored, what to answer or what is wrong out. Bytes and disks are
//! the business of `store`, HTTP's statuses that of `serve`.
//!
//! Sources: tus resumable upload protocol 1.0.0 (tus.io); draft-ietf-httpbis-resumable-upload-01 to -12, of which
//! interop versions 3 to 8 were spoken; RFC 9651 for the values of their fields; RFC 6266 for names of files.

mod checksum;
mod delivery;
mod dialect;
mod disposition;
mod fields;
mod id;
mod metadata;
mod refusal;
mod reply;
mod request;

#[cfg(test)]
mod tests;

pub use checksum::{Checksum, ChecksumHasher};
pub use delivery::{Admitted, Concluded, Delivery, SIZE_BYTES_MAX, UploadKind, UploadState, join};
pub use dialect::{Dialect, Interop};
pub use fields::Fields;
pub use id::{InvalidUploadId, UploadId};
pub use metadata::Metadata;
pub use refusal::Refusal;
pub use reply::{Lifetime, Line, Told, abilities, appended, created, inspected, versions};
pub use request::{Creation, CreationKind, Request, UPLOADS_ADDRESS, upload_address};
