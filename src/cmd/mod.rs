//! The command line: one file a subcommand.

mod clip;
mod config_check;
mod data_dir;
mod devices;
mod doctor;
mod encoder_trial;
mod import;
mod progress;
mod run;
mod store;
mod store_gc;
mod store_log;
mod store_packs;
mod store_rebuild;
mod store_scrub;
mod table;
mod verify;
mod verify_clip;
mod verify_log;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A private video appliance: captures, records and serves the cameras of this machine.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the appliance on every camera found, or on the test scene if there is none.
    Run(run::Arguments),
    /// Look at cameras, encoders, disk, clock and ports, and say what is wrong.
    Doctor(doctor::Arguments),
    /// List the cameras with their modes and controls.
    Devices(devices::Arguments),
    /// Save a stretch of a recording, or a time-lapse of it, as one MP4 file.
    Clip(clip::Arguments),
    /// Put films, pictures and other files into the store; each byte is stored once. Goes on where it was interrupted.
    Import(import::Arguments),
    /// Look at what is recorded.
    Store {
        #[command(subcommand)]
        command: store::Command,
    },
    /// Say whether a recording, or the file of a clip, is what the box signed.
    Verify(verify::Arguments),
    /// Work with the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Try one encoder and report on standard output; started by Perch itself.
    #[command(hide = true)]
    EncoderTrial(encoder_trial::Arguments),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether a configuration file is good.
    Check {
        /// The file.
        file: PathBuf,
    },
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(arguments) => run::run(arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Clip(arguments) => clip::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Store { command } => store::run(command),
        Command::Verify(arguments) => verify::run(arguments),
        Command::Config {
            command: ConfigCommand::Check { file },
        } => config_check::run(&file),
        Command::EncoderTrial(arguments) => encoder_trial::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // One line: causes follow their effects on it.
            eprintln!("perch: {error:#}");
            ExitCode::FAILURE
        }
    }
}
