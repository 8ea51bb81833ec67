//! Why a file was not handed over, as one line for who wanted it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::StatusCode;

use crate::serve::client::Reply;
use crate::store::ImportError;
use crate::upload::Refusal;

/// A file was not handed over. What the appliance has of it stays with it for a week, and the next try goes on from
/// there, except after [`Self::Refused`] and [`Self::Changed`].
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// Nobody says where the holder of the lock is.
    #[error(
        "data directory {0}: another perch process uses it, and it is no appliance that could take the file; wait \
         until it ends"
    )]
    Unannounced(PathBuf),
    /// What the holder says cannot be read.
    #[error(
        "data directory {dir}: it is not known where its appliance is: appliance.json: {cause}"
    )]
    Unreadable {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The appliance does not answer.
    #[error(
        "the appliance at {address} (process {pid}) does not answer: {cause}; it keeps what it has of the file, \
         import it again to go on"
    )]
    Silent {
        /// Where it should.
        address: SocketAddr,
        /// Its process.
        pid: u32,
        /// What happens instead.
        cause: String,
    },
    /// The appliance cannot take anything for now.
    #[error("the appliance takes nothing at the moment: {0}")]
    Busy(String),
    /// The appliance's disk is full.
    #[error("the appliance has no room for it: {0}")]
    DiskFull(String),
    /// The appliance does not want the file.
    #[error("the appliance does not take it: {0}")]
    Refused(String),
    /// The appliance has the file and cannot store it.
    #[error(
        "the appliance has all of it, but cannot store it yet: {0}; it goes on trying by itself"
    )]
    NotStored(String),
    /// The appliance says what makes no sense.
    #[error(
        "the appliance answers what this command does not understand: {0}; are both of one version?"
    )]
    Strange(String),
    /// It was written to, or cut short, while it was read.
    #[error(transparent)]
    Changed(ImportError),
    /// Somebody else imports it right now.
    #[error(transparent)]
    Elsewhere(ImportError),
    /// It cannot be read.
    #[error(transparent)]
    Source(ImportError),
}

impl HandOverError {
    /// What the person is told of an answer that grants nothing.
    pub(super) fn of_reply(reply: &Reply) -> Self {
        let detail = reply.detail();
        match reply.status {
            StatusCode::INSUFFICIENT_STORAGE => Self::DiskFull(detail),
            status if status.is_server_error() => Self::Busy(detail),
            status if status.is_client_error() => Self::Refused(detail),
            _ => Self::Strange(detail),
        }
    }
}

impl From<Refusal> for HandOverError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}
