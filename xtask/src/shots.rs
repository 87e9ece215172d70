//! Pictures of every view of the page.

use std::path::PathBuf;

use clap::Args;

use crate::{
    build,
    command::{npm_install, program, succeed},
    e2e::TINY_MODEL,
    error::Error,
    server::{Ports, Server},
};

/// Which, and where to.
#[derive(Args)]
pub struct Options {
    /// Folder for every view in every size, theme and language; without it, the README's pictures are made anew
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Builds the page and takes them in a scripted room.
///
/// # Errors
/// A view that did not come to be.
pub fn run(options: &Options) -> Result<(), Error> {
    build::build()?;
    npm_install("tests/browser")?;
    let ports = Ports {
        plain: 0,
        https: None,
    };
    let server = Server::start(TINY_MODEL.as_ref(), ports, &[])?;
    let mut shots = program("node");
    shots.arg("tests/browser/shots.mjs").args(&options.out);
    succeed(shots.env("LINGUALINKED_URL", &server.url))
}
