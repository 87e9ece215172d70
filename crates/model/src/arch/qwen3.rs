//! Qwen3 (arXiv 2505.09388): llama with a norm of every head of queries and keys.

use super::llama::Family;
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Graph, Pairing},
};

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let family = Family {
        architecture: "qwen3",
        pairing: Pairing::Halves,
        head_norms: true,
    };
    family.build(header)
}
