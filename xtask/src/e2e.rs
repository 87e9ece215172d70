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
pub const TINY_MODEL: &str = "tests/fixtures/tiny-llama/model-f32.gguf";
/// The same with a chat template, for the page.
const CHAT_MODEL: &str = "target/tiny-chat.gguf";

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
    succeed(program("node").args(["--test", "web/tests/"]))?;
    npm_install("tests/browser")?;
    succeed(program("node").args(["tests/browser/chat-model.mjs", TINY_MODEL, CHAT_MODEL]))?;
    test("page.test.mjs", CHAT_MODEL, options)?;
    test("views.test.mjs", CHAT_MODEL, options)?;
    test("tiny.test.mjs", TINY_MODEL, options)?;
    if options.full {
        test("full.test.mjs", DEFAULT_MODEL, options)?;
    }
    Ok(())
}

fn test(file: &str, model: &str, options: &Options) -> Result<(), Error> {
    let server = Server::start(&root().join(model), 0)?;
    let mut node = program("node");
    node.arg("--test").arg(format!("tests/browser/{file}"));
    if options.full {
        node.env("LINGUALINKED_FULL", "1");
    }
    succeed(node.env("LINGUALINKED_URL", &server.url))
}
