//! Requests as their header fields tell them.

use super::checksum::Checksum;
use super::delivery::{Delivery, SIZE_BYTES_MAX};
use super::dialect::{DRAFT_DATA, Dialect, Interop, TUS_DATA};
use super::fields::Fields;
use super::id::UploadId;
use super::metadata::Metadata;
use super::refusal::Refusal;

/// Where uploads are begun; each has its address below.
pub const UPLOADS_ADDRESS: &str = "/api/v1/uploads";

/// Parts that one file may be joined from.
const PARTS_MAX: usize = 64;

/// The address of an upload.
pub fn upload_address(id: UploadId) -> String {
    format!("{UPLOADS_ADDRESS}/{id}")
}

/// A wish to begin an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// What it is to be.
    pub kind: CreationKind,
    /// Its size in bytes, if the client knows it.
    pub length: Option<u64>,
    /// What the client says of the file.
    pub metadata: Metadata,
    /// The data that comes with the request, if any does.
    pub delivery: Option<Delivery>,
}

/// What an upload is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreationKind {
    /// A file of its own.
    Single,
    /// A part of a file.
    Partial,
    /// A file joined from parts, in this order.
    Final(Vec<UploadId>),
}

/// A request's fields with the protocol that they are in.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The protocol.
    pub dialect: Dialect,
    fields: Fields<'a>,
}

impl<'a> Request<'a> {
    /// Reads which protocol it is.
    pub fn read(fields: Fields<'a>) -> Result<Self, Refusal> {
        let dialect = Dialect::of(&fields)?;
        Ok(Self { dialect, fields })
    }

    /// Reads a request that begins an upload.
    pub fn creation(&self) -> Result<Creation, Refusal> {
        match self.dialect {
            Dialect::Tus => self.tus_creation(),
            Dialect::Draft(interop) => self.draft_creation(interop),
        }
    }

    /// Reads a request that adds to an upload.
    pub fn delivery(&self) -> Result<Delivery, Refusal> {
        let fields = &self.fields;
        let bytes_count = fields.number("Content-Length")?;
        const OFFSET: &str = "Upload-Offset";
        match self.dialect {
            Dialect::Tus => {
                if fields.media_type()?.as_deref() != Some(TUS_DATA) {
                    return Err(Refusal::MediaType(TUS_DATA));
                }
                Ok(Delivery {
                    offset: fields.number(OFFSET)?.ok_or(Refusal::Missing(OFFSET))?,
                    length: fields.number("Upload-Length")?,
                    bytes_count,
                    completes: None,
                    ends_at_length: self.dialect.ends_at_length(),
                    checksum: self.checksum()?,
                })
            }
            Dialect::Draft(interop) => {
                let is_typed = fields.media_type()?.as_deref() == Some(DRAFT_DATA);
                if interop.has_media_type() && !is_typed {
                    return Err(Refusal::MediaType(DRAFT_DATA));
                }
                let offset = fields.item_number(OFFSET)?;
                self.draft_delivery(interop, offset.ok_or(Refusal::Missing(OFFSET))?)
            }
        }
    }

    fn tus_creation(&self) -> Result<Creation, Refusal> {
        let fields = &self.fields;
        let metadata = match fields.text("Upload-Metadata")? {
            None => Metadata::default(),
            Some(text) => Metadata::parse(text)?,
        };
        let kind = match fields.text("Upload-Concat")? {
            None => CreationKind::Single,
            Some("partial") => CreationKind::Partial,
            Some(text) => CreationKind::Final(parts(text)?),
        };
        let length = fields.number("Upload-Length")?;
        let is_deferred = match fields.text("Upload-Defer-Length")? {
            None => false,
            Some("1") => true,
            Some(_) => return Err(Refusal::field("Upload-Defer-Length", "is not 1")),
        };
        let bytes_count = fields.number("Content-Length")?;
        let has_data =
            bytes_count.is_some_and(|count| count > 0) || fields.has("Transfer-Encoding");
        let is_typed = fields.media_type()?.as_deref() == Some(TUS_DATA);
        if let CreationKind::Final(_) = kind {
            let too_much = if length.is_some() || is_deferred {
                Some("the length is that of the parts; leave it out")
            } else if has_data {
                Some("a file is joined from its parts alone; send no data")
            } else {
                None
            };
            if let Some(why) = too_much {
                return Err(Refusal::field("Upload-Concat", why));
            }
        } else if is_deferred && length.is_some() {
            return Err(Refusal::field(
                "Upload-Defer-Length",
                "is not for a length that is known",
            ));
        } else if !is_deferred && length.is_none() {
            return Err(Refusal::Missing("Upload-Length"));
        }
        if length.is_some_and(|length| length > SIZE_BYTES_MAX) {
            return Err(Refusal::TooLarge);
        }
        if has_data && !is_typed {
            return Err(Refusal::MediaType(TUS_DATA));
        }
        let delivery = Delivery {
            offset: 0,
            length,
            bytes_count,
            completes: None,
            ends_at_length: self.dialect.ends_at_length(),
            checksum: self.checksum()?,
        };
        Ok(Creation {
            kind,
            length,
            metadata,
            delivery: is_typed.then_some(delivery),
        })
    }

    fn draft_creation(&self, interop: Interop) -> Result<Creation, Refusal> {
        let delivery = self.draft_delivery(interop, 0)?;
        if delivery
            .length
            .is_some_and(|length| length > SIZE_BYTES_MAX)
        {
            return Err(Refusal::TooLarge);
        }
        Ok(Creation {
            kind: CreationKind::Single,
            length: delivery.length,
            metadata: Metadata::of_draft(&self.fields)?,
            delivery: Some(delivery),
        })
    }

    fn draft_delivery(&self, interop: Interop, offset: u64) -> Result<Delivery, Refusal> {
        let fields = &self.fields;
        let completes = if interop.says_incomplete() {
            let name = "Upload-Incomplete";
            !fields.item_boolean(name)?.ok_or(Refusal::Missing(name))?
        } else {
            let name = "Upload-Complete";
            fields.item_boolean(name)?.ok_or(Refusal::Missing(name))?
        };
        let bytes_count = fields.number("Content-Length")?;
        let said = fields.item_number("Upload-Length")?;
        let meant = bytes_count
            .filter(|_| completes)
            .map(|bytes_count| offset.saturating_add(bytes_count));
        if let (Some(known), Some(said)) = (meant, said)
            && known != said
        {
            return Err(Refusal::LengthChanged { known, said });
        }
        Ok(Delivery {
            offset,
            length: said.or(meant),
            bytes_count,
            completes: Some(completes),
            ends_at_length: self.dialect.ends_at_length(),
            checksum: None,
        })
    }

    fn checksum(&self) -> Result<Option<Checksum>, Refusal> {
        let text = self.fields.text("Upload-Checksum")?;
        text.map(Checksum::parse).transpose()
    }
}

/// The uploads in `final;ADDRESS ADDRESS …`. An address may be a path alone or stand behind any authority: no other
/// upload anywhere has the same name, so whichever way one was reached, it is ours.
fn parts(text: &str) -> Result<Vec<UploadId>, Refusal> {
    const FIELD: &str = "Upload-Concat";
    let list = text
        .strip_prefix("final;")
        .ok_or_else(|| Refusal::field(FIELD, "is neither `partial` nor `final;` with addresses"))?;
    let mut found = Vec::new();
    for address in list.split(' ').filter(|address| !address.is_empty()) {
        let foreign = || Refusal::ForeignPart(address.to_owned());
        let behind_scheme = ["http://", "https://"]
            .into_iter()
            .find_map(|scheme| address.strip_prefix(scheme));
        let path = match behind_scheme {
            Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
            None => address,
        };
        let id = path
            .strip_prefix(UPLOADS_ADDRESS)
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(|id| id.parse().ok())
            .ok_or_else(foreign)?;
        if found.contains(&id) {
            return Err(Refusal::field(FIELD, format!("names {id} twice")));
        }
        found.push(id);
    }
    if found.is_empty() || found.len() > PARTS_MAX {
        let why = format!("names {} parts; a file has 1 to {PARTS_MAX}", found.len());
        return Err(Refusal::field(FIELD, why));
    }
    Ok(found)
}
