//! `cargo xtask bench`: experiments a reader can repeat.

use std::{path::PathBuf, process::Command};

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    command::{program, succeed},
    error::Error,
    run::DEFAULT_MODEL,
};

/// What to measure.
#[derive(Subcommand)]
pub enum Bench {
    /// The planner against everything tried and against simple rules; LinguaLinked's three ratios. Seeded and simulated.
    Placement(Placement),
    /// Matrix kernels, decode and prefill of one executor, with made-up weights of a model's shape.
    Engine(Engine),
}

#[derive(Args)]
pub struct Placement {
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Seeded instances to compare on.
    #[arg(long, default_value_t = 10_000)]
    instances: u64,
}

#[derive(Args)]
pub struct Engine {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Which executor.
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "gpu"])]
    executor: String,
    /// Where it runs: on this machine, or, the CPU executor only, as wasm in node, which has Chromium's JavaScript engine.
    #[arg(long, value_enum, default_value = "native")]
    target: Target,
    /// A model file; only its header is read.
    #[arg(long, default_value = DEFAULT_MODEL)]
    model: PathBuf,
    /// A matrix of so many rows and columns in every storage type, too: ROWSxCOLUMNS; the GPU executor only.
    #[arg(long)]
    matrix: Option<String>,
    /// That matrix, and the whole model, with every variant of the kernels that the adapter may run; the GPU executor only.
    #[arg(long)]
    variants: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    Native,
    Node,
}

/// Runs it.
///
/// # Errors
/// It could not be built, or failed and said why.
pub fn run(bench: &Bench) -> Result<(), Error> {
    match bench {
        Bench::Placement(options) => placement(options),
        Bench::Engine(options) => engine(options),
    }
}

/// An example of the planner: what it compares with is none of the product's dependencies.
fn placement(options: &Placement) -> Result<(), Error> {
    let mut cargo = program("cargo");
    cargo.args(["run", "--quiet", "--release", "--package", "plan"]);
    cargo.args(["--example", "placement", "--"]);
    cargo.arg(options.instances.to_string());
    if options.json {
        cargo.arg("--json");
    }
    succeed(&mut cargo)
}

fn engine(options: &Engine) -> Result<(), Error> {
    let mut command = match options.target {
        Target::Native => native(options),
        Target::Node => node(options)?,
    };
    if options.json {
        command.arg("--json");
    }
    succeed(&mut command)
}

fn native(options: &Engine) -> Command {
    let mut cargo = program("cargo");
    cargo.args(["run", "--quiet", "--release", "--package", "bench", "--"]);
    cargo.args(["--executor", &options.executor]);
    cargo.arg("--model").arg(&options.model);
    if let Some(matrix) = &options.matrix {
        cargo.args(["--matrix", matrix]);
    }
    if options.variants {
        cargo.arg("--variants");
    }
    cargo
}

fn node(options: &Engine) -> Result<Command, Error> {
    let mut cargo = program("cargo");
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "bench",
        "--lib",
    ]);
    succeed(cargo.args(["--target", "wasm32-unknown-unknown"]))?;
    let mut bindgen = program("wasm-bindgen");
    bindgen.args(["--target", "nodejs", "--out-dir", "target/bench"]);
    succeed(bindgen.arg("target/wasm32-unknown-unknown/release/bench.wasm"))?;
    let mut node = program("node");
    node.args(["crates/bench/node.mjs", "target/bench/bench.js"]);
    node.arg(&options.model);
    Ok(node)
}
