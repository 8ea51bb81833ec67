//! Builds the appliance, wires its parts together, watches over them and stops them in reverse order.
//! The only module that knows them all.

mod absence;
mod camera;
mod capture_stats;
mod encoders;
mod fleet;
mod health;
mod lessons;
mod logging;
mod metrics;
mod parts_watch;
mod sound_watch;
mod source;
mod supervisor;
mod thread;
mod watchdog;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::base::{Clock, SystemClock};
use crate::board::{ServiceManager, decline_huge_pages, host_name, raise_files_limit};
use crate::capture::{
    CameraEvent, CameraNames, CameraWatch, OpenError, check_device, unreadable_nodes,
};
use crate::config::{Config, SourceSelector};
use crate::serve;
use crate::store::{LostSegment, RecoveryReport, Store, StoreOptions};

pub use encoders::{TRIAL_SUBCOMMAND, check_encoder_name, probe_options, verdict_folder};
pub use logging::start_logging;

use encoders::{Encoders, check_encoder_installed};
use fleet::Fleet;
use thread::{Lifeline, PanicGuard};

/// How long a stop may take, whatever hangs.
const STOP_MAX: Duration = Duration::from_secs(2);
/// What the cameras get of it to deliver their last pictures; the rest is the disk's.
const CAMERAS_STOP_MAX: Duration = Duration::from_millis(1_200);
/// What the runtime's own threads get.
const RUNTIME_STOP_MAX: Duration = Duration::from_millis(100);

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
    decline_huge_pages();
    let config = Arc::new(config);
    let files_max = raise_files_limit();
    check_encoder_name(&config)?;
    check_encoder_installed(&config)?;
    check_sources(&config)?;
    let listener = serve::bind(config.listen)?;
    let address = listener.local_addr().context("the listening address")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let storing = StoreOptions {
        retention: config.retention.clone(),
        digest: config.digest,
        media_only: config.media_only,
        ..StoreOptions::default()
    };
    let (store, recovery) = Store::open(&data_dir, storing, clock)?;
    if recovery.is_clean() {
        tracing::info!(data = %data_dir.display(), "recordings opened");
    } else {
        tracing::warn!(data = %data_dir.display(), %recovery, "recordings recovered");
        tell_missing(&recovery);
    }
    let lifeline = Lifeline::default();
    let encoders = Encoders::new(config.encoder.clone(), verdict_folder(&data_dir));
    let encoders = Arc::new(encoders);
    let fleet = Arc::new(Fleet::new(
        Arc::clone(&config),
        store.clone(),
        encoders,
        lifeline.clone(),
    ));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("serve")
        .build()
        .context("the runtime does not start")?;
    // From the first camera on there are pictures to commit, so a signal must not simply kill any more.
    runtime.block_on(heed_signals(&lifeline))?;
    let started = start_cameras(&runtime, &lifeline, &config, &fleet, &data_dir);
    let manager = ServiceManager::from_environment();
    let names = config.names.iter().cloned().chain(host_name()).collect();
    let server = runtime.spawn(keep_serving(
        listener,
        Arc::clone(&fleet),
        serve::Options { names, files_max },
        lifeline.clone(),
    ));
    if started.is_ok() && !lifeline.token().is_cancelled() {
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "everybody who reaches this address sees the cameras: there is no access control yet"
            );
        }
        // Gone again before the directory is anybody else's.
        let _announced = store.announce(address).inspect_err(|error| {
            tracing::warn!(%error, "commands such as `perch import` will not find this appliance");
        });
        println!("Perch is at http://{}/", printable(address));
        manager.ready();
        watchdog::spawn(manager, &lifeline, &fleet);
        // A signal, a dead thread, or the server's own end, which only a fault causes.
        runtime.block_on(lifeline.token().cancelled());
    }
    lifeline.token().cancel();
    manager.stopping();
    let served = stop(&runtime, &lifeline, &fleet, store, server);
    runtime.shutdown_timeout(RUNTIME_STOP_MAX);
    started?;
    served?;
    tracing::info!("stopped");
    Ok(if lifeline.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Says of each segment that recovery found whole or missed which it was: a few for each track at the most, since the
/// store commits often.
fn tell_missing(recovery: &RecoveryReport) {
    let tell = |segment: &LostSegment, message| {
        let LostSegment {
            camera,
            rendition,
            msn,
            wall_start,
            wall_end,
        } = segment;
        tracing::warn!(%camera, %rendition, msn, from = %wall_start, to = %wall_end, "{message}");
    };
    for segment in recovery.discarded.iter().flat_map(|tail| &tail.segments) {
        tell(segment, "cut off: it was written, but not committed");
    }
    for segment in &recovery.lost {
        tell(
            segment,
            "lost: it was committed, and the disk did not keep it",
        );
    }
}

/// From now on SIGTERM and SIGINT cut the lifeline.
async fn heed_signals(lifeline: &Lifeline) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let token = lifeline.token().clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
        token.cancel();
    });
    Ok(())
}

/// Starts every camera that is there, and the watch for those that come; returns early if the appliance is to stop.
/// A thread of its own does it and keeps the watch until the stop, since each camera's driver is asked for an answer.
fn start_cameras(
    runtime: &Runtime,
    lifeline: &Lifeline,
    config: &Arc<Config>,
    fleet: &Arc<Fleet>,
    data_dir: &Path,
) -> anyhow::Result<()> {
    let (tell, told) = oneshot::channel();
    lifeline.spawn("cameras", {
        let (lifeline, runtime) = (lifeline.clone(), runtime.handle().clone());
        let (config, fleet) = (Arc::clone(config), Arc::clone(fleet));
        let data_dir = data_dir.to_owned();
        move || {
            fleet.start_configured();
            let watch = watch_cameras(&config, &fleet, &lifeline, &data_dir);
            if watch.is_ok() && fleet.is_empty() {
                show_test_scene(&fleet);
            }
            let (watch, result) = match watch {
                Ok(watch) => (watch, Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Nobody listens any more if the appliance is to stop already.
            let _ = tell.send(result);
            runtime.block_on(lifeline.token().cancelled());
            drop(watch);
        }
    });
    runtime.block_on(async {
        tokio::select! {
            () = lifeline.token().cancelled() => Ok(()),
            // A thread that panicked has cut the lifeline.
            started = told => started.unwrap_or(Ok(())),
        }
    })
}

fn show_test_scene(fleet: &Fleet) {
    let unreadable = unreadable_nodes();
    for error in &unreadable {
        tracing::warn!(%error, "a video node that may be a camera cannot be used");
    }
    if unreadable.is_empty() {
        tracing::info!("no camera is plugged in; showing the test scene until one is");
    } else {
        tracing::warn!("no camera can be used; showing the test scene until one can");
    }
    fleet.start_stand_in();
}

/// Serves until the lifeline is cut; cuts it if the server ends by itself.
async fn keep_serving(
    listener: std::net::TcpListener,
    fleet: Arc<Fleet>,
    options: serve::Options,
    lifeline: Lifeline,
) -> std::io::Result<()> {
    let (token, on_panic) = (lifeline.token().clone(), lifeline.clone());
    let _guard = PanicGuard::new(move || on_panic.fail("the HTTP server panicked"));
    let served = serve::serve(listener, fleet, options, token).await;
    if !lifeline.token().is_cancelled() {
        lifeline.fail("the HTTP server ended");
    }
    served
}

/// Ends what runs within [`STOP_MAX`]: the server answers its last requests while the cameras deliver their last
/// pictures, then the store commits them. What hangs is named and left; the store is closed in any case.
fn stop(
    runtime: &Runtime,
    lifeline: &Lifeline,
    fleet: &Fleet,
    store: Store,
    server: JoinHandle<std::io::Result<()>>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    fleet.stop(began + CAMERAS_STOP_MAX);
    // Whoever lets the store go last closes it once more, without a limit of ours: nobody shall.
    std::mem::forget(store.clone());
    let closing = lifeline.spawn("close", move || store.close());
    let left = |until: Duration| until.saturating_sub(began.elapsed());
    if !closing.ends_within(left(STOP_MAX - RUNTIME_STOP_MAX)) {
        tracing::warn!(
            "the disk is too slow; the next start tells which of the last pictures are missing"
        );
    }
    let served = runtime
        .block_on(async { tokio::time::timeout(left(STOP_MAX - RUNTIME_STOP_MAX), server).await });
    match served {
        Ok(served) => served
            .context("the HTTP server panicked")?
            .context("the HTTP server"),
        Err(_) => {
            tracing::warn!("the HTTP server did not stop in time; it is left behind");
            Ok(())
        }
    }
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
    lifeline: &Lifeline,
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
    let (fleet, lifeline) = (Arc::clone(fleet), lifeline.clone());
    let guard = PanicGuard::new(move || lifeline.fail("the camera watch panicked"));
    let sink = Box::new(move |event: CameraEvent| {
        let _kept = &guard;
        fleet.handle(event);
    });
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
