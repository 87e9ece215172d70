//! Every storage type against what another program (the `gguf` package) reads in the same bytes: tests/fixtures/blocks.

#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::sync::Arc;

use common::file::workspace;
use engine::{
    CpuExecutor, Executor, Input, Phase, Setup, Step, Want,
    gpu::{GpuDevice, GpuExecutor},
};
use model::{DType, Graph, NumericClass, Op, UnitRange, ValueId, Weight, WeightId, WireDtype};
use pollster::block_on;

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

const ROWS: u32 = 2;
const COLS: u32 = 512;

fn fixture(dtype: DType, ending: &str) -> Vec<u8> {
    let path = format!("tests/fixtures/blocks/{}.{ending}", dtype.name());
    std::fs::read(workspace(&path)).unwrap()
}

/// An embedding whose table is the fixture.
fn setup(dtype: DType) -> Setup {
    let bytes = dtype.row_bytes(COLS).unwrap() * u64::from(ROWS);
    let table = Weight {
        name: "table".into(),
        dtype,
        rows: ROWS,
        cols: COLS,
        range: 0..bytes,
    };
    let embed = Op::Embed {
        weight: WeightId(0),
        out: ValueId(0),
    };
    let graph = Graph {
        vocabulary: ROWS,
        ..Graph::new("table", 8, vec![table], vec![COLS], vec![], vec![embed])
    };
    Setup {
        graph: Arc::new(graph),
        stages: vec![UnitRange { start: 0, end: 1 }],
        class: NumericClass {
            wire: WireDtype::F32,
            chunk_columns: 8,
            context_columns: 8,
        },
        slots: 1,
    }
}

fn rows(mut executor: impl Executor, dtype: DType) -> Vec<f32> {
    let bytes = fixture(dtype, "bin");
    executor.put_rows(WeightId(0), 0, &bytes).unwrap();
    block_on(executor.finish_loading()).unwrap();
    let step = Step {
        stage: UnitRange { start: 0, end: 1 },
        slot: 0,
        position: 0,
        columns: ROWS,
        phase: Phase::Prefill,
        want: Want::EveryColumn,
    };
    let mut out = Vec::new();
    block_on(executor.run(&step, Input::Tokens(&[0, 1]), &mut out)).unwrap();
    out
}

/// The order of two products may differ: a few of the last bits.
fn assert_same(found: &[f32], dtype: DType, what: &str) {
    let bytes = fixture(dtype, "f32");
    let expected = bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes));
    let expected: Vec<f32> = expected.collect();
    assert_eq!(found.len(), expected.len());
    let largest = expected
        .iter()
        .fold(0.0_f32, |largest, x| largest.max(x.abs()));
    assert!(largest > 0.1, "{dtype:?} is not all zero");
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= 4e-7 * largest,
            "{what} {dtype:?} {index}: {found} {expected}"
        );
    }
}

#[test]
fn the_cpu_reads_what_another_program_reads() {
    for dtype in DTYPES {
        let executor = CpuExecutor::new(setup(dtype)).unwrap();
        assert_same(&rows(executor, dtype), dtype, "CPU");
    }
}

#[test]
fn the_gpu_reads_what_another_program_reads() {
    let device = block_on(GpuDevice::request("test")).unwrap();
    for dtype in DTYPES {
        let executor = GpuExecutor::new(&device, setup(dtype)).unwrap();
        assert_same(&rows(executor, dtype), dtype, "GPU");
    }
}
