//! What clients meet over real connections, before an appliance that is made here.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{Appliance, CameraStatus, Health, StillError, bind, host, listener, router};
use crate::base::{CameraId, Clock, SimulatedClock};
use crate::live::LiveCamera;
use crate::media::VideoParameters;
use crate::store::Store;
use crate::store::tests::fragments::{NOON, front, patient, recorded};

/// What takes longer never ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// An appliance that has recorded, and goes on with each strip until nobody waits for it.
struct Made {
    store: Store,
    clock: SimulatedClock,
    /// Strips that are begun and not given up.
    strips: AtomicUsize,
    dir: tempfile::TempDir,
}

impl Made {
    fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = SimulatedClock::new(NOON);
        let opened = Store::open(dir.path(), patient(), Arc::new(clock.clone()));
        let (store, _) = opened.expect("it opens");
        recorded(&store);
        Arc::new(Self {
            store,
            clock,
            strips: AtomicUsize::new(0),
            dir,
        })
    }

    async fn wait_strips(&self, count: usize) {
        while self.strips.load(Ordering::SeqCst) != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Appliance for Made {
    fn cameras(&self) -> Vec<CameraStatus> {
        Vec::new()
    }

    fn live(&self, _: &CameraId) -> Option<LiveCamera> {
        None
    }

    fn still(&self, _: &CameraId, _: u32) -> Result<Bytes, StillError> {
        Err(StillError::UnknownCamera)
    }

    fn recorded_still(&self, _: &VideoParameters, _: Bytes, _: u32) -> Result<Bytes, StillError> {
        Err(StillError::UnknownCamera)
    }

    fn recorded_strip(
        &self,
        tiles: &[Option<(VideoParameters, Bytes)>],
        _: u32,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Bytes, StillError> {
        assert!(tiles.iter().all(Option::is_some));
        self.strips.fetch_add(1, Ordering::SeqCst);
        let begun = Instant::now();
        while is_wanted() {
            assert!(begun.elapsed() < PATIENCE, "it is never given up");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.strips.fetch_sub(1, Ordering::SeqCst);
        Err(StillError::Unwanted)
    }

    fn health(&self) -> Health {
        Health {
            live: true,
            ready: true,
            problems: Vec::new(),
        }
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
}

/// Runs a test against the appliance's address, and ends the server behind it.
async fn served(made: &Arc<Made>, test: impl AsyncFnOnce(SocketAddr)) {
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let address = listener.local_addr().expect("its address");
    let names = host::Names::new(address.ip(), &[]);
    let appliance: Arc<dyn Appliance> = Arc::<Made>::clone(made);
    let router = router::router(appliance, names);
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(listener::serve(listener, router, 1024, shutdown.clone()));
    let test = tokio::time::timeout(PATIENCE, test(address));
    test.await.expect("nothing waits for ever");
    shutdown.cancel();
    server.await.expect("no panic").expect("served");
}

/// Asks for the first ten seconds of the recording as `file`.
async fn ask(address: SocketAddr, file: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!(
        "GET /recordings/{}/{file}?from={NOON}&to={} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        front(),
        NOON.plus_ms(10_000),
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

/// The answer's head and body.
async fn answer(mut stream: TcpStream) -> (String, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_place_of_its_strip_to_another() {
    let made = Made::new();
    served(&made, async |address| {
        let first = ask(address, "strip.jpg").await;
        let second = ask(address, "strip.jpg").await;
        made.wait_strips(2).await;
        let (refused, _) = answer(ask(address, "strip.jpg").await).await;
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");

        drop(first);
        made.wait_strips(1).await;
        let third = loop {
            let stream = ask(address, "strip.jpg").await;
            tokio::select! {
                () = made.wait_strips(2) => break stream,
                // The thread has stopped and not yet ended.
                refused = stream.readable() => refused.expect("connected"),
            }
        };
        drop((second, third));
        made.wait_strips(0).await;
    })
    .await;
}

#[tokio::test]
async fn a_clip_says_whether_it_carries_its_proof() {
    let made = Made::new();
    served(&made, async |address| {
        let told = async || {
            let (head, body) = answer(ask(address, "clip.json").await).await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            serde_json::from_str::<serde_json::Value>(&body).expect("JSON")
        };
        // What was recorded just now is signed for it.
        let with = told().await;
        assert_eq!(
            (&with["proven"], &with["unproven"]),
            (&true.into(), &serde_json::Value::Null)
        );
        let keys = made.dir.path().join("keys/box.pub");
        std::fs::remove_file(keys).expect("it was there");
        let without = told().await;
        assert_eq!(without["proven"], false, "{without}");
        let why = without["unproven"].as_str().expect("a sentence");
        assert!(why.contains("the server's log says why"), "{why}");
        assert!(with["bytes"].as_u64() > without["bytes"].as_u64());
    })
    .await;
}
