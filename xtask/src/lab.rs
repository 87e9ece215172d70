//! Browser processes behind an emulated network.

use clap::Args;

use crate::{
    build::{self, WEB},
    command::{npm_install, program, root, succeed},
    e2e::TINY_MODEL,
    error::Error,
    server::SERVER,
};

/// Of the test: a host, three of its guests, and one that comes late.
const PHONES: &str = "5";

/// How the lab is set up.
#[derive(Args)]
pub struct Options {
    /// Model of the server.
    #[arg(long, default_value = TINY_MODEL)]
    model: String,
    /// Options of the lab (`cargo run -p lab -- --help`).
    #[arg(allow_hyphen_values = true)]
    conditions: Vec<String>,
    /// Run there; the tests of the network unless given.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Builds, and runs the command in the lab.
///
/// # Errors
/// Not Linux, not root, or the command failed.
pub fn run(options: &Options) -> Result<(), Error> {
    build::build()?;
    npm_install("tests/browser")?;
    lab(&options.model, &options.conditions, &options.command)
}

/// The tests of the network, with what is built.
///
/// # Errors
/// One failed.
pub fn test() -> Result<(), Error> {
    if !may() {
        eprintln!(
            "lab: left out, for it needs Linux and root; the other tests run over plain loopback"
        );
        return Ok(());
    }
    lab(TINY_MODEL, &[], &[])
}

fn lab(model: &str, conditions: &[String], command: &[String]) -> Result<(), Error> {
    let mut lab = program("cargo");
    lab.args(["run", "--quiet", "--package", "lab", "--"]);
    lab.args(["--phones", PHONES]).args(conditions).arg("--");
    match command {
        [] => lab.args(["node", "--test", "tests/browser/lab.test.mjs"]),
        command => lab.args(command),
    };
    lab.env("LINGUALINKED_SERVER", root().join(SERVER))
        .env("LINGUALINKED_MODEL", root().join(model))
        .env("LINGUALINKED_WEB", root().join(WEB));
    succeed(&mut lab)
}

fn may() -> bool {
    let user = program("id").arg("-u").output();
    cfg!(target_os = "linux") && user.is_ok_and(|user| user.stdout.trim_ascii() == b"0")
}
