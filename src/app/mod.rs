//! Builds the appliance, wires its parts together, watches over them and stops them in reverse order.
//! The only module that knows them all.

mod camera;
mod capture_stats;
mod encoders;
mod fleet;
mod health;
mod logging;
mod metrics;
mod source;
mod supervisor;
mod thread;
mod watchdog;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::base::{Clock, SystemClock};
use crate::board::ServiceManager;
use crate::capture::{CameraEvent, CameraNames, CameraWatch, OpenError, check_device};
use crate::config::{CameraConfig, Config, SourceSelector};
use crate::serve;
use crate::store::{Store, StoreOptions};

pub use encoders::{TRIAL_SUBCOMMAND, probe_options, verdict_folder};
pub use logging::start_logging;

use encoders::Encoders;
use fleet::Fleet;
use thread::Lifeline;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration, the command line already applied.
    pub config: Config,
    /// Where recordings and the index live.
    pub data_dir: PathBuf,
}

/// Runs the appliance until SIGTERM or SIGINT, then stops it within two seconds with everything committed.
/// Fails before anything is served if it cannot go on: address in use, data directory unusable, a source that is no
/// camera.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { config, data_dir } = options;
    let config = Arc::new(config);
    check_sources(&config)?;
    let listener = serve::bind(config.listen)?;
    let address = listener.local_addr().context("the listening address")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, recovery) = Store::open(&data_dir, StoreOptions::default(), clock)?;
    if recovery.is_clean() {
        tracing::info!(data = %data_dir.display(), "recordings opened");
    } else {
        tracing::warn!(data = %data_dir.display(), %recovery, "recordings recovered");
    }
    let lifeline = Lifeline::default();
    let encoders = Arc::new(Encoders::new(
        config.encoder.clone(),
        verdict_folder(&data_dir),
    )?);
    let fleet = Arc::new(Fleet::new(
        Arc::clone(&config),
        store.clone(),
        encoders,
        lifeline.clone(),
    ));
    fleet.start_configured();
    let watch = watch_cameras(&config, &fleet, &data_dir)?;
    if fleet.is_empty() {
        tracing::info!("no camera is plugged in; showing the test scene");
        fleet.start_test_scene(CameraConfig::plain(SourceSelector::Test));
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("serve")
        .build()
        .context("the runtime does not start")?;
    let manager = ServiceManager::from_environment();
    let server = runtime.spawn({
        let (fleet, token) = (Arc::clone(&fleet), lifeline.token().clone());
        serve::serve(listener, fleet, token)
    });
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "everybody who reaches this address sees the cameras: there is no access control yet"
        );
    }
    println!("Perch is at http://{}/", printable(address));
    manager.ready();
    let feeder = watchdog::spawn(manager, &lifeline, &fleet);

    let served = runtime.block_on(wait_for_the_end(&lifeline, server));
    manager.stopping();
    lifeline.token().cancel();
    drop(watch);
    fleet.stop();
    store.close();
    let _ = feeder.join();
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    served?;
    tracing::info!("stopped");
    Ok(if lifeline.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Waits for a signal, a dead thread, or the server's own end, which only a fault causes.
async fn wait_for_the_end(
    lifeline: &Lifeline,
    mut server: tokio::task::JoinHandle<std::io::Result<()>>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        () = lifeline.token().cancelled() => {}
        ended = &mut server => {
            lifeline.fail("the HTTP server ended");
            return ended.context("the HTTP server panicked")?.context("the HTTP server");
        }
    }
    lifeline.token().cancel();
    server
        .await
        .context("the HTTP server panicked")?
        .context("the HTTP server")
}

/// A device that somebody named and that can never be a camera is a mistake to be told at once; one that is not
/// there, or busy, may come.
fn check_sources(config: &Config) -> anyhow::Result<()> {
    for camera in &config.cameras {
        if let SourceSelector::Device(path) = &camera.source
            && path.exists()
            && let Err(error @ OpenError::NotACamera { .. }) = check_device(path)
        {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Watches for cameras, unless only the test scene was asked for.
fn watch_cameras(
    config: &Config,
    fleet: &Arc<Fleet>,
    data_dir: &Path,
) -> anyhow::Result<Option<CameraWatch>> {
    let only_test = !config.cameras.is_empty()
        && config
            .cameras
            .iter()
            .all(|camera| camera.source == SourceSelector::Test);
    if only_test {
        return Ok(None);
    }
    let names = CameraNames::load(&data_dir.join("cameras.json")).unwrap_or_else(|error| {
        tracing::warn!(%error, "the cameras' names could not be read; cameras may be named anew");
        CameraNames::default()
    });
    let named = config
        .cameras
        .iter()
        .filter_map(|camera| match &camera.source {
            SourceSelector::Device(path) => Some(path.clone()),
            SourceSelector::Test => None,
        });
    let fleet = Arc::clone(fleet);
    let sink = Box::new(move |event: CameraEvent| fleet.handle(event));
    Ok(Some(
        CameraWatch::start(names, named.collect(), sink)
            .context("the camera watch does not start")?,
    ))
}

/// An address that a browser on this machine can open.
fn printable(address: std::net::SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("localhost:{}", address.port());
    }
    address.to_string()
}
