//! Hands files over to the appliance that holds a data directory, through its own uploads, as a client of tus that
//! survives the end of either side. What is under way is asked of the appliance, which knows each upload by the mark
//! that its file was given: nothing is kept here.
//!
//! A file goes in pieces that are each acknowledged, so that a refusal is always heard and a kill costs little. An
//! upload that was seen through is removed: one that is found complete was not, and is reported instead of repeated.

mod error;
mod source;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use serde::Deserialize;

pub use self::error::HandOverError;

use self::source::Source;
use super::client::{Ask, Client, Reply};
use crate::chunk::MediaKind;
use crate::store::{ImportError, ImportMeta, Imported, Reach};
use crate::upload::{Metadata, UPLOADS_ADDRESS};

/// How long the appliance may be away before it was ever met, while it starts or stops.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may be away once it was met: a start takes up to two minutes.
const PATIENCE: Duration = Duration::from_secs(120);
/// A pause before something is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// A pause before it is asked again how far an import is.
const IMPORT_PAUSE: Duration = Duration::from_millis(100);
/// How often in a row something may come to nothing without anything having come of it.
const FRUITLESS_MAX: u32 = 20;

/// What is being done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOverStep {
    /// The appliance does not answer, or has no place at the moment.
    Waiting,
    /// Its bytes are sent.
    Sending,
    /// The appliance stores it.
    Storing,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOverProgress {
    /// What is being done.
    pub step: HandOverStep,
    /// Bytes that this step has dealt with.
    pub done: u64,
    /// The file's size.
    pub total: u64,
}

/// The appliance that holds a data directory.
#[derive(Debug)]
pub struct HandOver {
    dir: PathBuf,
    client: Client,
    patience: Duration,
}

impl HandOver {
    /// Prepares to talk to the holder of a directory. Asks nothing yet.
    pub fn to_holder(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            client: Client::new()?,
            patience: FIRST_PATIENCE,
        })
    }

    /// Has the appliance import a file, under the name, camera and moment of `meta`. Goes on with what an earlier try
    /// had sent. An appliance that stops in the middle is waited for; where it stays away, later files wait no more.
    pub fn import(
        &mut self,
        file: File,
        meta: &ImportMeta,
        progress: impl FnMut(HandOverProgress),
    ) -> Result<Imported, HandOverError> {
        let source = Source::new(file)?;
        let name = meta.name.as_str();
        let mark = source.mark()?;
        let metadata = Metadata::of_file(name, meta.camera.as_ref(), meta.at, &mark)?;
        let errand = Errand {
            over: self,
            source,
            metadata: metadata.as_str().to_owned(),
            trouble: String::new(),
            progress,
        };
        errand.run()
    }
}

/// `GET /api/v1/uploads`, as far as it matters here.
#[derive(Deserialize)]
struct Uploads {
    uploads: Vec<Upload>,
}

/// `GET /api/v1/uploads/{id}`, as far as it matters here.
#[derive(Deserialize)]
struct Upload {
    address: String,
    state: State,
    reason: Option<String>,
    item: Option<String>,
    imported_bytes: Option<u64>,
    metadata: String,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Uploading,
    /// As a part of another, which those of here never are.
    Uploaded,
    Importing,
    Done,
    Refused,
}

/// `GET /api/v1/items/{id}`, as far as it matters here.
#[derive(Deserialize)]
struct Item {
    id: String,
    media: String,
    bytes: u64,
    new_bytes: u64,
    damaged_bytes: u64,
    digest: String,
}

/// One file on its way.
struct Errand<'a, P> {
    over: &'a mut HandOver,
    source: Source,
    metadata: String,
    /// Why something was last tried in vain.
    trouble: String,
    progress: P,
}

impl<P: FnMut(HandOverProgress)> Errand<'_, P> {
    fn run(mut self) -> Result<Imported, HandOverError> {
        // What became of an earlier try is known by now, unless this one had a part in it.
        let mut has_part = false;
        let mut resumed_at = None;
        for _ in 0..FRUITLESS_MAX {
            // Looked for again each time: the answer to a creation may have been lost.
            let Some(upload) = self.find()? else {
                self.create()?;
                resumed_at.get_or_insert(0);
                has_part = true;
                continue;
            };
            let resumed_at = *resumed_at.get_or_insert(upload.bytes);
            match upload.state {
                State::Uploading => {
                    has_part = true;
                    self.send(&upload).inspect_err(|error| {
                        if matches!(error, HandOverError::Changed(_)) {
                            self.remove(&upload.address);
                        }
                    })?;
                }
                State::Refused => {
                    self.remove(&upload.address);
                    if has_part {
                        return Err(refused(upload.reason));
                    }
                }
                State::Importing | State::Done | State::Uploaded => {
                    if let Some(item) = self.follow(&upload.address)? {
                        let imported = self.imported(&item, resumed_at, has_part);
                        self.remove(&upload.address);
                        if let Some(imported) = imported? {
                            return Ok(imported);
                        }
                    }
                }
            }
        }
        Err(HandOverError::Busy(self.trouble))
    }

    /// The upload of this file that is under way, or was not seen through.
    fn find(&mut self) -> Result<Option<Upload>, HandOverError> {
        let reply = self.ask(&Ask::new(Method::GET, UPLOADS_ADDRESS))?;
        let Uploads { uploads } = expect(&reply)?;
        let mine = |upload: &Upload| upload.metadata == self.metadata;
        Ok(uploads.into_iter().rfind(mine))
    }

    /// Begins an upload, if that is heard.
    fn create(&mut self) -> Result<(), HandOverError> {
        let ask = tus(Method::POST, UPLOADS_ADDRESS)
            .line("upload-length", self.source.bytes.to_string())
            .line("upload-metadata", self.metadata.clone());
        match self.try_ask(&ask)? {
            Some(reply) if reply.status != StatusCode::CREATED => {
                Err(HandOverError::of_reply(&reply))
            }
            _ => Ok(()),
        }
    }

    /// Sends what is missing, until the upload has everything, or is not there any more.
    fn send(&mut self, upload: &Upload) -> Result<(), HandOverError> {
        let mut at = upload.bytes;
        // Whether nobody else can have added anything before `at`.
        let mut is_known = false;
        let mut fruitless = 0;
        while at < self.source.bytes {
            self.tell(HandOverStep::Sending, at);
            let ask = tus(Method::PATCH, &upload.address)
                .line("content-type", "application/offset+octet-stream")
                .line("upload-offset", at.to_string())
                .body(self.source.piece(at)?);
            let reply = self.try_ask(&ask)?;
            let next = reply
                .as_ref()
                .and_then(|reply| reply.number("upload-offset"));
            let before = at;
            match (reply, next) {
                (Some(reply), Some(next)) if reply.status == StatusCode::NO_CONTENT => {
                    (at, is_known) = (next, true);
                }
                (Some(reply), Some(next)) if reply.status == StatusCode::CONFLICT => {
                    if is_known {
                        return Err(HandOverError::Elsewhere(ImportError::Busy));
                    }
                    at = next;
                }
                (Some(reply), _) if is_gone(&reply) => return Ok(()),
                (Some(reply), _) if reply.status != StatusCode::CONFLICT => {
                    return Err(HandOverError::of_reply(&reply));
                }
                // Nobody knows what came of it, or another request took the upload over.
                _ => match self.show(&upload.address)? {
                    Some(upload) if upload.state == State::Uploading => {
                        (at, is_known) = (upload.bytes, false);
                    }
                    _ => return Ok(()),
                },
            }
            fruitless = if at > before { 0 } else { fruitless + 1 };
            if fruitless > FRUITLESS_MAX {
                return Err(HandOverError::Busy(self.trouble.clone()));
            }
        }
        self.tell(HandOverStep::Sending, at);
        Ok(())
    }

    /// Waits until the appliance has stored it; the name of the item. `None` if that does not come of this upload.
    fn follow(&mut self, address: &str) -> Result<Option<String>, HandOverError> {
        loop {
            let Some(upload) = self.show(address)? else {
                return Ok(None);
            };
            match upload.state {
                State::Importing | State::Uploaded => {
                    if let Some(reason) = upload.reason {
                        return Err(HandOverError::NotStored(reason));
                    }
                    let done = upload.imported_bytes.unwrap_or(0);
                    self.tell(HandOverStep::Storing, done);
                }
                State::Done => return Ok(upload.item),
                State::Refused => {
                    self.remove(address);
                    return Err(refused(upload.reason));
                }
                State::Uploading => return Ok(None),
            }
            std::thread::sleep(IMPORT_PAUSE);
        }
    }

    /// An upload as it is now, if it still is.
    fn show(&mut self, address: &str) -> Result<Option<Upload>, HandOverError> {
        let reply = self.ask(&Ask::new(Method::GET, address))?;
        if is_gone(&reply) {
            return Ok(None);
        }
        expect(&reply).map(Some)
    }

    /// What came of the file. `None` if an earlier try made an item of it that was removed or damaged since: sent once
    /// more, it is there, and whole, again.
    fn imported(
        &mut self,
        item: &str,
        resumed_at: u64,
        has_part: bool,
    ) -> Result<Option<Imported>, HandOverError> {
        let reply = self.ask(&Ask::new(Method::GET, format!("/api/v1/items/{item}")))?;
        if is_gone(&reply) && !has_part {
            return Ok(None);
        }
        let item: Item = expect(&reply)?;
        if item.damaged_bytes > 0 && !has_part {
            return Ok(None);
        }
        let strange = || HandOverError::Strange(format!("an item {}", item.id));
        Ok(Some(Imported {
            id: item.id.parse().map_err(|()| strange())?,
            media: match &item.media[..] {
                "video" => MediaKind::Video,
                "sound" => MediaKind::Sound,
                "still" => MediaKind::Still,
                "other" => MediaKind::Other,
                _ => return Err(strange()),
            },
            bytes: item.bytes,
            new_bytes: item.new_bytes,
            digest: item.digest.parse().map_err(|_| strange())?,
            resumed_at,
        }))
    }

    /// Removes an upload; if that is not heard, it goes within a week.
    fn remove(&mut self, address: &str) {
        let removed = self.try_ask(&tus(Method::DELETE, address));
        if let Err(error) = removed {
            tracing::debug!(%error, "an upload is left behind");
        }
    }

    /// Asks until somebody answers who is not too busy, for as long as patience lasts. For what may be asked twice.
    fn ask(&mut self, ask: &Ask) -> Result<Reply, HandOverError> {
        let began = Instant::now();
        loop {
            let trouble = match self.attempt(ask) {
                Ok(reply) => {
                    self.over.patience = PATIENCE;
                    return Ok(reply);
                }
                Err(trouble) => trouble,
            };
            if matches!(trouble, HandOverError::Unreadable { .. }) {
                return Err(trouble);
            }
            if began.elapsed() >= self.over.patience {
                // Whoever comes next need not wait as long again.
                self.over.patience = Duration::ZERO;
                return Err(trouble);
            }
            self.tell(HandOverStep::Waiting, 0);
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks once; `None`, after a pause, if nobody knows whether that was heard, or if it is to be tried again.
    fn try_ask(&mut self, ask: &Ask) -> Result<Option<Reply>, HandOverError> {
        match self.attempt(ask) {
            Ok(reply) => Ok(Some(reply)),
            Err(error @ HandOverError::Unreadable { .. }) => Err(error),
            Err(error) => {
                self.trouble = match error {
                    HandOverError::Busy(detail) => detail,
                    error => error.to_string(),
                };
                std::thread::sleep(PAUSE);
                Ok(None)
            }
        }
    }

    /// Asks whoever holds the directory now.
    fn attempt(&self, ask: &Ask) -> Result<Reply, HandOverError> {
        let HandOver { dir, client, .. } = &*self.over;
        let found = Reach::of_holder(dir).map_err(|cause| HandOverError::Unreadable {
            dir: dir.clone(),
            cause,
        })?;
        let Reach { address, pid } =
            found.ok_or_else(|| HandOverError::Unannounced(dir.clone()))?;
        let reply = client.ask(address, ask);
        let reply = reply.map_err(|error| HandOverError::Silent {
            address,
            pid,
            cause: error.to_string(),
        })?;
        match reply.status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::LOCKED | StatusCode::REQUEST_TIMEOUT => {
                Err(HandOverError::Busy(reply.detail()))
            }
            _ => Ok(reply),
        }
    }

    fn tell(&mut self, step: HandOverStep, done: u64) {
        let total = self.source.bytes;
        (self.progress)(HandOverProgress { step, done, total });
    }
}

/// A request in the words of tus 1.0.
fn tus(method: Method, path: &str) -> Ask {
    Ask::new(method, path).line("tus-resumable", "1.0.0")
}

/// The file is not what the appliance takes.
fn refused(reason: Option<String>) -> HandOverError {
    HandOverError::Refused(reason.unwrap_or_default())
}

fn is_gone(reply: &Reply) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&reply.status)
}

/// The answer to a question that has one.
fn expect<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, HandOverError> {
    if reply.status != StatusCode::OK {
        return Err(HandOverError::of_reply(reply));
    }
    let read = reply.json();
    read.ok_or_else(|| HandOverError::Strange("its JSON lacks something".to_owned()))
}
