//! Browser end-to-end tests: emulated phones on the built page.

use clap::Args;

use crate::{
    build,
    command::{program, root, succeed},
    error::Error,
    run::{DEFAULT_MODEL, install_driver},
    server::Server,
};

/// Random weights, four blocks.
const TINY_MODEL: &str = "tests/fixtures/tiny-llama/model-f32.gguf";

/// Which tests.
#[derive(Args)]
pub struct Options {
    /// With the default model, too.
    #[arg(long)]
    full: bool,
}

/// Runs them.
///
/// # Errors
/// A test that failed.
pub fn run(options: &Options) -> Result<(), Error> {
    build::build()?;
    install_driver()?;
    test("tests/browser/tiny.test.mjs", TINY_MODEL)?;
    if options.full {
        test("tests/browser/full.test.mjs", DEFAULT_MODEL)?;
    }
    Ok(())
}

fn test(file: &str, model: &str) -> Result<(), Error> {
    let server = Server::start(&root().join(model), 0)?;
    succeed(
        program("node")
            .args(["--test", file])
            .env("LINGUALINKED_URL", &server.url),
    )
}
