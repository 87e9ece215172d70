//! `cargo xtask --help`: one vocabulary for people and CI.

mod bench;
mod bugs;
mod build;
mod command;
mod e2e;
mod error;
mod eval;
mod invitation;
mod lab;
mod make_model;
mod pack;
mod run;
mod sentiment;
mod server;
mod shots;
mod sim;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::Error;

#[derive(Parser)]
#[command(
    name = "xtask",
    about = "Builds, runs and tests LinguaLinked for the browser"
)]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build wasm module, page and server into dist/ and target/.
    Build,
    /// Serve the page and a model; with --phones, let emulated phones answer.
    Run(run::Options),
    /// Logits, greedy ids and perplexity of a model: FILE --ids ..|--text .. [--executor cpu|gpu|burn] [--split N] [--json].
    Eval(eval::Options),
    /// A Hugging Face repository as one GGUF file: REPOSITORY OUT.gguf [--quantise keep|q8_0|q4_0].
    Convert(eval::Options),
    /// Experiments to repeat.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// A random-weight model file of a real shape, for speed and memory.
    MakeModel(make_model::Options),
    /// Browser end-to-end tests.
    E2e(e2e::Options),
    /// Browser processes behind an emulated network: its tests, or a command.
    Lab(lab::Options),
    /// The npm package, into target/package/.
    Pack,
    /// Pictures of every view of the page.
    Shots(shots::Options),
    /// Accuracy of the classifier on labelled snippets.
    Sentiment(sentiment::Options),
    /// Random faults in simulated rooms, from seeds.
    Sim(sim::Options),
}

fn main() -> ExitCode {
    match work(Options::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever failed has said why.
        Err(Error::Told) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error[{}]: {error}\n  {}", error.code(), error.remedy());
            ExitCode::FAILURE
        }
    }
}

fn work(task: Task) -> Result<(), Error> {
    match task {
        Task::Build => build::build(),
        Task::Run(options) => run::run(&options),
        Task::Eval(options) => eval::run("eval", &options),
        Task::Convert(options) => eval::run("convert", &options),
        Task::Bench(bench) => bench::run(&bench),
        Task::MakeModel(options) => make_model::run(&options),
        Task::E2e(options) => e2e::run(&options),
        Task::Lab(options) => lab::run(&options),
        Task::Pack => pack::run(),
        Task::Shots(options) => shots::run(&options),
        Task::Sentiment(options) => sentiment::run(&options),
        Task::Sim(options) => sim::run(&options),
    }
}
