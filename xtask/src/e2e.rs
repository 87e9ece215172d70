//! Browser end-to-end tests: emulated phones on the built page.

use clap::Args;

use crate::{
    build,
    command::{npm_install, program, root, succeed},
    error::Error,
    run::DEFAULT_MODEL,
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
    succeed(program("npm").args(["run", "--silent", "check", "--prefix", "web"]))?;
    npm_install("tests/browser")?;
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
