//! Op graphs of the architectures this engine runs: one builder per file.

mod builder;
mod llama;

use crate::{error::ModelError, gguf::Header, graph::Graph};

/// The op graph of a model file.
///
/// # Errors
/// Architectures without a builder; missing or contradicting fields and tensors.
pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let name = header.metadata.str("general.architecture");
    match name {
        Some("llama") => llama::build(header),
        Some(name) => Err(ModelError::Architecture {
            name: name.to_owned(),
        }),
        None => Err(ModelError::MissingField {
            key: "general.architecture".to_owned(),
        }),
    }
}
