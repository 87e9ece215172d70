//! The golden self-test lets a right executor in and keeps a wrong one out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::cell::Cell;

use common::llama::{Shape, llama};
use engine::{
    CpuExecutor, EngineError, Executor, Input, Phase, Setup, Step,
    choice::{self, Candidates, Choice},
    self_test,
};
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

/// A variant by how wrong it is, and by how long its calls take.
type Variant = (f32, f64);

fn choose(compared: &[Variant], otherwise: &[Variant]) -> Result<Choice<Variant>, EngineError> {
    let now_ms = Cell::new(0.0);
    let make = async |(spoilt_by, call_ms): Variant, setup: Setup| {
        let now_ms = &now_ms;
        Ok(Faulty {
            executor: CpuExecutor::new(setup)?,
            spoil: move |_: &Step, out: &mut Vec<f32>| {
                now_ms.set(now_ms.get() + call_ms);
                let by = spoilt_by * largest(out);
                out.iter_mut()
                    .skip(5)
                    .take(1)
                    .for_each(|wrong| *wrong += by);
            },
        })
    };
    let candidates = Candidates {
        compared: compared.to_vec(),
        otherwise: otherwise.to_vec(),
    };
    let graph = llama(Shape::ODD);
    block_on(choice::choose(&graph, CLASS, &candidates, make, || {
        now_ms.get()
    }))
}

#[test]
fn the_fastest_right_variant_is_taken() {
    let (usual, faster, wrong) = ((0.0, 5.0), (0.0, 3.0), (0.01, 1.0));
    let hardly_faster = (0.0, 4.7);
    let variant = |compared: &[Variant]| choose(compared, &[]).unwrap().variant;
    assert_eq!(variant(&[usual]), usual);
    assert_eq!(variant(&[usual, faster]), faster);
    assert_eq!(variant(&[faster, usual]), faster);
    assert_eq!(variant(&[usual, hardly_faster]), usual);
    let choice = choose(&[usual, wrong, faster], &[]).unwrap();
    assert_eq!(choice.variant, faster);
    let [(refused, error)] = &choice.refused[..] else {
        panic!("{:?}", choice.refused);
    };
    assert_eq!((*refused, error.code()), (wrong, "engine.self_test"));
}

#[test]
fn others_take_the_place_of_wrong_ones() {
    let (right, wrong) = ((0.0, 5.0), (0.01, 1.0));
    let choice = choose(&[wrong, wrong], &[wrong, right]).unwrap();
    assert_eq!((choice.variant, choice.refused.len()), (right, 3));
    let error = choose(&[wrong], &[wrong]).unwrap_err();
    assert_eq!(error.code(), "engine.self_test");
    assert_eq!(choose(&[], &[]).unwrap_err().code(), "engine.misuse");
}
