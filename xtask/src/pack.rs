//! The npm package.

use std::path::PathBuf;

use crate::{
    build::{self, WEB},
    command::{program, root, succeed},
    error::Error,
};

/// Where `npm pack` puts it, from the root.
const FOLDER: &str = "target/package";

/// Builds everything and packs `web/`.
///
/// # Errors
/// A step that failed.
pub fn run() -> Result<(), Error> {
    build::build()?;
    let tarball = pack()?;
    eprintln!("packed {}", tarball.display());
    Ok(())
}

/// Packs what is built; returns the package's path.
///
/// # Errors
/// A step that failed.
pub fn pack() -> Result<PathBuf, Error> {
    let folder = root().join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|error| Error::File {
        path: folder.display().to_string(),
        detail: error.to_string(),
    })?;
    succeed(
        program("node")
            .arg("web/build-package.mjs")
            .arg(format!("{WEB}/wasm")),
    )?;
    succeed(
        program("npm")
            .args(["pack", "--silent", "./web", "--pack-destination", FOLDER])
            .stdout(std::process::Stdio::null()),
    )?;
    Ok(folder.join(concat!("lingualinked-", env!("CARGO_PKG_VERSION"), ".tgz")))
}
