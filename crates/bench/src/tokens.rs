//! A whole model on one executor: tokens per second of prompt and answer.

use std::sync::Arc;

use engine::{EngineError, Executor, Input, Phase, Setup, Step, Want, synthetic};
use model::{Graph, NumericClass, UnitRange, WireDtype};
use serde::{Deserialize, Serialize};

/// Prefill chunk.
pub(crate) const CHUNK_COLUMNS: u32 = NumericClass::DEFAULT_CHUNK_COLUMNS;
/// Columns of the prompt.
const PROMPT_COLUMNS: u32 = 256;
/// Columns of the answer.
const ANSWER_COLUMNS: u32 = 32;

/// Speed of the model as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenSpeed {
    /// Weight bytes.
    pub weight_bytes: u64,
    /// What the executor says it holds.
    pub resident_bytes: u64,
    /// Columns of the prompt.
    pub prompt_columns: u32,
    /// Of the prompt.
    pub prefill_tokens_per_s: f64,
    /// Of the answer, behind the prompt.
    pub decode_tokens_per_s: f64,
    /// Of a GPU.
    pub dispatches_per_token: Option<u64>,
    /// Of those, what one more layer adds, with the kernels for hardware and with those for software adapters.
    pub dispatches_per_layer: Option<[u64; 2]>,
    /// Buffers, bind groups, pipelines and so on that a token creates on a GPU.
    pub objects_per_token: Option<u64>,
}

/// A prompt and an answer; the executor is returned for more.
///
/// # Errors
/// Whatever the executor says.
pub async fn measure<E: Executor>(
    graph: &Graph,
    make: &impl AsyncFn(Setup) -> Result<E, EngineError>,
    now_ms: &impl Fn() -> f64,
) -> Result<(TokenSpeed, E), EngineError> {
    let stage = every_unit(graph);
    let graph = Arc::new(graph.clone());
    let mut executor = make(Setup {
        graph: Arc::clone(&graph),
        stages: vec![stage],
        class: NumericClass {
            wire: WireDtype::F16Scaled,
            chunk_columns: CHUNK_COLUMNS,
            context_columns: PROMPT_COLUMNS + ANSWER_COLUMNS,
        },
        slots: 1,
    })
    .await?;
    synthetic::load(&mut executor, &graph, &[stage])?;
    executor.finish_loading().await?;
    let prompt = synthetic::tokens(&graph, PROMPT_COLUMNS);
    let mut out = Vec::new();
    let mut run = async |position, tokens: &[u32], phase, want| {
        let step = Step {
            stage,
            slot: 0,
            position,
            columns: tokens.len() as u32,
            phase,
            want,
        };
        executor.run(&step, Input::Tokens(tokens), &mut out).await
    };
    // Warms up.
    run(0, &prompt[..1], Phase::Prefill, Want::LastColumn).await?;
    let start = now_ms();
    let mut position = 0;
    for chunk in prompt.chunks(CHUNK_COLUMNS as usize) {
        let last = position + CHUNK_COLUMNS >= PROMPT_COLUMNS;
        let want = if last {
            Want::LastColumn
        } else {
            Want::Nothing
        };
        run(position, chunk, Phase::Prefill, want).await?;
        position += chunk.len() as u32;
    }
    let prompt_ms = now_ms() - start;
    let start = now_ms();
    for (position, token) in (PROMPT_COLUMNS..).zip(&prompt[..ANSWER_COLUMNS as usize]) {
        run(position, &[*token], Phase::Decode, Want::LastColumn).await?;
    }
    let answer_ms = now_ms() - start;
    let speed = TokenSpeed {
        weight_bytes: model::segment::weight_bytes(&graph, &[stage]),
        resident_bytes: executor.resident_bytes(),
        prompt_columns: PROMPT_COLUMNS,
        prefill_tokens_per_s: f64::from(PROMPT_COLUMNS) / prompt_ms * 1e3,
        decode_tokens_per_s: f64::from(ANSWER_COLUMNS) / answer_ms * 1e3,
        dispatches_per_token: None,
        dispatches_per_layer: None,
        objects_per_token: None,
    };
    Ok((speed, executor))
}

/// The last token of the answer again.
///
/// # Errors
/// Whatever the executor says.
pub async fn one_more<E: Executor>(graph: &Graph, executor: &mut E) -> Result<(), EngineError> {
    let step = Step {
        stage: every_unit(graph),
        slot: 0,
        position: PROMPT_COLUMNS + ANSWER_COLUMNS - 1,
        columns: 1,
        phase: Phase::Decode,
        want: Want::LastColumn,
    };
    executor
        .run(&step, Input::Tokens(&[0]), &mut Vec::new())
        .await
}

fn every_unit(graph: &Graph) -> UnitRange {
    UnitRange {
        start: 0,
        end: graph.units.len() as u32,
    }
}
