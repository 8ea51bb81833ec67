//! Accepts connections and speaks HTTP/1.1 or HTTP/2 on them, as the client begins. Bounded in connections, in
//! header size and in the time a client may take to send its headers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Open connections; a viewer over HTTP/1.1 holds up to six.
const CONNECTIONS_MAX: usize = 4096;
/// A client that has not sent its whole header by then is dropped.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a header is read before the client is refused, in bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
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
pub(super) async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
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
                CONNECTIONS_MAX,
                "too many connections; the newest is closed"
            );
            continue;
        };
        let connection = graceful.watch(connection(stream, router.clone()).into_owned());
        tokio::spawn(async move {
            // Clients that go away in the middle are everyday life.
            if let Err(error) = connection.await {
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

type Connection =
    auto::Connection<'static, TokioIo<TcpStream>, TowerToHyperService<Router>, TokioExecutor>;

fn connection(stream: TcpStream, router: Router) -> Connection {
    // Parts are written whole: waiting for an acknowledgement to fill a packet only costs latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX * 4);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .keep_alive_interval(Duration::from_secs(20));
    builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .into_owned()
}
