//! Which encoder a ladder gets: the one that the configuration names, or the best on this board that passed its
//! trial. Trials run in children of this process, once; their verdicts are kept beside the recordings.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::board;
use crate::config::Config;
use crate::encode::{
    Doubts, EncodeError, EncoderChoice, ProbeOptions, TABLE, TrialTask, choose_encoder,
    is_installed,
};
use crate::media::{FrameRate, RungSpec};

/// The hidden subcommand that a trial's child is started with.
pub const TRIAL_SUBCOMMAND: &str = "encoder-trial";
/// This program, also after an upgrade has put another file in its place: its name is that of no file then.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Where verdicts about encoders are kept from one start to the next.
pub fn verdict_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("encoders")
}

/// How this machine's encoders are found out, for the largest rung of `ladder` (not empty). Verdicts are kept in
/// `cache_dir`, if any.
pub fn probe_options(
    cache_dir: Option<&Path>,
    element: Option<&str>,
    ladder: &[RungSpec],
    rate: FrameRate,
) -> ProbeOptions {
    ProbeOptions {
        cache_dir: cache_dir.map(Path::to_owned),
        board: board::board_name(),
        program: vec![THIS_PROGRAM.into(), TRIAL_SUBCOMMAND.into()],
        task: TrialTask {
            spec: *ladder.last().expect("a ladder has a rung"),
            rate,
        },
        order: element.map(str::to_owned).into_iter().collect(),
        distrusted: Vec::new(),
    }
}

/// Fails if the configuration names an encoder that Perch does not know.
pub fn check_encoder_name(config: &Config) -> anyhow::Result<()> {
    let Some(name) = &config.encoder else {
        return Ok(());
    };
    anyhow::ensure!(
        TABLE.iter().any(|entry| entry.element == name),
        "ladder.encoder: `{name}` is no encoder that Perch knows; `perch doctor` lists them"
    );
    Ok(())
}

/// Fails if no plugin of this machine brings the encoder that the configuration names.
pub(crate) fn check_encoder_installed(config: &Config) -> anyhow::Result<()> {
    let Some(name) = &config.encoder else {
        return Ok(());
    };
    anyhow::ensure!(
        is_installed(name)?,
        "ladder.encoder: `{name}` is not installed here; choose \"auto\", or one of those that `perch doctor` found to work"
    );
    Ok(())
}

/// Chooses encoders.
#[derive(Debug)]
pub(crate) struct Encoders {
    element: Option<String>,
    cache_dir: PathBuf,
    /// Held through a trial: two at a time would take each other's processor and, on some boards, the only encoder.
    doubts: Mutex<Doubts>,
}

impl Encoders {
    /// Takes the configured element, if any.
    pub(crate) fn new(element: Option<String>, cache_dir: PathBuf) -> Self {
        Self {
            element,
            cache_dir,
            doubts: Mutex::default(),
        }
    }

    /// The encoder for a ladder, one of the `distrusted` factories only if no other works. Tries what was never tried
    /// here, at most 5 s each, one after the other.
    pub(crate) fn choose(
        &self,
        ladder: &[RungSpec],
        rate: FrameRate,
        distrusted: &[String],
    ) -> Result<EncoderChoice, EncodeError> {
        let element = self.element.as_deref();
        let options = ProbeOptions {
            distrusted: distrusted.to_vec(),
            ..probe_options(Some(&self.cache_dir), element, ladder, rate)
        };
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        choose_encoder(&options, &mut doubts)
    }
}
