//! `perch run`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::data_dir;
use crate::app;
use crate::board;
use crate::config::{CameraConfig, Config, SourceSelector};

#[derive(Args)]
pub(super) struct Arguments {
    /// Configuration file; see perch.example.toml.
    #[arg(long, value_name = "FILE", env = "PERCH_CONFIG")]
    config: Option<PathBuf>,
    /// Where recordings are kept [default: ./perch-data, or /var/lib/perch under systemd].
    #[arg(long, value_name = "DIR", env = "PERCH_DATA")]
    data: Option<PathBuf>,
    /// Where the page is served [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR:PORT", env = "PERCH_LISTEN")]
    listen: Option<SocketAddr>,
    /// A camera's device, or `test` for the test scene; may stand several times [default: every camera, else test].
    #[arg(long, value_name = "test | DEVICE")]
    source: Vec<String>,
}

impl Arguments {
    fn into_options(self) -> anyhow::Result<app::Options> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if !self.source.is_empty() {
            config.cameras = choose_cameras(&self.source, &config.cameras)?;
        }
        let data_dir = data_dir::to_record_in(self.data, &config);
        Ok(app::Options { config, data_dir })
    }
}

/// The sources of the command line, each with the settings that the configuration has for it.
fn choose_cameras(
    sources: &[String],
    configured: &[CameraConfig],
) -> anyhow::Result<Vec<CameraConfig>> {
    let mut chosen: Vec<CameraConfig> = Vec::with_capacity(sources.len());
    for text in sources {
        let source = SourceSelector::parse(text);
        if chosen.iter().any(|camera| camera.source == source) {
            anyhow::bail!("--source {text} stands twice; name each source once");
        }
        let settings = configured
            .iter()
            .find(|camera| camera.source == source)
            .cloned();
        chosen.push(settings.unwrap_or_else(|| CameraConfig::plain(source)));
    }
    Ok(chosen)
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let options = arguments.into_options()?;
    board::fix_mmap_threshold();
    app::start_logging();
    app::run(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_the_command_line_keeps_its_configured_settings() {
        let mut named = CameraConfig::plain(SourceSelector::parse("/dev/video0"));
        named.name = Some("Door".to_owned());
        let sources = ["test".to_owned(), "/dev/video0".to_owned()];
        let chosen = choose_cameras(&sources, std::slice::from_ref(&named)).expect("two sources");
        assert_eq!(chosen, [CameraConfig::plain(SourceSelector::Test), named]);
        let twice = ["test".to_owned(), "test".to_owned()];
        assert!(choose_cameras(&twice, &[]).is_err());
    }
}
