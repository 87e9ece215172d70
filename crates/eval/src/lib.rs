//! A model on disk, as GGUF file or as repository, for tools that run natively.

mod checkpoint;
pub mod error;
mod pickle;
pub mod source;
pub mod tokenizer;
