//! Qwen2 (arXiv 2407.10671): llama with biases of queries, keys and values.

use super::llama::Family;
use crate::{
    error::ModelError,
    gguf::Header,
    graph::{Graph, Pairing},
};

pub fn build(header: &Header) -> Result<Graph, ModelError> {
    let family = Family {
        architecture: "qwen2",
        pairing: Pairing::Halves,
        head_norms: false,
    };
    family.build(header)
}
