//! Interprets the op graph on one thread: the oracle in tests, the engine in simulation, the fallback without a GPU.
//!
//! Every output element is computed by the same operations in the same order on every platform, for every number of columns,
//! in prefill and decode alike. So rule 2 of the numeric contract holds by construction, and a replayed or re-prefilled run has
//! the bits of an undisturbed one even where it meets another chunk grid.

mod activation_functions;
mod activations;
mod attention;
mod blocks;
pub(crate) mod dequantise;
mod elementwise;
mod encoder_decoder;
mod exponential;
mod integer;
mod interleaved;
mod lanes;
mod linear;
mod memory;
mod registers;
mod rope;
mod scattered;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::{EngineKind, Graph, NumericClass, UnitRange, WeightId};

use self::{memory::Memory, store::Store};
use crate::{
    EngineError, Executor, Input, Setup, Step,
    segment::{self, Call, Reuse, Stage, misuse, stages},
};

/// CPU executor of a member's segments.
pub struct CpuExecutor {
    graph: Arc<Graph>,
    class: NumericClass,
    stages: Vec<Stage>,
    store: Store,
    memory: Memory,
    ready: bool,
}

impl CpuExecutor {
    /// Allocates room for the weights of `setup`'s stages.
    ///
    /// # Errors
    /// Stages or a class that do not fit the graph, or out of memory.
    pub fn new(setup: Setup) -> Result<Self, EngineError> {
        let (stages, buffers) = stages(&setup, Reuse::AfterOp)?;
        let Setup {
            graph,
            class,
            slots,
            ..
        } = setup;
        let store = Store::new(&graph, &stages)?;
        let memory = Memory::new(&graph, class, slots, &stages, &buffers)?;
        Ok(Self {
            graph,
            class,
            stages,
            store,
            memory,
            ready: false,
        })
    }
}

impl Executor for CpuExecutor {
    fn kind(&self) -> EngineKind {
        EngineKind::Cpu
    }

    fn put_rows(
        &mut self,
        weight: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        self.store.put_rows(&self.graph, weight, first_row, bytes)?;
        self.memory.put_rows(weight, bytes)
    }

    async fn finish_loading(&mut self) -> Result<(), EngineError> {
        self.store.check_complete(&self.graph)?;
        self.ready = true;
        Ok(())
    }

    async fn run(
        &mut self,
        step: &Step,
        input: Input<'_>,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        if !self.ready {
            return Err(misuse("a call before loading was finished".into()));
        }
        let (index, call) = Call::check(&self.graph, self.class, &self.stages, step, input)?;
        self.memory
            .forward(&self.graph, &self.store, &self.stages[index], &call, out)?;
        self.stages[index].ran(call.slot, step.position + step.columns);
        Ok(())
    }

    async fn remember(
        &mut self,
        stage: UnitRange,
        slot: u32,
        memory: &[f32],
    ) -> Result<(), EngineError> {
        if !self.ready {
            return Err(misuse("a call before loading was finished".into()));
        }
        let place = (stage, slot);
        let (index, memory) =
            segment::Memory::check(&self.graph, self.class, &self.stages, place, memory)?;
        self.memory
            .remember(&self.graph, &self.store, &self.stages[index], &memory)?;
        self.stages[index].remembers(memory.slot, memory.columns as u32);
        Ok(())
    }

    fn truncate(&mut self, columns: u32) {
        for stage in &mut self.stages {
            stage.truncate(columns);
        }
    }

    fn resident_bytes(&self) -> u64 {
        (self.store.bytes() + self.memory.bytes()) as u64
    }
}
