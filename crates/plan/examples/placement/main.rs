//! `cargo xtask bench placement`: the planner against everything tried and against simple rules, and the three ratios of LinguaLinked's paper.
//! Everything here is computed: instances are drawn from seeds, phones and links are simulated in virtual time.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program for developers: what it does not expect it reports by panicking"
)]

mod clock;
mod instances;
mod mixes;
mod optimiser;
mod programmes;
mod ratios;
mod simulator;
mod statistics;

use serde_json::json;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let mut numbers = arguments
        .iter()
        .filter_map(|argument| argument.parse().ok());
    let instances: u64 = numbers.next().unwrap_or(10_000);
    let exact = optimiser::against_everything(instances);
    let large = optimiser::large_rooms();
    let programmes = programmes::compare(instances);
    let ratios = ratios::all();
    let balancing = ratios::balancing();
    let pipelining = ratios::pipelining();
    if json {
        println!(
            "{}",
            json!({
                "simulated": true,
                "exact": exact.json(),
                "large_rooms": large.json(),
                "linear_programmes": programmes.json(),
                "ratios": ratios.json(),
                "balancing": balancing.json(),
                "pipelining": pipelining.json(),
            })
        );
        return;
    }
    for table in [exact, large, programmes, pipelining, ratios, balancing] {
        println!("{table}");
    }
}
