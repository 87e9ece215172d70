//! The one interface of CPU and GPU executors.

use std::sync::Arc;

use model::{EngineKind, Graph, NumericClass, UnitRange, WeightId};

use crate::EngineError;

/// What an executor is built for; nothing of it changes afterwards.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The model.
    pub graph: Arc<Graph>,
    /// Unit ranges this member runs, ascending, disjoint. A host usually has two: its first units and the head.
    pub stages: Vec<UnitRange>,
    /// Rounding, chunk grid, static KV columns.
    pub class: NumericClass,
    /// Requests whose KV is held at the same time, each in a slot of its own; at least one.
    pub slots: u32,
}

/// Which kernels run: prompt columns and generated columns never share one (numeric contract, rule 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Columns of one chunk of the absolute grid: position .. at most the next multiple of `chunk_columns`.
    Prefill,
    /// 1..=8 generated columns; one reduction order for every count.
    Decode,
}

/// Which columns of the last value are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// All of them.
    EveryColumn,
    /// Only the last: before the head no other is needed. The head itself then runs for that column only.
    LastColumn,
    /// None: only the KV rows are wanted.
    Nothing,
}

/// One forward call of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// One of [`Setup::stages`].
    pub stage: UnitRange,
    /// Whose KV: below [`Setup::slots`].
    pub slot: u32,
    /// Absolute position of the first column; equals the columns cached in the slot so far, or less (then the cache is cut back first).
    pub position: u32,
    /// Columns in this call.
    pub columns: u32,
    /// Kernels to use.
    pub phase: Phase,
    /// Columns to return.
    pub want: Want,
}

/// What enters a stage.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Token ids, one per column; the stage starts with the embedding.
    Tokens(&'a [u32]),
    /// columns x hidden_width residual stream, already rounded to the wire dtype.
    Hidden(&'a [f32]),
}

/// Runs a segment: loaded once, then stepped. Single threaded; futures need not be `Send`.
#[allow(async_fn_in_trait)]
pub trait Executor {
    /// CPU or GPU.
    fn kind(&self) -> EngineKind;

    /// Stores whole rows of a weight in file layout; rows may come in any order, in pieces of any number of whole rows.
    ///
    /// # Errors
    /// A weight no stage reads, rows outside it, or bytes that are not whole rows.
    fn put_rows(
        &mut self,
        weight: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError>;

    /// Checks that every row of every needed weight arrived and makes the executor ready (pipelines compiled, KV allocated).
    ///
    /// # Errors
    /// Missing rows, out of memory, device lost.
    async fn finish_loading(&mut self) -> Result<(), EngineError>;

    /// Runs one stage. `out` is cleared and filled with the wanted columns of the stage's last value
    /// (hidden_width, or vocabulary after the head), already rounded to the wire dtype at the cut. Its capacity is reused.
    ///
    /// # Errors
    /// Not loaded, unknown stage or slot, a gap or overflow in the KV cache, wrong input length, device lost.
    async fn run(
        &mut self,
        step: &Step,
        input: Input<'_>,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError>;

    /// Takes an encoder's output (columns x hidden_width, at most a chunk, rounded to the wire dtype) for a stage of its decoder, which
    /// attends to it until the next one comes for the slot. Only executors that run such models have it.
    ///
    /// # Errors
    /// A stage that attends to no such thing, an unknown slot, or numbers that are none.
    async fn remember(
        &mut self,
        stage: UnitRange,
        slot: u32,
        memory: &[f32],
    ) -> Result<(), EngineError> {
        let detail = format!(
            "{} numbers for units {stage:?} in slot {slot}, where no encoder's output is attended to",
            memory.len()
        );
        Err(EngineError::Misuse { detail })
    }

    /// Forgets cached columns from `columns` on, in every stage and slot.
    fn truncate(&mut self, columns: u32);

    /// Bytes held for weights, KV and scratch.
    fn resident_bytes(&self) -> u64;
}
