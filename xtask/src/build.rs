//! Wasm module, page and server.

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;

use crate::{
    command::{npm_install, program, root, succeed},
    error::Error,
};

/// Where the page lies, from the root.
pub const WEB: &str = "dist/web";

/// `wasm-pack.toml`.
#[derive(Deserialize)]
struct Manifest {
    build: Builds,
}

#[derive(Deserialize)]
struct Builds {
    default: Build,
    generic: Build,
}

/// One module.
#[derive(Deserialize)]
struct Build {
    /// Below the page.
    folder: String,
    package: String,
    features: Vec<String>,
    out_name: String,
    max_gzip_bytes: u64,
}

/// Builds everything that is served.
///
/// # Errors
/// A step that failed, or a module over its budget.
pub fn build() -> Result<(), Error> {
    module(&builds()?.default)?;
    page()?;
    eprintln!("building the server");
    let mut cargo = program("cargo");
    cargo.args(["build", "--quiet", "--package", "signaling-server"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    succeed(&mut cargo)
}

/// Builds the module with the generic executor.
///
/// # Errors
/// As [`build`].
pub fn generic() -> Result<(), Error> {
    module(&builds()?.generic)
}

fn builds() -> Result<Builds, Error> {
    let path = root().join("wasm-pack.toml");
    let manifest = toml::from_slice(&read(&path)?);
    let Manifest { build } = manifest.map_err(|error| file(&path, &error.to_string()))?;
    Ok(build)
}

fn module(build: &Build) -> Result<(), Error> {
    eprintln!("building the module {}", build.folder);
    succeed(program("cargo").args([
        "build",
        "--quiet",
        "--release",
        "--target",
        "wasm32-unknown-unknown",
        "--package",
        &build.package,
        "--features",
        &build.features.join(","),
    ]))?;
    let compiled = format!(
        "target/wasm32-unknown-unknown/release/{}.wasm",
        build.package.replace('-', "_")
    );
    let out = format!("{WEB}/{}", build.folder);
    succeed(program("wasm-bindgen").args([
        "--target",
        "web",
        "--out-name",
        &build.out_name,
        "--out-dir",
        &out,
        &compiled,
    ]))?;
    copy("wasm-core/js/worker.js", &format!("{out}/worker.js"))?;
    check_size(
        &root().join(out).join(format!("{}_bg.wasm", build.out_name)),
        build.max_gzip_bytes,
    )
}

fn page() -> Result<(), Error> {
    npm_install("web")?;
    succeed(program("node").args(["web/build.mjs", WEB]))
}

fn check_size(path: &Path, budget: u64) -> Result<(), Error> {
    let module = read(path)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let zipped = gzip.write_all(&module).and_then(|()| gzip.finish());
    let bytes = zipped
        .map_err(|error| file(path, &error.to_string()))?
        .len() as u64;
    eprintln!("{} KB, {} KB gzipped", module.len() / 1000, bytes / 1000);
    if bytes > budget {
        return Err(Error::TooLarge { bytes, budget });
    }
    Ok(())
}

fn copy(from: &str, to: &str) -> Result<(), Error> {
    let from = root().join(from);
    fs::copy(&from, root().join(to))
        .map(drop)
        .map_err(|error| file(&from, &error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| file(path, &error.to_string()))
}

fn file(path: &Path, detail: &str) -> Error {
    Error::File {
        path: path.display().to_string(),
        detail: detail.to_owned(),
    }
}
