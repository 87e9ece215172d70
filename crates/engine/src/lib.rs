//! Executors of the op graph.
//!
//! The graph is the only description of a model; every executor interprets it. Depends on `model` only.

pub mod error;
pub mod executor;

pub use error::EngineError;
pub use executor::{Executor, Input, Phase, Setup, Step, Want};
