//! Rows of any bytes in every storage type: taken or refused, never a panic, and finite numbers out of what was taken.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::sync::Arc;

use common::every_op::every_op;
use engine::{CpuExecutor, Executor, Input, Phase, Setup, Step, Want};
use model::{DType, Graph, NumericClass, UnitRange, WeightId, WireDtype};
use pollster::block_on;
use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const DTYPES: [DType; 10] = [
    DType::F16,
    DType::BF16,
    DType::Q8_0,
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
];

const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 4,
    context_columns: 8,
};

/// The first unit of a graph of every op, and the id of its table.
fn embedding(dtype: DType) -> (CpuExecutor, Arc<Graph>, WeightId, UnitRange) {
    let graph = Arc::new(every_op(dtype));
    let stage = UnitRange { start: 0, end: 1 };
    let setup = Setup {
        graph: graph.clone(),
        stages: vec![stage],
        class: CLASS,
        slots: 1,
    };
    let id = *graph.units[0].weights.last().unwrap();
    (CpuExecutor::new(setup).unwrap(), graph, id, stage)
}

/// Clears one bit of the exponent of every number in front of quants.
fn made_finite(dtype: DType, bytes: &mut [u8]) {
    let halves = match dtype {
        DType::BF16 => &[0],
        _ => dtype.halves(),
    };
    for block in bytes.chunks_exact_mut(dtype.block_bytes() as usize) {
        halves.iter().for_each(|at| block[at + 1] &= 0xbf);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(3),
        ..ProptestConfig::with_cases(200)
    })]

    #[test]
    fn any_bytes_are_taken_or_refused(
        dtype in prop::sample::select(&DTYPES[..]),
        bytes in vec(any::<u8>(), 0..4000),
        first_row in prop_oneof![0..4_u32, any::<u32>()],
    ) {
        let (mut executor, _, id, _) = embedding(dtype);
        if let Err(error) = executor.put_rows(id, first_row, &bytes) {
            prop_assert!(["engine.misuse", "engine.not_finite"].contains(&error.code()));
        }
        prop_assert!(executor.put_rows(WeightId(u32::MAX), 0, &bytes).is_err());
    }

    #[test]
    fn any_blocks_of_finite_scales_are_finite_numbers(
        dtype in prop::sample::select(&DTYPES[..]),
        mut row in vec(any::<u8>(), 1000),
    ) {
        let (mut executor, graph, id, stage) = embedding(dtype);
        for id in &graph.units[0].weights {
            let weight = &graph.weights[id.0 as usize];
            let zeros = vec![0; dtype.row_bytes(weight.cols).unwrap() as usize];
            (0..weight.rows).for_each(|row| executor.put_rows(*id, row, &zeros).unwrap());
        }
        row.truncate(dtype.row_bytes(graph.weights[id.0 as usize].cols).unwrap() as usize);
        made_finite(dtype, &mut row);
        executor.put_rows(id, 0, &row).unwrap();
        block_on(executor.finish_loading()).unwrap();
        let step = Step { stage, slot: 0, position: 0, columns: 1, phase: Phase::Decode, want: Want::EveryColumn };
        let mut out = Vec::new();
        block_on(executor.run(&step, Input::Tokens(&[0]), &mut out)).unwrap();
        prop_assert_eq!(out.len(), graph.hidden_width as usize);
        prop_assert!(out.iter().all(|x| x.is_finite()), "{dtype:?}");
    }
}
