//! How well a model tells good reviews from bad ones, through the page's own classifier.

use std::path::PathBuf;

use clap::Args;

use crate::{
    build,
    command::{npm_install, program, root, succeed},
    error::Error,
    run::DEFAULT_MODEL,
    server::{Ports, Server},
};

/// On what.
#[derive(Args)]
pub struct Options {
    /// Lines of number, score and text, with tabs between: `movieReviewSnippets_GroundTruth.txt` of the vaderSentiment package.
    snippets: PathBuf,
    /// So many of them.
    #[arg(long, default_value_t = 200)]
    count: u32,
    /// A model file.
    #[arg(long, default_value = DEFAULT_MODEL)]
    model: PathBuf,
}

/// Measures accuracy and area under the curve.
///
/// # Errors
/// A file that is not there, a room that did not open.
pub fn run(options: &Options) -> Result<(), Error> {
    build::build()?;
    npm_install("tests/browser")?;
    let ports = Ports {
        plain: 0,
        https: None,
    };
    let server = Server::start(&root().join(&options.model), ports, &[])?;
    succeed(
        program("node")
            .arg("tests/browser/sentiment.mjs")
            .arg(&options.snippets)
            .arg(options.count.to_string())
            .env("LINGUALINKED_URL", &server.url),
    )
}
