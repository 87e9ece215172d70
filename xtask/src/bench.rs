//! `cargo xtask bench`: experiments a reader can repeat.

use clap::{Args, Subcommand};

use crate::command::{program, succeed};
use crate::error::Error;

/// What to measure.
#[derive(Subcommand)]
pub enum Bench {
    /// The planner against everything tried and against simple rules; LinguaLinked's three ratios. Seeded and simulated.
    Placement(Placement),
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

/// Runs it.
///
/// # Errors
/// It could not be built, or failed and said why.
pub fn run(bench: &Bench) -> Result<(), Error> {
    match bench {
        Bench::Placement(options) => placement(options),
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
