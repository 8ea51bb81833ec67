//! Asks an appliance over HTTP/1.1, for commands of its own machine. One connection a request: the appliance may be
//! another process by the next one. Blocking.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// The longest that a connection is waited for; this machine or a network nearby.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The longest that an answer is waited for, with all that is sent before it: a slow disk takes its time.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// What is to be asked; may be asked again.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    method: Method,
    path: String,
    lines: Vec<(&'static str, String)>,
    body: Bytes,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Nobody knows whether the request was heard.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("{0}")]
    Connect(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the answer breaks off or is too long")]
    Body,
    #[error("no answer within {} s", ANSWER_MAX.as_secs())]
    Late,
}

impl Ask {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            lines: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same with a header field.
    pub(super) fn line(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.lines.push((name, value.into()));
        self
    }

    /// The same with a body.
    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    fn request(&self, address: SocketAddr) -> io::Result<Request<Body>> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header(header::HOST, address.to_string())
            .header(header::CONTENT_LENGTH, self.body.len());
        for (name, value) in &self.lines {
            request = request.header(*name, value);
        }
        request
            .body(Body::from(self.body.clone()))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

impl Reply {
    /// A header field that is a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.headers.get(name)?.to_str().ok()?.parse().ok()
    }

    /// The body, if it is what is expected.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What a refusal says. (RFC 9457)
    pub(super) fn detail(&self) -> String {
        let problem: Option<serde_json::Value> = self.json();
        let detail = problem.and_then(|problem| Some(problem["detail"].as_str()?.to_owned()));
        detail.unwrap_or_else(|| format!("it answers {}", self.status))
    }
}

/// A runtime for one request at a time.
#[derive(Debug)]
pub(super) struct Client(Runtime);

impl Client {
    pub(super) fn new() -> io::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Ok(Self(runtime.enable_all().build()?))
    }

    /// Asks, and waits for the whole answer.
    pub(super) fn ask(&self, address: SocketAddr, ask: &Ask) -> Result<Reply, NoAnswer> {
        let request = ask.request(address)?;
        self.0.block_on(async {
            let stream = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address));
            let stream = stream.await.map_err(|_| NoAnswer::Late)??;
            let answered = tokio::time::timeout(ANSWER_MAX, exchange(stream, request));
            answered.await.map_err(|_| NoAnswer::Late)?
        })
    }
}

async fn exchange(stream: TcpStream, request: Request<Body>) -> Result<Reply, NoAnswer> {
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let reply = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await;
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.map_err(|_| NoAnswer::Body)?,
        })
    };
    let mut reply = pin!(reply);
    let mut connection = pin!(connection);
    tokio::select! {
        reply = &mut reply => reply,
        // What came before its end is still told, and so is why it ended.
        _ = &mut connection => reply.await,
    }
}
