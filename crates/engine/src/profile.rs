//! How long each kind of unit takes on this phone, with the kernels that will run.
//!
//! Measured on a miniature of the model with synthetic weights. Prompt chunks come back to back, as in a room; generated columns after
//! a rest, as they do where other phones compute in between: processors slow down when they have nothing to do. What a call
//! costs whatever it computes (submit and readback) is measured with the embedding, which computes next to nothing.

use std::{collections::BTreeMap, sync::Arc};

use model::{Graph, NumericClass, Unit, UnitKind, UnitRange, WeightId};

use crate::{
    EngineError, Executor, Input, Phase, Setup, Step, Want,
    miniature::{miniature, unit_kinds, unit_of_kind},
    synthetic,
};

/// Weight bytes of the measured attention and MLP units: enough to leave the nearest caches, little enough to be made quickly.
const BLOCK_BYTES: u64 = 24 << 20;
/// Copies of the attention and MLP units at most.
const MAX_COPIES: u64 = 12;
/// Rounds whose median counts.
const ROUNDS: usize = 5;
/// A round of chunks repeats its call for at least so long: browsers' clocks are coarse.
const CHUNKS_MS: f64 = 3.0;
/// The same for generated columns: hardly ever more than one call, which finds caches as cold as a token does.
const COLUMNS_MS: f64 = 0.5;
/// A short question and its answer, for comparisons.
const PROMPT_CHUNKS: f64 = 3.0;
const ANSWER_COLUMNS: f64 = 100.0;
/// How long each of their steps is repeated.
const ROUGHLY_MS: f64 = 15.0;
/// Chunks in the cache when attention is measured once more: what a cached column costs shows only behind many.
const LONG_CHUNKS: u32 = 8;

/// ms per unit and call of one executor.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineProfileNumbers {
    /// ms for one generated column behind an empty cache, by unit kind.
    pub decode_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// ms for [`NumericClass::MAX_DECODE_COLUMNS`] columns in one decode call behind an empty cache, by unit kind; empty where the context
    /// is too short for them.
    pub verify_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// ms for one full prefill chunk, by unit kind; the head runs for its last column only.
    pub chunk_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// What every cached column adds to one generated column of an attention unit, ms.
    pub attention_ms_per_cached_column: f64,
    /// ms per forward call whatever its length.
    pub ms_per_call: f64,
}

/// Measures the executor that `make` builds. The head's time is scaled from the miniature's vocabulary to the model's. `rest` waits about as
/// long as a phone of a room waits for the others.
///
/// # Errors
/// Whatever the executor says.
pub async fn measure<E: Executor>(
    graph: &Graph,
    class: NumericClass,
    make: impl AsyncFnOnce(Setup) -> Result<E, EngineError>,
    now_ms: impl Fn() -> f64,
    rest: impl AsyncFn(),
) -> Result<EngineProfileNumbers, EngineError> {
    let Measured {
        mut stopwatch,
        miniature,
        kinds,
        stages,
        columns,
    } = Measured::load(graph, class, make, now_ms, rest).await?;
    let embedding = UnitRange { start: 0, end: 1 };
    let ms_per_call = stopwatch.decode_ms(embedding, columns.few, 1).await?;
    let mut numbers = EngineProfileNumbers {
        decode_ms_per_unit: BTreeMap::new(),
        verify_ms_per_unit: BTreeMap::new(),
        chunk_ms_per_unit: BTreeMap::new(),
        attention_ms_per_cached_column: 0.0,
        ms_per_call,
    };
    let vocabulary_scale = f64::from(graph.vocabulary) / f64::from(miniature.vocabulary.max(1));
    for (kind, stage) in kinds.into_iter().zip(stages) {
        let (scale, want) = match kind {
            UnitKind::Head => (vocabulary_scale, Want::LastColumn),
            _ => (1.0, Want::EveryColumn),
        };
        let per_unit = |ms: f64| (ms - ms_per_call).max(0.0) * scale / f64::from(stage.len());
        let chunk_ms = per_unit(stopwatch.chunk_ms(stage, want).await?);
        let mut decode_ms = per_unit(stopwatch.decode_ms(stage, columns.few, 1).await?);
        let mut verify_ms = match columns.verify {
            0 => 0.0,
            several => per_unit(stopwatch.decode_ms(stage, columns.few, several).await?),
        };
        if kind == UnitKind::Attention && columns.many > columns.few {
            let long_ms = per_unit(stopwatch.decode_ms(stage, columns.many, 1).await?);
            let cached_ms = (long_ms - decode_ms).max(0.0) / f64::from(columns.many - columns.few);
            let few_ms = cached_ms * f64::from(columns.few);
            decode_ms = (decode_ms - few_ms).max(0.0);
            verify_ms = (verify_ms - few_ms * f64::from(columns.verify)).max(0.0);
            numbers.attention_ms_per_cached_column = cached_ms;
        }
        numbers.chunk_ms_per_unit.insert(kind, chunk_ms);
        numbers.decode_ms_per_unit.insert(kind, decode_ms);
        if columns.verify > 0 {
            numbers.verify_ms_per_unit.insert(kind, verify_ms);
        }
    }
    Ok(numbers)
}

/// How long a short answer takes in a block of the model, ms: [`PROMPT_CHUNKS`] chunks of prompt and [`ANSWER_COLUMNS`] generated
/// columns, back to back. Quicker than [`measure`] and good enough to compare variants of an executor.
///
/// # Errors
/// Whatever the executor says.
pub async fn short_answer_ms<E: Executor>(
    graph: &Graph,
    class: NumericClass,
    make: impl AsyncFnOnce(Setup) -> Result<E, EngineError>,
    now_ms: impl Fn() -> f64,
) -> Result<f64, EngineError> {
    let Measured {
        mut stopwatch,
        kinds,
        stages,
        columns,
        ..
    } = Measured::load(graph, class, make, now_ms, async || {}).await?;
    let mut answer_ms = 0.0;
    for (kind, stage) in kinds.into_iter().zip(stages) {
        if matches!(kind, UnitKind::Embedding | UnitKind::Head) {
            continue;
        }
        let chunk = stopwatch.chunk_step(stage, Want::EveryColumn);
        let column = decode_step(stage, columns.few, 1);
        for (step, times) in [(chunk, PROMPT_CHUNKS), (column, ANSWER_COLUMNS)] {
            stopwatch.call(&step).await?;
            let ms = stopwatch.round_ms(&step, ROUGHLY_MS).await?;
            answer_ms += times * ms / f64::from(stage.len());
        }
    }
    Ok(answer_ms)
}

/// A loaded miniature, and what to measure with it.
struct Measured<E, Now, Rest> {
    stopwatch: Stopwatch<E, Now, Rest>,
    miniature: Arc<Graph>,
    kinds: Vec<UnitKind>,
    /// One for the units of each kind.
    stages: Vec<UnitRange>,
    columns: Columns,
}

impl<E: Executor, Now: Fn() -> f64, Rest: AsyncFn()> Measured<E, Now, Rest> {
    async fn load(
        graph: &Graph,
        class: NumericClass,
        make: impl AsyncFnOnce(Setup) -> Result<E, EngineError>,
        now_ms: Now,
        rest: Rest,
    ) -> Result<Self, EngineError> {
        let miniature = Arc::new(miniature(graph, copies(graph)?)?);
        let stages = stages(&miniature);
        let columns = Columns::of(class);
        let setup = Setup {
            graph: Arc::clone(&miniature),
            stages: stages.clone(),
            class: NumericClass {
                context_columns: columns.context,
                ..class
            },
            slots: 1,
        };
        let mut executor = make(setup).await?;
        synthetic::load(&mut executor, &miniature, &stages)?;
        executor.finish_loading().await?;
        let stopwatch = Stopwatch {
            executor,
            now_ms,
            rest,
            chunk_columns: class.chunk_columns,
            hidden_width: miniature.hidden_width as usize,
            tokens: synthetic::tokens(&miniature, class.chunk_columns),
            hidden: synthetic::hidden(&miniature, class.chunk_columns),
            out: Vec::new(),
        };
        Ok(Self {
            stopwatch,
            miniature,
            kinds: unit_kinds(graph)?,
            stages,
            columns,
        })
    }
}

/// How many columns there are to measure with, as far as the class has room for them.
struct Columns {
    /// Cached for most measurements: a chunk.
    few: u32,
    /// Cached where the price of a cached column is measured.
    many: u32,
    /// Generated at once; 0: there is no room.
    verify: u32,
    context: u32,
}

impl Columns {
    fn of(class: NumericClass) -> Self {
        let most = NumericClass::MAX_DECODE_COLUMNS;
        let chunk = class.chunk_columns.max(1);
        let longest = LONG_CHUNKS.saturating_mul(chunk).saturating_add(most);
        let context = class.context_columns.min(longest);
        let few = chunk.min(context.saturating_sub(1));
        let many = (context.saturating_sub(most) / chunk * chunk).max(few);
        let verify = if few.saturating_add(most) <= context {
            most
        } else {
            0
        };
        Self {
            few,
            many,
            verify,
            context,
        }
    }
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

/// Generated columns after so many cached ones.
const fn decode_step(stage: UnitRange, cached: u32, columns: u32) -> Step {
    Step {
        stage,
        slot: 0,
        position: cached,
        columns,
        phase: Phase::Decode,
        want: if columns > 1 {
            Want::EveryColumn
        } else {
            Want::LastColumn
        },
    }
}

struct Stopwatch<E, Now, Rest> {
    executor: E,
    now_ms: Now,
    rest: Rest,
    chunk_columns: u32,
    hidden_width: usize,
    /// One chunk of each kind of input.
    tokens: Vec<u32>,
    hidden: Vec<f32>,
    out: Vec<f32>,
}

impl<E: Executor, Now: Fn() -> f64, Rest: AsyncFn()> Stopwatch<E, Now, Rest> {
    /// One full chunk from position 0 on.
    async fn chunk_ms(&mut self, stage: UnitRange, want: Want) -> Result<f64, EngineError> {
        let step = self.chunk_step(stage, want);
        self.median_ms(&step).await
    }

    const fn chunk_step(&self, stage: UnitRange, want: Want) -> Step {
        Step {
            stage,
            slot: 0,
            position: 0,
            columns: self.chunk_columns,
            phase: Phase::Prefill,
            want,
        }
    }

    /// Generated columns after so many cached ones.
    async fn decode_ms(
        &mut self,
        stage: UnitRange,
        cached: u32,
        columns: u32,
    ) -> Result<f64, EngineError> {
        self.fill(stage, cached).await?;
        self.median_ms(&decode_step(stage, cached, columns)).await
    }

    /// ms per call: chunks back to back, generated columns after a rest.
    async fn median_ms(&mut self, step: &Step) -> Result<f64, EngineError> {
        self.call(step).await?;
        let mut rounds = [0.0; ROUNDS];
        for round in &mut rounds {
            *round = match step.phase {
                Phase::Prefill => self.round_ms(step, CHUNKS_MS).await?,
                Phase::Decode => {
                    (self.rest)().await;
                    self.round_ms(step, COLUMNS_MS).await?
                }
            };
        }
        rounds.sort_by(f64::total_cmp);
        Ok(rounds[ROUNDS / 2])
    }

    /// Puts columns in the cache, chunk by chunk.
    async fn fill(&mut self, stage: UnitRange, cached: u32) -> Result<(), EngineError> {
        let mut position = 0;
        while position < cached {
            let columns = self.chunk_columns.min(cached - position);
            self.call(&Step {
                stage,
                slot: 0,
                position,
                columns,
                phase: Phase::Prefill,
                want: Want::Nothing,
            })
            .await?;
            position += columns;
        }
        Ok(())
    }

    /// ms per call of a round that takes `least_ms` or longer.
    async fn round_ms(&mut self, step: &Step, least_ms: f64) -> Result<f64, EngineError> {
        let start = (self.now_ms)();
        let mut calls = 0.0;
        let mut elapsed_ms = 0.0;
        while elapsed_ms < least_ms {
            self.call(step).await?;
            calls += 1.0;
            elapsed_ms = (self.now_ms)() - start;
        }
        Ok(elapsed_ms / calls)
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
