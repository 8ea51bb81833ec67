//! Asks an appliance of this machine what the file of a stretch is, which has it sign what is too young to be proven:
//! for `perch clip`, which reads recordings beside it and signs nothing.

use std::net::SocketAddr;

use axum::http::{Method, StatusCode};

use super::client::{Ask, Client};
use crate::store::ClipFileWish;

/// Of a long file the appliance is asked for the end alone, which it plans at once; two segments at the least.
const TAIL_MS: i64 = 10_000;

/// Has the appliance at `address` sign what the whole file of `wish` needs for its proof, as far as it can. Returns
/// whether it answered so. Waits for it, a minute at the longest.
pub fn request_proof(address: SocketAddr, wish: &ClipFileWish) -> bool {
    let ClipFileWish { camera, to, .. } = wish;
    // Signing its end covers all before it.
    let from = wish.from.max(to.plus_ms(-TAIL_MS));
    let mut path = format!("/recordings/{camera}/clip.json?from={from}&to={to}");
    if let Some(rendition) = wish.rendition {
        path.push_str("&rendition=");
        path.push_str(rendition.name());
    }
    let Ok(client) = Client::new() else {
        return false;
    };
    let reply = client.ask(address, &Ask::new(Method::GET, path));
    reply.is_ok_and(|reply| reply.status == StatusCode::OK)
}
