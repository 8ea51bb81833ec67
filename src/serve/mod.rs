//! Everything that a viewer touches: the page, HLS, stills, the API, health and metrics, over HTTP/1.1 and HTTP/2.
//! The only module that knows HTTP. Asks the appliance through [`Appliance`] and changes nothing in it.

mod api;
mod appliance;
mod bounds;
mod byte_range;
mod client;
mod clip_files;
mod clip_plans;
mod extract;
mod handover;
mod host;
mod items;
mod listener;
mod live;
mod media_response;
mod page;
mod problem;
mod proof_request;
mod recorded_stills;
mod recordings;
mod router;
mod storage;
#[cfg(test)]
mod tests;
mod upload_body;
mod upload_problem;
mod uploads;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use appliance::{
    Appliance, CameraState, CameraStatus, GapStatus, Health, HealthProblem, ModeStatus,
    RecordingStatus, RungStatus, StillError,
};
pub use handover::{HandOver, HandOverError, HandOverProgress, HandOverStep};
pub use listener::{BindError, bind};
pub use proof_request::request_proof;

/// What the server needs to know of the machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names that it goes by besides its addresses and those of local networks, as they stand in `Host`.
    pub names: Vec<String>,
    /// Files that the process may have open; half of them may be connections.
    pub files_max: usize,
}

/// Serves the appliance on `listener` until `shutdown`; running responses then get 0.7 s to finish.
pub async fn serve(
    listener: std::net::TcpListener,
    appliance: Arc<dyn Appliance>,
    options: Options,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let names = host::Names::new(listener.local_addr()?.ip(), &options.names);
    let router = router::router(appliance, names);
    listener::serve(listener, router, options.files_max, shutdown).await
}
