//! How long each kind of unit takes on this phone, with the kernels that will run.
//!
//! Measured on a miniature of the model with synthetic weights, back to back, early in the context. What a call costs whatever
//! it computes (submit and readback) is measured with the embedding, which computes next to nothing.

use std::{collections::BTreeMap, sync::Arc};

use model::{Graph, NumericClass, Unit, UnitKind, UnitRange, WeightId};

use crate::{
    EngineError, Executor, Input, Phase, Setup, Step, Want,
    miniature::{miniature, unit_kinds, unit_of_kind},
    synthetic,
};

/// Weight bytes of the measured attention and MLP units: enough to leave the nearest caches, little enough to be made quickly.
const BLOCK_BYTES: u64 = 12 << 20;
/// Copies of the attention and MLP units at most.
const MAX_COPIES: u64 = 4;
/// Rounds whose median counts.
const ROUNDS: usize = 3;
/// A round repeats its call for at least so long: browsers' clocks are coarse.
const ROUND_MS: f64 = 5.0;

/// ms per unit and call of one executor.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineProfileNumbers {
    /// ms for one generated column, by unit kind.
    pub decode_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// ms for one full prefill chunk, by unit kind; the head runs for its last column only.
    pub chunk_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// ms per forward call whatever its length.
    pub ms_per_call: f64,
}

/// Measures the executor that `make` builds. The head's time is scaled from the miniature's vocabulary to the model's.
///
/// # Errors
/// Whatever the executor says.
pub async fn measure<E: Executor>(
    graph: &Graph,
    class: NumericClass,
    make: impl AsyncFnOnce(Setup) -> Result<E, EngineError>,
    now_ms: impl Fn() -> f64,
) -> Result<EngineProfileNumbers, EngineError> {
    let copies = copies(graph)?;
    let miniature = Arc::new(miniature(graph, copies)?);
    let kinds = unit_kinds(graph)?;
    let stages = stages(&miniature);
    let embedding = UnitRange { start: 0, end: 1 };
    let class = NumericClass {
        context_columns: class.context_columns.min(class.chunk_columns + 1),
        ..class
    };
    let setup = Setup {
        graph: Arc::clone(&miniature),
        stages: stages.clone(),
        class,
        slots: 1,
    };
    let mut executor = make(setup).await?;
    synthetic::load(&mut executor, &miniature, &stages)?;
    executor.finish_loading().await?;

    let mut stopwatch = Stopwatch {
        executor,
        now_ms,
        class,
        hidden_width: miniature.hidden_width as usize,
        tokens: synthetic::tokens(&miniature, class.chunk_columns),
        hidden: synthetic::hidden(&miniature, class.chunk_columns),
        out: Vec::new(),
    };
    let mut numbers = EngineProfileNumbers {
        decode_ms_per_unit: BTreeMap::new(),
        chunk_ms_per_unit: BTreeMap::new(),
        ms_per_call: stopwatch.decode_ms(embedding).await?,
    };
    let vocabulary_scale = f64::from(graph.vocabulary) / f64::from(miniature.vocabulary.max(1));
    for (kind, stage) in kinds.into_iter().zip(stages) {
        let scale = if kind == UnitKind::Head {
            vocabulary_scale
        } else {
            1.0
        };
        let per_unit =
            |ms: f64| (ms - numbers.ms_per_call).max(0.0) * scale / f64::from(stage.len());
        let want = if kind == UnitKind::Head {
            Want::LastColumn
        } else {
            Want::EveryColumn
        };
        let chunk_ms = per_unit(stopwatch.chunk_ms(stage, want).await?);
        let decode_ms = per_unit(stopwatch.decode_ms(stage).await?);
        numbers.chunk_ms_per_unit.insert(kind, chunk_ms);
        numbers.decode_ms_per_unit.insert(kind, decode_ms);
    }
    Ok(numbers)
}

/// How many attention and MLP units to measure together.
fn copies(graph: &Graph) -> Result<u32, EngineError> {
    let mut bytes = 0;
    for kind in unit_kinds(graph)? {
        if matches!(kind, UnitKind::Embedding | UnitKind::Head) {
            continue;
        }
        let weight_bytes = |id: &WeightId| {
            graph
                .weights
                .get(id.0 as usize)
                .map(|weight| weight.range.end - weight.range.start)
        };
        bytes += unit_of_kind(graph, kind)?
            .weights
            .iter()
            .filter_map(weight_bytes)
            .sum::<u64>();
    }
    Ok((BLOCK_BYTES / bytes.max(1)).clamp(1, MAX_COPIES) as u32)
}

/// One stage for the units of each kind.
fn stages(miniature: &Graph) -> Vec<UnitRange> {
    let mut start = 0;
    let runs = miniature
        .units
        .chunk_by(|unit, next| unit.kind == next.kind);
    let stage = |units: &[Unit]| {
        let range = UnitRange {
            start,
            end: start + units.len() as u32,
        };
        start = range.end;
        range
    };
    runs.map(stage).collect()
}

struct Stopwatch<E, Now> {
    executor: E,
    now_ms: Now,
    class: NumericClass,
    hidden_width: usize,
    /// One chunk of each kind of input.
    tokens: Vec<u32>,
    hidden: Vec<f32>,
    out: Vec<f32>,
}

impl<E: Executor, Now: Fn() -> f64> Stopwatch<E, Now> {
    /// One full chunk from position 0 on.
    async fn chunk_ms(&mut self, stage: UnitRange, want: Want) -> Result<f64, EngineError> {
        let columns = self.class.chunk_columns;
        self.median_ms(Step {
            stage,
            slot: 0,
            position: 0,
            columns,
            phase: Phase::Prefill,
            want,
        })
        .await
    }

    /// One generated column after that chunk.
    async fn decode_ms(&mut self, stage: UnitRange) -> Result<f64, EngineError> {
        let position = self.class.context_columns - 1;
        if position > 0 {
            let want = Want::Nothing;
            self.call(&Step {
                stage,
                slot: 0,
                position: 0,
                columns: position,
                phase: Phase::Prefill,
                want,
            })
            .await?;
        }
        self.median_ms(Step {
            stage,
            slot: 0,
            position,
            columns: 1,
            phase: Phase::Decode,
            want: Want::LastColumn,
        })
        .await
    }

    async fn median_ms(&mut self, step: Step) -> Result<f64, EngineError> {
        self.call(&step).await?;
        let mut rounds = [0.0; ROUNDS];
        for round in &mut rounds {
            let start = (self.now_ms)();
            let mut calls = 0.0;
            let mut elapsed_ms = 0.0;
            while elapsed_ms < ROUND_MS {
                self.call(&step).await?;
                calls += 1.0;
                elapsed_ms = (self.now_ms)() - start;
            }
            *round = elapsed_ms / calls;
        }
        rounds.sort_by(f64::total_cmp);
        Ok(rounds[ROUNDS / 2])
    }

    async fn call(&mut self, step: &Step) -> Result<(), EngineError> {
        let columns = step.columns as usize;
        let input = if step.stage.start == 0 {
            Input::Tokens(&self.tokens[..columns])
        } else {
            Input::Hidden(&self.hidden[..columns * self.hidden_width])
        };
        self.executor.run(step, input, &mut self.out).await
    }
}
