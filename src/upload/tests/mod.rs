//! The rules as clients meet them: what real ones send, and what none should.

mod answers;
mod deliveries;
mod requests;

use super::{Fields, Refusal, Request, UploadId};

const ID: UploadId = UploadId([7; 16]);

/// A request with these fields.
fn request<'a>(fields: &'a [(&'a str, &'a str)]) -> Result<Request<'a>, Refusal> {
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    Request::read(fields.collect::<Fields<'a>>())
}
