//! Interprets the op graph on one thread: the oracle in tests, the engine in simulation, the fallback without a GPU.
//!
//! Every output element is computed by the same operations in the same order on every platform, for every number of columns,
//! in prefill and decode alike. So rule 2 of the numeric contract holds by construction, and a replayed or re-prefilled run has
//! the bits of an undisturbed one even where it meets another chunk grid.

mod attention;
mod dequantise;
mod elementwise;
mod exponential;
mod lanes;
mod linear;
mod memory;
mod operands;
mod rope;
mod stage;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::{EngineKind, Graph, NumericClass, WeightId};

use self::{
    memory::{Call, Memory},
    stage::{Buffers, Stage},
    store::Store,
};
use crate::{EngineError, Executor, Input, Phase, Setup, Step};

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
        let Setup {
            graph,
            stages: ranges,
            class,
        } = setup;
        class.check().map_err(|error| misuse(error.to_string()))?;
        let mut buffers = Buffers::new();
        let mut stages = Vec::with_capacity(ranges.len());
        for range in ranges {
            stages.push(Stage::new(&graph, range, &mut buffers)?);
        }
        let needed = stages
            .iter()
            .flat_map(|stage| stage.ops(&graph))
            .filter_map(operands::weight);
        let store = Store::new(&graph, needed)?;
        let memory = Memory::new(&graph, class, &stages, &buffers)?;
        Ok(Self {
            graph,
            class,
            stages,
            store,
            memory,
            ready: false,
        })
    }

    /// Refuses a call that would leave a gap, overflow or misread its input.
    fn check<'a>(
        &self,
        stage: &Stage,
        step: &Step,
        input: Input<'a>,
    ) -> Result<Call<'a>, EngineError> {
        if !self.ready {
            return Err(misuse("a call before loading was finished".into()));
        }
        check_columns(self.class, step)?;
        if !stage.caches.is_empty() && step.position > stage.cached_columns {
            let cached = stage.cached_columns;
            return Err(misuse(format!(
                "position {} leaves a gap after {cached} cached columns",
                step.position
            )));
        }
        let columns = step.columns as usize;
        let hidden_len = columns.checked_mul(self.graph.hidden_width as usize);
        let fits = match input {
            Input::Tokens(tokens) => stage.input.is_none() && tokens.len() == columns,
            Input::Hidden(hidden) => stage.input.is_some() && Some(hidden.len()) == hidden_len,
        };
        if !fits {
            return Err(misuse(format!(
                "the input is not {columns} columns of what enters units {:?}",
                stage.range
            )));
        }
        if let Input::Tokens(tokens) = input
            && let Some(token) = tokens.iter().find(|token| **token >= self.graph.vocabulary)
        {
            return Err(misuse(format!(
                "token {token} is not in the vocabulary of {}",
                self.graph.vocabulary
            )));
        }
        Ok(Call {
            position: step.position as usize,
            columns,
            want: step.want,
            input,
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
        self.store.put_rows(&self.graph, weight, first_row, bytes)
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
        let loaded = self
            .stages
            .iter()
            .position(|stage| stage.range == step.stage);
        let index =
            loaded.ok_or_else(|| misuse(format!("units {:?} are not loaded here", step.stage)))?;
        let call = self.check(&self.stages[index], step, input)?;
        self.memory
            .forward(&self.graph, &self.store, &self.stages[index], &call, out)?;
        self.stages[index].cached_columns = step.position + step.columns;
        Ok(())
    }

    fn truncate(&mut self, columns: u32) {
        for stage in &mut self.stages {
            stage.cached_columns = stage.cached_columns.min(columns);
        }
    }

    fn resident_bytes(&self) -> u64 {
        (self.store.bytes() + self.memory.bytes()) as u64
    }
}

fn check_columns(class: NumericClass, step: &Step) -> Result<(), EngineError> {
    let allowed = match step.phase {
        Phase::Prefill => class.chunk_columns - step.position % class.chunk_columns,
        Phase::Decode => NumericClass::MAX_DECODE_COLUMNS,
    };
    if step.columns == 0 || step.columns > allowed {
        let Step {
            columns,
            position,
            phase,
            ..
        } = step;
        return Err(misuse(format!(
            "{columns} columns at position {position} are not a {phase:?} call"
        )));
    }
    match step.position.checked_add(step.columns) {
        Some(end) if end <= class.context_columns => Ok(()),
        end => Err(EngineError::ContextFull {
            position: end.unwrap_or(u32::MAX),
            context_columns: class.context_columns,
        }),
    }
}

/// A vector of defaults, or a typed error where the page has no memory for it.
fn zeroed<T: Clone + Default>(len: usize) -> Result<Vec<T>, EngineError> {
    let mut vector = Vec::new();
    let bytes = len as u64 * size_of::<T>() as u64;
    vector
        .try_reserve_exact(len)
        .map_err(|_| EngineError::OutOfMemory { bytes })?;
    vector.resize(len, T::default());
    Ok(vector)
}

fn misuse(detail: String) -> EngineError {
    EngineError::Misuse { detail }
}
