//! The CPU executor gives the same bits on every platform: this test runs natively and on wasm32.
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::sync::Arc;

use common::llama::{Shape, llama};
use engine::{CpuExecutor, Executor, Input, Phase, Setup, Step, Want, synthetic};
use model::{DType, NumericClass, UnitRange, WireDtype};
use pollster::block_on;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// FNV-1a over the bits.
fn hash(values: &[f32]) -> u64 {
    let bytes = values
        .iter()
        .flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Logits of a chunk and of a few generated columns.
fn logits(shape: Shape) -> Vec<f32> {
    let graph = Arc::new(llama(shape));
    let stage = UnitRange {
        start: 0,
        end: graph.units.len() as u32,
    };
    let class = NumericClass {
        wire: WireDtype::F32,
        chunk_columns: 16,
        context_columns: 32,
    };
    let mut executor = CpuExecutor::new(Setup {
        graph: graph.clone(),
        stages: vec![stage],
        class,
        slots: 1,
    })
    .unwrap();
    synthetic::load(&mut executor, &graph, &[stage]).unwrap();
    block_on(executor.finish_loading()).unwrap();
    let (mut all, mut out) = (Vec::new(), Vec::new());
    for (position, columns, phase) in [
        (0, 16, Phase::Prefill),
        (16, 5, Phase::Prefill),
        (21, 1, Phase::Decode),
        (22, 3, Phase::Decode),
    ] {
        let step = Step {
            stage,
            slot: 0,
            position,
            columns,
            phase,
            want: Want::EveryColumn,
        };
        block_on(executor.run(
            &step,
            Input::Tokens(&synthetic::tokens(&graph, columns)),
            &mut out,
        ))
        .unwrap();
        all.extend_from_slice(&out);
    }
    all
}

#[test]
fn every_platform_gives_the_same_bits() {
    let block = Shape {
        hidden: 96,
        feed_forward: 160,
        heads: 4,
        kv_heads: 2,
        head_dim: 32,
        ..Shape::ODD
    };
    let shapes = [DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::F16]
        .map(|matrices| Shape { matrices, ..block });
    let hashes = shapes
        .into_iter()
        .chain([Shape::ODD])
        .map(|shape| hash(&logits(shape)));
    let hashes: Vec<String> = hashes.map(|hash| format!("{hash:016x}")).collect();
    assert_eq!(hashes, RECORDED);
}

/// Made natively; what they are does not matter, that they are the same everywhere does.
const RECORDED: [&str; 5] = [
    "21bd46b80c664f05",
    "60c23ecdff494038",
    "7eba16737cf56b19",
    "0697c71ed15fb824",
    "7054ddc064b6322f",
];
