//! Browser end-to-end tests: emulated phones on the built page.

use clap::Args;

use crate::{
    build::{self, WEB},
    command::{npm_install, program, root, succeed},
    error::Error,
    lab, make_model, pack,
    run::DEFAULT_MODEL,
    server::{Ports, SERVER, Server, trusting},
};

/// Random weights, four blocks.
pub const TINY_MODEL: &str = "tests/fixtures/tiny-llama/model-f32.gguf";
/// The same with a chat template, for the page.
const CHAT_MODEL: &str = "target/tiny-chat.gguf";
/// Random weights, as large as Llama 3.2 1B.
const BILLION: &str = "target/random-1b.gguf";

/// Files in tests/browser with the model they need, and whether only `--full` runs them.
const TESTS: &[(&str, &str, bool)] = &[
    ("page", CHAT_MODEL, false),
    ("files", CHAT_MODEL, false),
    ("views", CHAT_MODEL, false),
    ("tiny", TINY_MODEL, false),
    ("faults", TINY_MODEL, false),
    ("faults-weights", TINY_MODEL, false),
    ("faults-reload", TINY_MODEL, false),
    ("sources", TINY_MODEL, false),
    ("addresses", CHAT_MODEL, false),
    ("https", TINY_MODEL, false),
    ("server", TINY_MODEL, false),
    ("door", TINY_MODEL, false),
    ("faults-long", TINY_MODEL, true),
    ("faults-loading", TINY_MODEL, true),
    ("reader", DEFAULT_MODEL, true),
    ("generic", TINY_MODEL, true),
    ("firefox", TINY_MODEL, true),
    ("full", DEFAULT_MODEL, true),
    ("billion", BILLION, true),
];

/// Which tests.
#[derive(Args)]
pub struct Options {
    /// With the long ones, and the default model.
    #[arg(long)]
    full: bool,
    /// These alone, e.g. `tiny`.
    only: Vec<String>,
}

/// Runs them.
///
/// # Errors
/// A test that failed.
pub fn run(options: &Options) -> Result<(), Error> {
    build::build()?;
    succeed(program("npm").args(["run", "--silent", "check", "--prefix", "web"]))?;
    succeed(program("npm").args(["run", "--silent", "test", "--prefix", "web"]))?;
    npm_install("tests/browser")?;
    succeed(program("node").args(["tests/browser/chat-model.mjs", TINY_MODEL, CHAT_MODEL]))?;
    let wanted = |name: &str, long: bool| {
        if options.only.is_empty() {
            options.full || !long
        } else {
            options.only.iter().any(|only| only == name)
        }
    };
    if wanted("package", false) {
        package(options)?;
    }
    for (name, model, long) in TESTS.iter().copied() {
        if wanted(name, long) {
            if model == BILLION {
                make_billion()?;
            }
            if name == "generic" {
                build::generic()?;
            }
            test_file(&format!("tests/browser/{name}.test.mjs"), model, options)?;
        }
    }
    if wanted("rivals", true) {
        npm_install("tests/rivals")?;
        test_file("tests/rivals/rivals.test.mjs", DEFAULT_MODEL, options)?;
    }
    if wanted("lab", true) {
        lab::test()?;
    }
    Ok(())
}

fn make_billion() -> Result<(), Error> {
    if root().join(BILLION).exists() {
        return Ok(());
    }
    make_model::run(&make_model::Options {
        shape: make_model::ShapeName::Llama1B,
        out: BILLION.into(),
    })
}

/// The npm package in projects of others.
fn package(options: &Options) -> Result<(), Error> {
    let tarball = pack::pack()?;
    npm_install("tests/packaging")?;
    let mut node = program("node");
    node.args(["--test", "tests/packaging/package.test.mjs"]);
    if options.full {
        node.env("LINGUALINKED_FULL", "1");
    }
    succeed(
        node.env("LINGUALINKED_PACKAGE", tarball)
            .env("LINGUALINKED_SERVER", root().join(SERVER))
            .env("LINGUALINKED_MODEL", root().join(CHAT_MODEL)),
    )
}

fn test_file(file: &str, model: &str, options: &Options) -> Result<(), Error> {
    let ports = Ports {
        plain: 0,
        https: Some(0),
    };
    let server = Server::start(&root().join(model), ports, &[])?;
    let mut node = program("node");
    node.arg("--test")
        .arg(file)
        // For tests that start a server of their own.
        .env("LINGUALINKED_SERVER", SERVER)
        .env("LINGUALINKED_MODEL", model)
        .env("LINGUALINKED_WEB", WEB)
        .env("LINGUALINKED_URL", &server.url)
        .env(
            "LINGUALINKED_HTTPS_URL",
            server.https.first().map_or("", String::as_str),
        );
    if options.full {
        node.env("LINGUALINKED_FULL", "1");
    }
    succeed(trusting(&mut node))?;
    server.check_policy()
}
