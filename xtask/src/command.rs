//! Programs that we start, in the repository's root.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::Error;

/// The repository's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A program, to be given arguments.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Runs it to its end.
///
/// # Errors
/// It is missing, or it failed and said why.
pub fn succeed(command: &mut Command) -> Result<(), Error> {
    let status = command
        .status()
        .map_err(|error| could_not_start(command, error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Told)
    }
}

/// The error of a program that is not there.
pub fn could_not_start(command: &Command, error: std::io::Error) -> Error {
    Error::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        error,
    }
}

/// Installs what a folder's package-lock.json names, unless that is there.
///
/// # Errors
/// npm is missing or failed.
pub fn npm_install(folder: &str) -> Result<(), Error> {
    let changed = |path: &str| root().join(folder).join(path).metadata()?.modified();
    let installed = changed("node_modules/.package-lock.json");
    if let (Ok(installed), Ok(wanted)) = (installed, changed("package-lock.json"))
        && installed >= wanted
    {
        return Ok(());
    }
    eprintln!("installing packages of {folder}");
    let quiet = ["--silent", "--no-audit", "--no-fund"];
    succeed(
        program("npm")
            .arg("ci")
            .args(quiet)
            .args(["--prefix", folder]),
    )
}
