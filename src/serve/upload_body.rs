//! The body of a request on its way to the disk: read here as it comes, stored on a thread that may wait for the disk.
//! Between the two lie at most [`QUEUED_PIECES`] pieces, so that a client is never faster than the disk.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use crate::store::{Store, Upload, UploadError, UploadHold, UploadPhase, UploadWriter};
use crate::upload::{Delivery, UploadId};

/// Pieces that are read and not yet taken; hyper makes them of at most 64 KiB.
const QUEUED_PIECES: usize = 8;

/// What came is put away when nothing more does for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// A client has to send so many bytes in so long, or is taken for gone. The slowest phone is faster.
const PACE: (u64, Duration) = (1024, Duration::from_secs(60));

/// What is read and thrown away after a refusal, so that the client comes to read it.
const DRAINED_BYTES_MAX: u64 = 16 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

enum Piece {
    Data(Bytes),
    Pause,
    End,
}

/// An upload whose body is to be stored.
pub(super) struct Incoming {
    pub(super) store: Store,
    pub(super) id: UploadId,
    pub(super) delivery: Delivery,
    /// The request began the upload: the client does not know its address yet, so it goes if the request fails.
    pub(super) is_new: bool,
    /// Held until the last byte is on the disk, also when the client has gone.
    pub(super) _place: OwnedSemaphorePermit,
}

enum Opened {
    /// It has everything, and the request adds nothing.
    Complete(Box<Upload>),
    Writer(Box<UploadWriter>, CancellationToken),
}

/// How the reading ended.
enum Ended {
    /// All of it came.
    Whole,
    /// The connection broke.
    Cut,
    /// Nothing came for too long.
    Stalled,
    /// A newer request goes on with the upload.
    TakenOver,
    /// It could not be stored; the storing thread says why.
    NotStored,
}

/// Stores a body; tells what the upload is then. What came of a body that broke off stays.
/// `may_drain`: the client sends its body without waiting for a word from here.
pub(super) async fn receive(
    incoming: Incoming,
    body: Body,
    may_drain: bool,
) -> Result<Upload, Problem> {
    let mut body = body.into_data_stream();
    let (give, take) = mpsc::channel(QUEUED_PIECES);
    let (tell, told) = oneshot::channel();
    let storing = tokio::task::spawn_blocking(move || incoming.store(take, tell));
    let ended = match told.await {
        Ok(taken_over) => read(&mut body, &give, &taken_over).await,
        // It cannot be opened, or has everything already.
        Err(_) => Ended::NotStored,
    };
    if matches!(ended, Ended::Whole) {
        // A thread that has ended says why.
        let _ = give.send(Piece::End).await;
    }
    drop(give);
    let stored = storing.await.map_err(|error| Problem::internal(&error))?;
    if may_drain && !matches!(ended, Ended::Whole | Ended::Cut) {
        drain(&mut body).await;
    }
    let upload = stored?;
    match ended {
        Ended::Whole | Ended::NotStored => Ok(upload),
        Ended::Cut => Err(Problem::bad_request("the body broke off")),
        Ended::Stalled => Err(Problem::request_timeout(
            "nothing came for a minute; what came before is kept, go on from there",
        )),
        Ended::TakenOver => Err(UploadError::TakenOver.into()),
    }
}

/// Hands over what comes until no more is to come.
async fn read(
    body: &mut BodyDataStream,
    give: &mpsc::Sender<Piece>,
    taken_over: &CancellationToken,
) -> Ended {
    let (mut since, mut count) = (Instant::now(), 0);
    loop {
        let next = tokio::select! {
            () = taken_over.cancelled() => return Ended::TakenOver,
            next = tokio::time::timeout(PAUSE, body.next()) => next,
        };
        let piece = match next {
            Ok(None) => return Ended::Whole,
            Ok(Some(Err(_))) => return Ended::Cut,
            Ok(Some(Ok(bytes))) => {
                count += bytes.len() as u64;
                Piece::Data(bytes)
            }
            Err(_) => Piece::Pause,
        };
        if since.elapsed() >= PACE.1 {
            if count < PACE.0 {
                return Ended::Stalled;
            }
            (since, count) = (Instant::now(), 0);
        }
        if give.send(piece).await.is_err() {
            return Ended::NotStored;
        }
    }
}

async fn drain(body: &mut BodyDataStream) {
    let all = async {
        let mut count = 0;
        while let Some(Ok(bytes)) = body.next().await {
            count += bytes.len() as u64;
            if count > DRAINED_BYTES_MAX {
                return;
            }
        }
    };
    // Who takes longer finds the connection closed.
    let _ = tokio::time::timeout(DRAIN_TIME, all).await;
}

impl Incoming {
    /// Stores what comes. Waits for the disk, and for whoever works on the upload.
    fn store(
        self,
        mut pieces: mpsc::Receiver<Piece>,
        tell: oneshot::Sender<CancellationToken>,
    ) -> Result<Upload, UploadError> {
        let mut is_whole = false;
        let stored = self.open().and_then(|opened| match opened {
            Opened::Complete(upload) => Ok(*upload),
            Opened::Writer(mut writer, taken_over) => {
                // Nobody reads any more: then nothing comes, either.
                let _ = tell.send(taken_over);
                is_whole = loop {
                    match pieces.blocking_recv() {
                        Some(Piece::Data(bytes)) => writer.write(bytes)?,
                        Some(Piece::Pause) => writer.save()?,
                        Some(Piece::End) => break true,
                        None => break false,
                    }
                };
                writer.finish(is_whole)
            }
        });
        if self.is_new && (stored.is_err() || !is_whole) {
            let removed = self.store.take_upload(self.id).and_then(UploadHold::remove);
            if let Err(error) = removed {
                tracing::debug!(upload = %self.id, %error, "left until it expires");
            }
        }
        stored
    }

    fn open(&self) -> Result<Opened, UploadError> {
        let hold = self.store.take_upload(self.id)?;
        let upload = hold.upload()?;
        if let UploadPhase::Refused(reason) = upload.phase {
            return Err(UploadError::Ended(reason));
        }
        let admitted = self.delivery.admit(&upload.state)?;
        if upload.state.is_complete {
            return Ok(Opened::Complete(Box::new(upload)));
        }
        let taken_over = hold.taken_over();
        let writer = hold.receive(&upload, admitted)?;
        Ok(Opened::Writer(Box::new(writer), taken_over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body of `count` pieces of `bytes` bytes that come `every` so often, and then nothing, or its end.
    /// Returns how it ended and what was handed over. Time stands still but for waits.
    async fn outcome(
        (count, bytes, every): (u64, usize, Duration),
        ends: bool,
        taken_over: CancellationToken,
    ) -> (Ended, u64) {
        let pieces = futures_util::stream::unfold(0, move |at| async move {
            if at == count && !ends {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(every).await;
            let piece = Ok::<_, std::io::Error>(Bytes::from(vec![0; bytes]));
            (at < count).then_some((piece, at + 1))
        });
        let mut body = Body::from_stream(pieces).into_data_stream();
        let (give, mut take) = mpsc::channel(QUEUED_PIECES);
        let counted = tokio::spawn(async move {
            let mut stored = 0;
            while let Some(piece) = take.recv().await {
                if let Piece::Data(bytes) = piece {
                    stored += bytes.len() as u64;
                }
            }
            stored
        });
        let ended = read(&mut body, &give, &taken_over).await;
        drop(give);
        (ended, counted.await.expect("no panic"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_takes_its_hour_and_a_silent_one_is_gone_in_a_minute() {
        let begun = Instant::now();
        let slow = (3600 / 20, 1500, Duration::from_secs(20));
        let (ended, stored) = outcome(slow, true, CancellationToken::new()).await;
        assert!(matches!(ended, Ended::Whole));
        assert_eq!(stored, 180 * 1500);
        assert!(begun.elapsed() >= Duration::from_secs(3600));

        let begun = Instant::now();
        let silent = (1, 100, Duration::from_millis(1));
        let (ended, stored) = outcome(silent, false, CancellationToken::new()).await;
        assert!(matches!(ended, Ended::Stalled) && stored == 100);
        assert!(begun.elapsed() <= PACE.1 + PAUSE);

        // A byte now and then holds no place.
        let trickling = (10_000, 1, Duration::from_secs(5));
        let (ended, _) = outcome(trickling, true, CancellationToken::new()).await;
        assert!(matches!(ended, Ended::Stalled));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_request_ends_the_older_at_once() {
        let taken_over = CancellationToken::new();
        let other = taken_over.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            other.cancel();
        });
        let begun = Instant::now();
        let endless = (u64::MAX, 10_000, Duration::from_secs(1));
        let (ended, stored) = outcome(endless, true, taken_over).await;
        assert!(matches!(ended, Ended::TakenOver) && stored >= 40_000);
        assert!(begun.elapsed() <= Duration::from_secs(6));
    }
}
