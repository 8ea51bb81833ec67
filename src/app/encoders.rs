//! Which encoder a ladder gets: the one that the configuration names, or the best that passed its trial here.

use std::path::{Path, PathBuf};

use crate::encode::EncoderChoice;

/// Where verdicts about encoders are kept from one start to the next.
pub fn verdict_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("encoders")
}

/// Chooses encoders.
pub(crate) struct Encoders {
    named: Option<EncoderChoice>,
}

impl Encoders {
    /// Takes the configured element. Fails if no encoder of the table is called so.
    pub(crate) fn new(element: Option<String>, _verdicts: PathBuf) -> anyhow::Result<Self> {
        let named = match element {
            None => None,
            Some(name) => Some(EncoderChoice::named(&name).ok_or_else(|| {
                anyhow::anyhow!("ladder.encoder: `{name}` is no encoder that Perch knows; `perch doctor` lists them")
            })?),
        };
        Ok(Self { named })
    }

    /// The encoder for a ladder whose largest picture is this many pixels.
    pub(crate) fn choose(&self, _width: u32, _height: u32) -> EncoderChoice {
        self.named.clone().unwrap_or_else(EncoderChoice::software)
    }
}
