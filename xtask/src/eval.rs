//! Tools for models on disk, in a package of their own: whoever only serves the page need not build executors.

use std::ffi::OsString;

use clap::Args;

use crate::command::{program, succeed};
use crate::error::Error;

/// Handed on; `-- --help` shows all.
#[derive(Args)]
pub struct Options {
    /// Of the tool.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<OsString>,
}

/// Runs one of the package's programs.
///
/// # Errors
/// It could not be built, or failed and said why.
pub fn run(tool: &str, options: &Options) -> Result<(), Error> {
    let mut cargo = program("cargo");
    cargo.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "eval",
        "--bin",
        tool,
    ]);
    if options.arguments.iter().any(|argument| argument == "burn") {
        // Minutes to compile: only who asks for it waits.
        cargo.args(["--features", "burn"]);
    }
    succeed(cargo.arg("--").args(&options.arguments))
}
