//! `lab --phones N -- COMMAND`: runs a command beside a server's address, with N phones behind an emulated network.
//!
//! Every phone, and the server, has a network namespace with one interface; all of them lead to a relay in this process, which delays,
//! limits, loses and thereby reorders packets ([`conditions::Conditions`]), as a script asks while it runs ([`control`]). A phone's programs
//! are started by the wrapper that [`place`] writes for it. Linux, as root.

#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "namespaces are a thing of Linux")
)]

mod conditions;
mod error;
mod relay;

#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod port;
#[cfg(target_os = "linux")]
mod scene;

use std::process::ExitCode;

use clap::Parser;

use conditions::Conditions;
use error::LabError;

/// Phones behind an emulated network.
#[derive(Parser)]
#[command(name = "lab")]
pub struct Options {
    /// How many.
    #[arg(long, default_value_t = 3)]
    phones: u8,
    /// The program that a phone's wrapper starts.
    #[arg(long, default_value = "/usr/bin/chromium")]
    program: String,
    #[command(flatten)]
    conditions: Conditions,
    /// What to run where the server lives.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error[{}]: {error}\n  {}", error.code(), error.remedy());
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn run(options: &Options) -> Result<ExitCode, LabError> {
    scene::run(options)
}

#[cfg(not(target_os = "linux"))]
fn run(_: &Options) -> Result<ExitCode, LabError> {
    Err(LabError::NotLinux)
}
