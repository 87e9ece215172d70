//! The numeric class of a room: everything that decides the bits of an answer besides the split.

use serde::{Deserialize, Serialize};

/// Dtype of the residual stream at every legal cut, whether or not the plan cuts there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WireDtype {
    /// 4 bytes per element, nothing is rounded.
    F32,
    /// 2 bytes per element and one power-of-two scale per column (an `i8` exponent stored in 4 bytes).
    F16Scaled,
}

/// Which executor runs a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EngineKind {
    /// Portable SIMD on one thread; the same bits on every platform.
    Cpu,
    /// WGSL on wgpu.
    Gpu,
}

/// Fixed when the model is loaded, written into the plan, never changed during a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumericClass {
    /// Rounding of the residual stream at every legal cut.
    pub wire: WireDtype,
    /// Prompt columns run in chunks that start at multiples of this position.
    pub chunk_columns: u32,
    /// Static KV columns every member allocates.
    pub context_columns: u32,
}

/// A class no executor accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// Columns per chunk outside 1..=256 or larger than the context.
    #[error(
        "a prefill chunk of {chunk_columns} columns does not fit a context of {context_columns}"
    )]
    Chunk {
        /// Columns asked for.
        chunk_columns: u32,
        /// Context in force.
        context_columns: u32,
    },
}

impl NumericClass {
    /// Prefill chunk of the absolute grid.
    pub const DEFAULT_CHUNK_COLUMNS: u32 = 32;
    /// Columns the decode kernel takes in one call (speculative verify).
    pub const MAX_DECODE_COLUMNS: u32 = 8;

    /// Refuses classes that no executor could run.
    pub fn check(&self) -> Result<(), ClassError> {
        if self.chunk_columns == 0
            || self.chunk_columns > 256
            || self.chunk_columns > self.context_columns
        {
            return Err(ClassError::Chunk {
                chunk_columns: self.chunk_columns,
                context_columns: self.context_columns,
            });
        }
        Ok(())
    }
}
