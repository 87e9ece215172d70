//! `cargo xtask convert`: a repository as one GGUF file.

use std::ffi::OsString;

use clap::Args;

use crate::command::{program, succeed};
use crate::error::Error;

/// REPOSITORY OUT.gguf [--quantise keep|q8_0|q4_0]; `-- --help` shows all.
#[derive(Args)]
pub struct Options {
    /// Handed on.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<OsString>,
}

/// In the package that reads models on disk.
///
/// # Errors
/// It could not be built, or failed and said why.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut cargo = program("cargo");
    cargo.args(["run", "--quiet", "--release", "--package", "eval"]);
    succeed(
        cargo
            .args(["--bin", "convert", "--"])
            .args(&options.arguments),
    )
}
