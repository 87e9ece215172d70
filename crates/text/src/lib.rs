//! Text in, ids out, and back: tokenizer, chat template, sampler. Only the host of a room needs it.

#![deny(clippy::indexing_slicing)]

mod bpe;
mod chat;
mod error;
mod forced;
mod hugging_face;
mod pieces;
mod repository;
mod rng;
mod sampler;
mod sentence_piece;
mod tokenizer;
mod vocabulary;
mod words;

pub use chat::{ChatTemplate, Message};
pub use error::TextError;
pub use forced::Forced;
pub use pieces::DecodeStream;
pub use sampler::{Sampler, Sampling};
pub use tokenizer::Tokenizer;
pub use vocabulary::Vocabulary;
