//! `perch encoder-trial`: the child in which an encoder is tried, so that one that hangs or crashes takes nothing
//! with it.

use std::process::ExitCode;

use clap::Args;

use crate::encode;

#[derive(Args)]
pub(super) struct Arguments {
    /// What to try, as the parent says it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    task: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    Ok(encode::trial_child_main(&arguments.task))
}
