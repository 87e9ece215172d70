//! How fast an executor is on this machine: one matrix kernel at a time, and a whole model with made-up weights.
//!
//! Speed does not depend on what the weights are, so only a model file's header is needed.

#[cfg(target_arch = "wasm32")]
mod javascript;
mod kernels;
mod tokens;

use engine::{EngineError, Executor, Setup};
use model::{Graph, ModelError, arch, gguf};
use serde::{Deserialize, Serialize};

pub use kernels::KernelSpeed;
pub use tokens::TokenSpeed;

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Matrix products of the model, by shape and columns.
    pub kernels: Vec<KernelSpeed>,
    /// The model as a whole.
    pub tokens: TokenSpeed,
}

/// Measures the executors that `make` builds. `now_ms` counts up; CPU time where others use the machine too.
///
/// # Errors
/// Whatever the executor says.
pub async fn measure<E: Executor>(
    graph: &Graph,
    make: impl AsyncFn(Setup) -> Result<E, EngineError>,
    now_ms: impl Fn() -> f64,
) -> Result<Report, EngineError> {
    Ok(Report {
        kernels: kernels::measure(graph, &make, &now_ms).await?,
        tokens: tokens::measure(graph, &make, &now_ms).await?,
    })
}

/// The model of a file, from a prefix of it that holds the whole header.
///
/// # Errors
/// No header of a model that can run.
pub fn graph(header: &[u8]) -> Result<Graph, ModelError> {
    match gguf::parse(header, None)? {
        gguf::Progress::Done(header) => arch::build(&header),
        gguf::Progress::NeedMore { .. } => Err(ModelError::NotGguf),
    }
}
