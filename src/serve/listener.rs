//! Accepts connections and speaks HTTP/1.1 or HTTP/2 on them, as the client begins. Bounded in connections, in
//! header size, and in the time a client may take to send its headers or to read what it asked for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Open connections, where the system lends enough file descriptors; a viewer over HTTP/1.1 holds up to six.
const CONNECTIONS_MAX: usize = 4096;
/// A client that has not sent its whole header by then is dropped.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest header over HTTP/2, in bytes of decoded fields.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// The same over HTTP/1, in bytes as they arrive. It is also the connection's read buffer, hence larger.
const HTTP1_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection: a page with several cameras holds two for each.
const STREAMS_MAX: u32 = 32;
/// A client that takes nothing of what was sent for this long is gone (tcp(7), `TCP_USER_TIMEOUT`).
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);
/// What connections get to finish their last response.
const GRACE: Duration = Duration::from_millis(700);
/// A pause after the system refused a connection, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on `address`. Fails at once, with what to do, if that cannot be.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let listener = std::net::TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|source| BindError { address, source })
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {}", explain(source))]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it or choose another port with --listen".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for root; choose another with --listen".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; choose one of its own with --listen".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Serves `router` on `listener` until `shutdown`, then lets running responses finish within [`GRACE`].
/// Takes at most half of the process' `files_max` file descriptors: cameras and recordings need the others.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    files_max: usize,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let connections_max = CONNECTIONS_MAX.min(files_max / 2);
    let places = Arc::new(Semaphore::new(connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(
                connections_max,
                "too many connections; the newest is closed"
            );
            continue;
        };
        let asked = Arc::new(AtomicBool::new(false));
        let connection = connection(stream, router.clone(), Arc::clone(&asked));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            // Hyper's own limit begins once it knows the version of HTTP, and ends with HTTP/2's preface.
            let first = tokio::time::timeout(HEADER_TIMEOUT, connection.as_mut()).await;
            let ended = match first {
                Ok(ended) => ended,
                Err(_) if asked.load(Ordering::Relaxed) => connection.await,
                Err(_) => Ok(()),
            };
            // Clients that go away in the middle are everyday life.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::debug!("some connections were cut");
    }
    Ok(())
}

/// The router as one connection sees it; remembers that something was asked.
struct Asking {
    router: TowerToHyperService<Router>,
    asked: Arc<AtomicBool>,
}

impl Service<Request<Incoming>> for Asking {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.asked.store(true, Ordering::Relaxed);
        self.router.call(request)
    }
}

type Connection = auto::Connection<'static, TokioIo<TcpStream>, Asking, TokioExecutor>;

fn connection(stream: TcpStream, router: Router, asked: Arc<AtomicBool>) -> Connection {
    // Parts are written whole: waiting for an acknowledgement to fill a packet only costs latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let timeout_ms = UNREAD_TIMEOUT.as_millis() as u32;
    if let Err(error) = setsockopt(&stream, sockopt::TcpUserTimeout, &timeout_ms) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HTTP1_BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(Duration::from_secs(20));
    let service = Asking {
        router: TowerToHyperService::new(router),
        asked,
    };
    builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Sends `begin` to a server with `files_max` descriptors and reads until the connection ends. Time stands still
    /// but for waits, so that a server that waits for ever fails at once.
    fn answer(begin: &[u8], files_max: usize) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
            let address = listener.local_addr().expect("its address");
            let router = Router::new().route("/", get(async || "here"));
            let shutdown = CancellationToken::new();
            let server = tokio::spawn(serve(listener, router, files_max, shutdown.clone()));
            let mut stream = TcpStream::connect(address).await.expect("connected");
            stream.write_all(begin).await.expect("sent");
            let mut got = Vec::new();
            let read = stream.read_to_end(&mut got);
            // An end by reset is an end.
            let _ = tokio::time::timeout(HEADER_TIMEOUT * 3, read)
                .await
                .expect("the server ends it");
            shutdown.cancel();
            server.await.expect("no panic").expect("served");
            got
        })
    }

    #[test]
    fn a_peer_that_asks_nothing_loses_its_place() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        for begin in [&b""[..], b"PRI ", b"GET / HTT", preface] {
            let got = answer(begin, 1024);
            assert!(!got.starts_with(b"HTTP/1.1 200"), "{begin:?}");
        }
    }

    #[test]
    fn a_peer_that_asks_is_answered_unless_the_places_are_taken() {
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert!(answer(request, 1024).ends_with(b"here"));
        assert!(answer(request, 1).is_empty());
    }
}
