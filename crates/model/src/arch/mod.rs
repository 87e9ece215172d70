//! Op graphs of the architectures this engine runs: one builder per file.

mod bloom;
mod builder;
mod config;
mod gemma3;
mod gpt2;
mod gptj;
mod llama;
mod opt;
mod phi3;
mod qwen2;
mod qwen3;
mod t5;

use crate::{error::ModelError, gguf::Header, graph::Graph};

/// The op graph of a model file.
///
/// # Errors
/// Architectures without a builder; missing or contradicting fields and tensors.
pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let name = header.metadata.str("general.architecture");
    match name {
        Some("llama") => llama::build(header),
        Some("qwen2") => qwen2::build(header),
        Some("qwen3") => qwen3::build(header),
        Some("gemma3") => gemma3::build(header),
        Some("phi3") => phi3::build(header),
        Some("gpt2") => gpt2::build(header),
        Some("bloom") => bloom::build(header),
        Some("opt") => opt::build(header),
        Some("gptj") => gptj::build(header),
        Some("t5") => t5::build(header),
        Some(name) => Err(ModelError::Architecture {
            name: name.to_owned(),
        }),
        None => Err(ModelError::MissingField {
            key: "general.architecture".to_owned(),
        }),
    }
}
