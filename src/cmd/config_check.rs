//! `perch config check FILE`

use std::path::Path;
use std::process::ExitCode;

use crate::app::check_encoder_name;
use crate::config::Config;

pub(super) fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    check_encoder_name(&config)?;
    let rungs: Vec<_> = config.ladder.iter().map(|spec| spec.rung.name()).collect();
    let cameras = match config.cameras.len() {
        0 => "every camera found".to_owned(),
        1 => "1 camera".to_owned(),
        count => format!("{count} cameras"),
    };
    println!(
        "{}: good; {cameras}, rungs {}, serving on {}",
        file.display(),
        rungs.join(", "),
        config.listen
    );
    Ok(ExitCode::SUCCESS)
}
