//! Random faults in simulated rooms.

use clap::Args;

use crate::{
    bugs,
    command::{program, succeed},
    error::Error,
};

/// Which seeds.
#[derive(Args)]
pub struct Options {
    /// Play one seed and tell it in full.
    #[arg(long)]
    seed: Option<u64>,
    /// Play so many.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// Print what every single fault costs, as docs/reliability.md has it.
    #[arg(long)]
    table: bool,
    /// Put each known bug of tests/bugs into a copy: 1,000 seeds must find it.
    #[arg(long)]
    bugs: bool,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
}

/// Plays them.
///
/// # Errors
/// A seed that failed.
pub fn run(options: &Options) -> Result<(), Error> {
    if options.bugs {
        return bugs::run();
    }
    let mut sim = program("cargo");
    sim.args(["run", "--quiet", "--package", "tests", "--bin", "sim", "--"]);
    match options.seed {
        _ if options.table => sim.arg("--table"),
        Some(seed) => sim.arg("--seed").arg(seed.to_string()),
        None => sim
            .args(["--from", &options.from.to_string()])
            .args(["--seeds", &options.seeds.to_string()]),
    };
    succeed(&mut sim)
}
