//! Guards a server on loopback against DNS rebinding: a foreign page whose name suddenly points at 127.0.0.1 must
//! not read the camera. Until access control exists this is the only door.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Lets a request pass if the server listens on an address that others reach anyway, or if the name in its
/// authority means this machine (`localhost`, RFC 6761 §6.3, or a loopback address).
pub(super) async fn guard(
    State(listen): State<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if listen.ip().is_loopback() {
        let authority = request
            .uri()
            .authority()
            .map(|authority| authority.as_str());
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|value| value.to_str().ok());
        let name = authority.or(host).unwrap_or("");
        if !is_this_machine(name) {
            let detail = format!(
                "`{name}` is not this machine; open it as localhost, or set server.listen to serve others"
            );
            return Problem::misdirected(detail).into_response();
        }
    }
    next.run(request).await
}

fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_pass() {
        for name in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:80",
            "[::1]:8080",
            "a.localhost.",
            "LOCALHOST:1",
        ] {
            assert!(is_this_machine(name), "{name}");
        }
        for name in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "10.0.0.1:8080",
        ] {
            assert!(!is_this_machine(name), "{name}");
        }
    }
}
