//! What the CPU and the GPU executor have in common: segments checked against the graph, calls checked against the segment,
//! and the count of weight rows that arrived.

mod arrivals;
mod call;
pub(crate) mod finite;
mod heads;
pub(crate) mod operands;
pub(crate) mod rotations;
mod stage;

pub(crate) use arrivals::Arrivals;
pub(crate) use call::{Call, Memory, max_columns};
pub(crate) use heads::Heads;
pub(crate) use rotations::Rotations;
pub(crate) use stage::{Buffers, Demand, OUT, Reuse, Stage, stages};

use model::{Graph, Op, Weight, WeightId};

use crate::EngineError;

/// A weight of the graph.
///
/// # Errors
/// None of that number.
pub(crate) fn weight(graph: &Graph, id: WeightId) -> Result<&Weight, EngineError> {
    graph
        .weights
        .get(id.0 as usize)
        .ok_or_else(|| misuse(format!("the model has no weight number {}", id.0)))
}

/// An op that this executor does not run.
pub(crate) fn without_kernel(op: &Op) -> EngineError {
    misuse(format!("no kernel here for {op:?}"))
}

/// A call that contradicts the setup.
pub(crate) fn misuse(detail: String) -> EngineError {
    EngineError::Misuse { detail }
}
