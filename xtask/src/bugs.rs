//! Known bugs, put into a copy of the source: does the campaign of random faults find each of them?

use std::{fs, path::Path};

use crate::{
    command::{could_not_start, program, root, succeed},
    error::Error,
};

const BUGS: &str = "tests/bugs";
/// A copy of the last commit.
const COPY: &str = "target/bugs";
const SEEDS: &str = "1000";

/// Puts each bug of `tests/bugs` into a copy and plays until a seed fails.
///
/// # Errors
/// A bug that no seed found, or a patch that fits no longer.
pub fn run() -> Result<(), Error> {
    let mut unfound = Vec::new();
    for bug in bugs()? {
        copy(&bug)?;
        if let Some(failure) = first_failure()? {
            println!("{bug}: found by {failure}");
        } else {
            println!("{bug}: not found by {SEEDS} seeds");
            unfound.push(bug);
        }
    }
    remove();
    if unfound.is_empty() {
        Ok(())
    } else {
        Err(Error::Told)
    }
}

fn bugs() -> Result<Vec<String>, Error> {
    let file_error = |error: std::io::Error| Error::File {
        path: BUGS.to_owned(),
        detail: error.to_string(),
    };
    let entries = fs::read_dir(root().join(BUGS)).map_err(file_error)?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

fn copy(bug: &str) -> Result<(), Error> {
    remove();
    let quiet = ["worktree", "add", "--quiet", "--detach", COPY, "HEAD"];
    succeed(program("git").args(quiet))?;
    let patch = root().join(BUGS).join(bug);
    succeed(program("git").args(["-C", COPY, "apply"]).arg(patch))
}

/// Plays in the copy; what the first failing seed says. Dependencies are shared with this workspace's build.
fn first_failure() -> Result<Option<String>, Error> {
    let cargo = |verb: &str| {
        let mut cargo = program("cargo");
        cargo.args([verb, "--quiet", "--package", "tests", "--bin", "sim"]);
        cargo.current_dir(root().join(COPY));
        cargo.env("CARGO_TARGET_DIR", root().join("target"));
        cargo
    };
    // A copy that does not build is no find.
    succeed(&mut cargo("build"))?;
    let mut play = cargo("run");
    play.args(["--", "--seeds", SEEDS]);
    let played = play
        .output()
        .map_err(|error| could_not_start(&play, error))?;
    let said = String::from_utf8_lossy(&played.stdout);
    let first = said.lines().find(|line| line.starts_with("seed "));
    Ok(first
        .filter(|_| !played.status.success())
        .map(str::to_owned))
}

/// There may be none.
fn remove() {
    if Path::new(&root().join(COPY)).exists() {
        let remove = ["worktree", "remove", "--force", COPY];
        drop(program("git").args(remove).status());
    }
}
