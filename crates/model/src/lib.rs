//! What a model file says: header, op graph, cuts, segments, bytes.
//!
//! Pure: no I/O, clock, randomness or threads. Everything is built from bytes the caller fetched.

#![deny(clippy::indexing_slicing)]

pub mod arch;
pub mod blocks;
pub mod class;
mod cuts;
pub mod dtype;
pub mod error;
pub mod gguf;
pub mod graph;
pub mod hugging_face;
pub mod manifest;
pub mod operands;
pub mod segment;
pub mod transmission;
pub mod wire;

pub use class::{ClassError, EngineKind, NumericClass, WireDtype};
pub use dtype::DType;
pub use error::ModelError;
pub use graph::{
    Activation, CacheId, CacheSpec, Frequencies, Graph, Op, Pairing, Unit, UnitKind, UnitRange,
    ValueId, Weight, WeightId,
};
