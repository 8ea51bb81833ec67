//! Everything that a viewer touches: the page, HLS, stills, the API, health and metrics, over HTTP/1.1 and HTTP/2.
//! The only module that knows HTTP. Asks the appliance through [`Appliance`] and changes nothing in it.

mod api;
mod appliance;
mod extract;
mod host;
mod listener;
mod live;
mod media_response;
mod page;
mod problem;
mod recordings;
mod router;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use appliance::{
    Appliance, CameraState, CameraStatus, GapStatus, Health, HealthProblem, ModeStatus,
    RecordingStatus, RungStatus, StillError,
};
pub use listener::{BindError, bind};
pub use router::router;

/// Serves the appliance on `listener` until `shutdown`; running responses then get 0.7 s to finish.
/// At most half of the `files_max` files that the process may have open become connections.
pub async fn serve(
    listener: std::net::TcpListener,
    appliance: Arc<dyn Appliance>,
    files_max: usize,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    listener::serve(listener, router(appliance, address), files_max, shutdown).await
}
