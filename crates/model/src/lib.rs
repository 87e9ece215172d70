//! What a model file says: header, op graph, cuts, segments, bytes.
//!
//! Pure: no I/O, clock, randomness or threads. Everything is built from bytes the caller fetched.

pub mod class;
pub mod dtype;
pub mod error;
pub mod graph;

pub use class::{ClassError, EngineKind, NumericClass, WireDtype};
pub use dtype::DType;
pub use error::ModelError;
pub use graph::{CacheId, CacheSpec, Graph, Op, Unit, UnitKind, UnitRange, ValueId, Weight, WeightId};
