//! The executors a phone may have, as one.

use engine::{CpuExecutor, EngineError, Executor, Input, Step};
use model::{EngineKind, WeightId};

use super::gpu::GpuExecutor;

/// CPU or GPU.
pub enum AnyExecutor {
    /// Portable SIMD.
    Cpu(CpuExecutor),
    /// WebGPU.
    Gpu(Box<GpuExecutor>),
}

macro_rules! either {
    ($self:ident, $executor:ident => $call:expr) => {
        match $self {
            Self::Cpu($executor) => $call,
            Self::Gpu($executor) => $call,
        }
    };
}

impl Executor for AnyExecutor {
    fn kind(&self) -> EngineKind {
        either!(self, executor => executor.kind())
    }

    fn put_rows(
        &mut self,
        weight: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        either!(self, executor => executor.put_rows(weight, first_row, bytes))
    }

    async fn finish_loading(&mut self) -> Result<(), EngineError> {
        either!(self, executor => executor.finish_loading().await)
    }

    async fn run(
        &mut self,
        step: &Step,
        input: Input<'_>,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        either!(self, executor => executor.run(step, input, out).await)
    }

    fn truncate(&mut self, columns: u32) {
        either!(self, executor => executor.truncate(columns));
    }

    fn resident_bytes(&self) -> u64 {
        either!(self, executor => executor.resident_bytes())
    }
}
