//! Turns requests away that a foreign page makes in a viewer's browser: through DNS rebinding, where the page's own name
//! suddenly points at this machine, or plainly across sites. Until access control exists this is the only door.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Ends of names that nobody can register on the internet: RFC 6762, RFC 8375, ICANN's reservation of `internal`, and
/// what routers hand out.
const LOCAL_ENDS: [&str; 4] = [".local", ".home.arpa", ".internal", ".lan"];

/// The names that this server goes by.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Only this machine reaches it, so only names of this machine can be meant.
    loopback: bool,
    /// Further names, in lower case.
    own: Arc<[String]>,
}

impl Names {
    /// Names of a server that listens on `listen` and is also called `own`.
    pub(super) fn new(listen: IpAddr, own: &[String]) -> Self {
        Self {
            loopback: listen.is_loopback(),
            own: own.iter().map(|name| canonical(name)).collect(),
        }
    }

    /// Whether an authority (RFC 9110 §4.2.1) means this server. An address cannot be rebound, and the others are
    /// names that a page from the internet does not have.
    fn contain(&self, authority: &str) -> bool {
        let host = canonical(host_of(authority));
        if host == "localhost" || host.ends_with(".localhost") || self.own.contains(&host) {
            return true;
        }
        match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || !self.loopback,
            Err(_) if self.loopback || host.is_empty() => false,
            Err(_) => !host.contains('.') || LOCAL_ENDS.iter().any(|end| host.ends_with(end)),
        }
    }
}

/// The host of an authority, an IPv6 address without its brackets. What is no number behind the last colon is no port,
/// and belongs to a name that is none of ours.
fn host_of(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host)
}

fn canonical(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Lets a request pass if the name in its authority is one of ours, and unless a page of another site makes it.
pub(super) async fn guard(State(names): State<Names>, request: Request, next: Next) -> Response {
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let name = authority.or(header_text(request.headers(), header::HOST.as_str()));
    let Some(name) = name else {
        // RFC 9112 §3.2.
        let detail =
            "the request has no `Host` that can be read; it has to say which server it means";
        return Problem::bad_request(detail).into_response();
    };
    if !names.contain(name) {
        let detail = format!(
            "`{name}` is no name of this server; open it by its address, or add the name to server.names in the \
             configuration"
        );
        return Problem::misdirected(detail).into_response();
    }
    if is_foreign(request.headers()) {
        let detail = "a page of another site asks for this; open it in a window of its own";
        return Problem::forbidden(detail).into_response();
    }
    next.run(request).await
}

/// Whether a page of another site makes the request, other than by a link that a person follows (Fetch Metadata;
/// players and programs send none of it).
fn is_foreign(headers: &HeaderMap) -> bool {
    header_text(headers, "sec-fetch-site") == Some("cross-site")
        && header_text(headers, "sec-fetch-mode") != Some("navigate")
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn check(listen: Ipv4Addr, pass: &[&str], stay: &[&str]) {
        let names = Names::new(listen.into(), &["Cams.Example.org".to_owned()]);
        for name in pass {
            assert!(names.contain(name), "{name}");
        }
        for name in stay {
            assert!(!names.contain(name), "{name}");
        }
    }

    #[test]
    fn only_names_of_this_machine_pass_on_loopback() {
        check(
            Ipv4Addr::LOCALHOST,
            &[
                "localhost",
                "localhost:8080",
                "127.0.0.1:80",
                "[::1]:8080",
                "[::1]",
                "a.localhost.",
                "LOCALHOST:1",
                "cams.example.org:8080",
            ],
            &[
                "",
                "evil.example",
                "127.0.0.1.evil.example",
                "localhost.evil.example:80",
                "localhost:x.evil.example",
                "[::1]evil.example",
                "[::1",
                "10.0.0.1:8080",
                "perch.local",
                "perch",
            ],
        );
    }

    #[test]
    fn names_from_the_internet_do_not_pass_on_the_network_either() {
        check(
            Ipv4Addr::UNSPECIFIED,
            &[
                "localhost:8080",
                "10.0.0.1:8080",
                "[fd00::7]:8080",
                "perch",
                "Perch:8080",
                "perch.local.",
                "perch.lan",
                "perch.home.arpa:80",
                "perch.corp.internal",
                "CAMS.example.org.",
            ],
            &[
                "",
                "evil.example",
                "10.0.0.1.evil.example",
                "local.evil.example",
                "evillocal.example:8080",
                "example.org",
                "a.cams.example.org",
            ],
        );
    }

    #[test]
    fn only_a_person_gets_here_from_another_site() {
        let foreign = |site: &'static str, mode: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("sec-fetch-site", site.parse().expect("a value"));
            headers.insert("sec-fetch-mode", mode.parse().expect("a value"));
            is_foreign(&headers)
        };
        assert!(foreign("cross-site", "no-cors") && foreign("cross-site", "cors"));
        assert!(!foreign("cross-site", "navigate"));
        assert!(!foreign("same-origin", "cors") && !foreign("none", "navigate"));
        assert!(!is_foreign(&HeaderMap::new()));
    }
}
