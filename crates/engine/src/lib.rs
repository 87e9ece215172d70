//! Executors of the op graph.
//!
//! The graph is the only description of a model; every executor interprets it. Depends on `model` only.

#[cfg(feature = "burn")]
pub mod burn;
pub mod choice;
pub mod cpu;
pub mod error;
pub mod executor;
pub mod gpu;
mod memory;
pub mod miniature;
pub mod profile;
mod segment;
pub mod self_test;
pub mod synthetic;

pub use cpu::CpuExecutor;
pub use error::EngineError;
pub use executor::{Executor, Input, Phase, Setup, Step, Want};
