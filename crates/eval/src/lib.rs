//! A model on disk, as GGUF file or as repository, for tools that run natively.

mod checkpoint;
mod disk;
pub mod error;
mod pickle;
pub mod quantise;
pub mod source;
pub mod tokenizer;
