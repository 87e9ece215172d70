//! The main job: serve the page, or let emulated phones answer.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{
    build,
    command::{npm_install, program, root, succeed},
    error::Error,
    invitation,
    server::{Ports, Server, trusting},
};

/// The model that ./run downloads.
pub const DEFAULT_MODEL: &str = "models/SmolLM2-135M-Instruct.Q4_1.gguf";

/// Small open models on Hugging Face.
const CATALOGUE: &str = "signaling-server/catalogue.json";

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Model file (GGUF), or its https address: it is downloaded once into models/.
    #[arg(long, default_value = DEFAULT_MODEL)]
    model: String,
    /// Also offer the models on other sites that this file lists.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = CATALOGUE)]
    catalogue: Option<PathBuf>,
    /// Port to listen on; 0 takes a free one. With --phones, 0 unless given.
    #[arg(long)]
    port: Option<u16>,
    /// Port of https for phones nearby; 0 takes a free one. With --phones, 0 unless given.
    #[arg(long)]
    https_port: Option<u16>,
    /// Let so many emulated phones (headless Chromium processes) answer --prompt, print the answer, and end.
    #[arg(long, requires = "prompt")]
    phones: Option<u32>,
    /// Let the emulated phones come by https.
    #[arg(long, requires = "phones")]
    https: bool,
    /// What the phones continue.
    #[arg(long, requires = "phones")]
    prompt: Option<String>,
    /// Put the prompt through the model's chat template.
    #[arg(long)]
    chat: bool,
    /// Tokens of the answer, at most.
    #[arg(long, default_value_t = 64)]
    max_tokens: u32,
    /// 0 takes the likeliest token every time.
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Seed of the sampler.
    #[arg(long)]
    seed: Option<u64>,
    /// Engine of every phone; auto measures both and takes the faster.
    #[arg(long, default_value = "auto")]
    engine: Engine,
    /// MiB each emulated phone offers, or `none`; too little for the model unless given.
    #[arg(long)]
    budget: Option<String>,
    /// Longest conversation, in tokens.
    #[arg(long, default_value_t = 512)]
    context: u32,
    /// Precision of hidden states between phones.
    #[arg(long, default_value = "f16")]
    wire: Wire,
    /// Also answer on one emulated phone without a budget.
    #[arg(long)]
    compare: bool,
    /// Print the result as JSON, as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Engine {
    Auto,
    Gpu,
    Cpu,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Wire {
    F32,
    F16,
}

/// What the script that drives the phones is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    url: &'a str,
    phones: u32,
    prompt: &'a str,
    chat: bool,
    max_tokens: u32,
    temperature: f32,
    seed: Option<u64>,
    engine: Engine,
    budget: Option<&'a str>,
    context: u32,
    wire: Wire,
    compare: bool,
    json: bool,
}

/// Builds, serves, and answers if asked to.
///
/// # Errors
/// A step that failed.
pub fn run(options: &Options) -> Result<(), Error> {
    build::build()?;
    let model = model_file(&options.model)?;
    let catalogue = catalogue(options.catalogue.as_deref());
    match (options.phones, &options.prompt) {
        (Some(phones), Some(prompt)) => {
            let ports = Ports {
                plain: options.port.unwrap_or(0),
                https: options.https.then(|| options.https_port.unwrap_or(0)),
            };
            let server = Server::start(&model, ports, &catalogue)?;
            let url = server.https.first().unwrap_or(&server.url);
            answer(options, url, phones, prompt)
        }
        _ => {
            let ports = Ports {
                plain: options.port.unwrap_or(8080),
                https: Some(options.https_port.unwrap_or(8443)),
            };
            let server = Server::start(&model, ports, &catalogue)?;
            invitation::print(&server);
            server.wait()
        }
    }
}

/// The server's options for it.
fn catalogue(file: Option<&Path>) -> Vec<OsString> {
    file.map(|file| vec!["--catalogue".into(), root().join(file).into()])
        .unwrap_or_default()
}

/// A path, or where the file of an address is after its download.
fn model_file(model: &str) -> Result<PathBuf, Error> {
    if !model.starts_with("https://") && !model.starts_with("http://") {
        return Ok(root().join(model));
    }
    let address = model.split(['?', '#']).next().unwrap_or(model);
    let name = address.rsplit('/').next().unwrap_or_default();
    let file = root().join("models").join(name);
    if file.is_file() {
        return Ok(file);
    }
    let part = file.with_added_extension("part");
    eprintln!("downloading {name}");
    // Continues where an earlier download broke off.
    let curl = [
        "--fail",
        "--location",
        "--progress-bar",
        "--create-dirs",
        "--continue-at",
        "-",
        "--output",
    ];
    succeed(program("curl").args(curl).arg(&part).arg(model)).map_err(|error| match error {
        Error::Told => Error::Unreachable {
            url: model.to_owned(),
        },
        other => other,
    })?;
    std::fs::rename(&part, &file).map_err(|error| Error::File {
        path: file.display().to_string(),
        detail: error.to_string(),
    })?;
    Ok(file)
}

fn answer(options: &Options, url: &str, phones: u32, prompt: &str) -> Result<(), Error> {
    npm_install("tests/browser")?;
    let question = Question {
        url,
        phones,
        prompt,
        chat: options.chat,
        max_tokens: options.max_tokens,
        temperature: options.temperature,
        seed: options.seed,
        engine: options.engine,
        budget: options.budget.as_deref(),
        context: options.context,
        wire: options.wire,
        compare: options.compare,
        json: options.json,
    };
    let question = serde_json::to_string(&question).map_err(|error| Error::File {
        path: "options".to_owned(),
        detail: error.to_string(),
    })?;
    succeed(trusting(
        program("node").args(["tests/browser/run.mjs", &question]),
    ))
}
