//! Golden self-test: a phone compares the kernels it will use with the CPU's before it is given units.

use std::sync::Arc;

use model::{Graph, NumericClass, UnitRange, WireDtype};

use crate::{
    CpuExecutor, EngineError, Executor, Input, Phase, Setup, Step, Want, miniature::miniature,
    synthetic,
};

/// Tests the executor that `make` builds on a miniature of the model, and returns its largest error.
///
/// # Errors
/// [`EngineError::SelfTest`] where the numbers differ; whatever the executor says.
pub async fn run<E: Executor>(
    graph: &Graph,
    class: NumericClass,
    make: impl AsyncFnOnce(Setup) -> Result<E, EngineError>,
) -> Result<f32, EngineError> {
    let graph = Arc::new(miniature(graph, 1)?);
    let head = graph.units.len() as u32 - 1;
    let stages = vec![
        UnitRange {
            start: 0,
            end: head,
        },
        UnitRange {
            start: head,
            end: head + 1,
        },
    ];
    // Two chunks and a few generated columns.
    let context_columns = class
        .context_columns
        .min(2 * class.chunk_columns + NumericClass::MAX_DECODE_COLUMNS);
    let setup = Setup {
        graph,
        stages,
        class: NumericClass {
            context_columns,
            ..class
        },
        slots: 1,
    };
    let mut candidate = make(setup.clone()).await?;
    let mut reference = CpuExecutor::new(setup.clone())?;
    load(&mut candidate, &setup).await?;
    load(&mut reference, &setup).await?;
    compare(&mut candidate, &mut reference, &setup).await
}

async fn load(executor: &mut impl Executor, setup: &Setup) -> Result<(), EngineError> {
    synthetic::load(executor, &setup.graph, &setup.stages)?;
    executor.finish_loading().await
}

/// Runs both executors, loaded with the same weights for `setup`, through prefill and decode of every stage.
/// Each stage is given the reference's inputs. Returns the largest difference relative to the largest value of its call.
///
/// # Errors
/// [`EngineError::SelfTest`] where a difference exceeds [`bound`]; whatever the executors say.
pub async fn compare(
    candidate: &mut impl Executor,
    reference: &mut CpuExecutor,
    setup: &Setup,
) -> Result<f32, EngineError> {
    let mut largest_error = 0.0_f32;
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for (position, columns, phase) in calls(setup.class) {
        let tokens = synthetic::tokens(&setup.graph, position + columns);
        let mut hidden = synthetic::hidden(&setup.graph, columns);
        for stage in &setup.stages {
            let step = Step {
                stage: *stage,
                slot: 0,
                position,
                columns,
                phase,
                want: Want::EveryColumn,
            };
            let input = if stage.start == 0 {
                Input::Tokens(&tokens[position as usize..])
            } else {
                Input::Hidden(&hidden)
            };
            reference.run(&step, input, &mut expected).await?;
            candidate.run(&step, input, &mut found).await?;
            largest_error = largest_error.max(relative_error(&expected, &found));
            if stage.end as usize != setup.graph.units.len() {
                hidden.clone_from(&expected);
            }
        }
    }
    if largest_error <= bound(setup.class.wire) {
        Ok(largest_error)
    } else {
        Err(EngineError::SelfTest {
            largest_error: format!("{largest_error:.1e}"),
        })
    }
}

/// Largest difference allowed, relative to the largest value: 1e-3, and where the wire rounds to halves, two of their steps more.
pub const fn bound(wire: WireDtype) -> f32 {
    match wire {
        WireDtype::F32 => 1e-3,
        WireDtype::F16Scaled => 1e-3 + 2.0 / 1024.0,
    }
}

/// A whole chunk, a part of one, one generated column, several: (position, columns, phase), as far as the context reaches.
fn calls(class: NumericClass) -> impl Iterator<Item = (u32, u32, Phase)> {
    let chunk = class.chunk_columns;
    let part = chunk.div_ceil(2);
    let calls = [
        (0, chunk, Phase::Prefill),
        (chunk, part, Phase::Prefill),
        (chunk + part, 1, Phase::Decode),
        (chunk + part + 1, 5, Phase::Decode),
    ];
    calls
        .into_iter()
        .filter(move |(position, columns, _)| position + columns <= class.context_columns)
}

/// Infinite where the shapes differ or a value is not a number.
fn relative_error(expected: &[f32], found: &[f32]) -> f32 {
    let scale = expected
        .iter()
        .fold(f32::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    let differences = expected
        .iter()
        .zip(found)
        .map(|(expected, found)| (expected - found).abs());
    let comparable = expected.len() == found.len()
        && found.iter().chain(expected).all(|value| value.is_finite());
    if comparable {
        differences.fold(0.0, f32::max) / scale
    } else {
        f32::INFINITY
    }
}
