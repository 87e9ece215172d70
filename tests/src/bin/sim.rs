//! `cargo xtask sim`: plays seeds of the random campaign. `--seed N` tells one in full.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program says what it expects by panicking"
)]

use std::process::ExitCode;

use tests::{
    campaign::{Story, play},
    drills::table,
};

fn main() -> ExitCode {
    let mut seed = None;
    let mut seeds = 0..500;
    let mut arguments = std::env::args().skip(1);
    if std::env::args().nth(1).as_deref() == Some("--table") {
        print!("{}", table());
        return ExitCode::SUCCESS;
    }
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|text| text.parse::<u64>().ok());
        match (argument.as_str(), number) {
            ("--seed", Some(number)) => seed = Some(number),
            ("--from", Some(number)) => seeds = number..number + (seeds.end - seeds.start),
            ("--seeds", Some(number)) => seeds.end = seeds.start + number,
            _ => {
                eprintln!("usage: sim --table | [--seed N] [--from N] [--seeds N]");
                return ExitCode::from(2);
            }
        }
    }
    if let Some(seed) = seed {
        let story = play(seed);
        tell(&story);
        return verdict(story.failure.is_none());
    }
    let count = seeds.end - seeds.start;
    std::panic::set_hook(Box::new(|_| {}));
    let failed: Vec<Story> = seeds
        .map(play)
        .filter(|story| story.failure.is_some())
        .collect();
    for story in &failed {
        println!(
            "seed {}: {}",
            story.seed,
            story.failure.as_deref().unwrap_or_default()
        );
    }
    println!("{} of {count} seeds failed", failed.len());
    if let Some(story) = failed.first() {
        println!("\ncargo xtask sim --seed {}", story.seed);
        tell(story);
    }
    verdict(failed.is_empty())
}

fn tell(story: &Story) {
    for line in &story.lines {
        println!("{line}");
    }
    match &story.failure {
        Some(failure) => println!("FAILED: {failure}"),
        None => println!("the answer, the list and the memory are right"),
    }
}

fn verdict(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
