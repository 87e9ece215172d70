//! The golden self-test lets a right executor in and keeps a wrong one out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use common::llama::{Shape, llama};
use engine::{CpuExecutor, EngineError, Executor, Input, Phase, Setup, Step, self_test};
use model::{EngineKind, NumericClass, UnitRange, WeightId, WireDtype};
use pollster::block_on;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 32,
    context_columns: 512,
};

/// The CPU executor with a fault.
struct Faulty<F> {
    executor: CpuExecutor,
    spoil: F,
}

impl<F: Fn(&Step, &mut Vec<f32>)> Executor for Faulty<F> {
    fn kind(&self) -> EngineKind {
        EngineKind::Gpu
    }

    fn put_rows(
        &mut self,
        weight: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        self.executor.put_rows(weight, first_row, bytes)
    }

    async fn finish_loading(&mut self) -> Result<(), EngineError> {
        self.executor.finish_loading().await
    }

    async fn run(
        &mut self,
        step: &Step,
        input: Input<'_>,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        self.executor.run(step, input, out).await?;
        (self.spoil)(step, out);
        Ok(())
    }

    fn truncate(&mut self, columns: u32) {
        self.executor.truncate(columns);
    }

    fn resident_bytes(&self) -> u64 {
        self.executor.resident_bytes()
    }
}

fn tested(spoil: impl Fn(&Step, &mut Vec<f32>)) -> Result<f32, EngineError> {
    let make = async |setup: Setup| {
        Ok(Faulty {
            executor: CpuExecutor::new(setup)?,
            spoil,
        })
    };
    block_on(self_test::run(&llama(Shape::ODD), CLASS, make))
}

fn largest(values: &[f32]) -> f32 {
    values
        .iter()
        .fold(0.0, |largest, value| value.abs().max(largest))
}

#[test]
fn a_right_executor_passes() {
    assert_eq!(tested(|_, _| {}), Ok(0.0));
    let close = tested(|_, out| out[5] += 0.0009 * largest(out)).unwrap();
    assert!((0.0005..0.001).contains(&close), "{close}");
}

#[test]
fn a_wrong_executor_is_refused() {
    let spoilt: [fn(&Step, &mut Vec<f32>); 7] = [
        |step, out| {
            if step.position == 0 && step.stage.start == 0 {
                out[5] += 0.0012 * largest(out);
            }
        },
        |_, out| out[5] += 0.0012 * largest(out),
        |_, out| out[0] = f32::NAN,
        |_, out| out.iter_mut().for_each(|value| *value = 0.0),
        |_, out| out.truncate(3),
        |step, out| {
            if step.phase == Phase::Decode {
                out[7] = 2.0 * largest(out)
            }
        },
        |step, out| {
            if step.stage == (UnitRange { start: 3, end: 4 }) {
                out.rotate_left(1)
            }
        },
    ];
    for (index, spoil) in spoilt.into_iter().enumerate() {
        let error = tested(spoil).unwrap_err();
        assert_eq!(error.code(), "engine.self_test", "fault {index}: {error}");
    }
}

#[test]
fn the_next_variant_takes_the_place_of_a_wrong_one() {
    let first_right = |variants: &[f32]| {
        let make = async |spoilt_by: f32, setup: Setup| {
            Ok(Faulty {
                executor: CpuExecutor::new(setup)?,
                spoil: move |_: &Step, out: &mut Vec<f32>| out[5] += spoilt_by * largest(out),
            })
        };
        block_on(self_test::first_right(
            &llama(Shape::ODD),
            CLASS,
            variants,
            make,
        ))
    };
    let passed = first_right(&[0.01, 0.0, 0.02]).unwrap();
    assert_eq!(passed.variant, 0.0);
    let [(wrong, error)] = &passed.refused[..] else {
        panic!("{:?}", passed.refused);
    };
    assert_eq!((*wrong, error.code()), (0.01, "engine.self_test"));
    assert_eq!(first_right(&[0.0, 0.01]).unwrap().refused.len(), 0);
    assert_eq!(
        first_right(&[0.01, 0.02]).unwrap_err().code(),
        "engine.self_test"
    );
}
