//! `cargo xtask eval`: what a model file computes.

use std::ffi::OsString;

use clap::Args;

use crate::command::{program, succeed};
use crate::error::Error;

/// FILE --ids ..|--text .. [--executor cpu|gpu|burn] [--split N] [--json]; `-- --help` shows all.
#[derive(Args)]
pub struct Options {
    /// Handed on.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<OsString>,
}

/// A package of its own: whoever only serves the page need not build executors.
///
/// # Errors
/// It could not be built, or failed and said why.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut cargo = program("cargo");
    cargo.args(["run", "--quiet", "--release", "--package", "eval"]);
    if options.arguments.iter().any(|argument| argument == "burn") {
        // Minutes to compile: only who asks for it waits.
        cargo.args(["--features", "burn"]);
    }
    succeed(cargo.arg("--").args(&options.arguments))
}
