//! The shape of Llama 3.2 3B with random weights on the CPU executor, within what the planner counts for it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::sync::Arc;

use common::llama::{Shape, llama};
use engine::{CpuExecutor, Executor, Input, Phase, Setup, Step, Want, synthetic};
use model::{DType, NumericClass, UnitRange, WireDtype, segment};
use pollster::block_on;

const SHAPE: Shape = Shape {
    hidden: 3072,
    feed_forward: 8192,
    heads: 24,
    kv_heads: 8,
    head_dim: 128,
    layers: 28,
    vocabulary: 128_256,
    embedding: DType::Q8_0,
    matrices: DType::Q4_0,
    tied: true,
    eps: 1e-5,
    freq_base: 500_000.0,
};
const MIB: u64 = 1 << 20;

/// Most memory this process had in use so far.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    1024 * kib
}

#[test]
#[ignore = "2 GB of memory, half a minute"]
fn three_billion_parameters_load_within_their_budget() {
    let graph = Arc::new(llama(SHAPE));
    let class = NumericClass {
        wire: WireDtype::F16Scaled,
        chunk_columns: NumericClass::DEFAULT_CHUNK_COLUMNS,
        context_columns: 1024,
    };
    let stages = vec![UnitRange {
        start: 0,
        end: graph.units.len() as u32,
    }];
    let weight_bytes = segment::weight_bytes(&graph, &stages);
    let kv_bytes = segment::kv_bytes(&graph, &stages, class.context_columns);
    let budget_bytes =
        weight_bytes + kv_bytes + segment::scratch_bytes(&graph, class.chunk_columns);
    let before_bytes = peak_bytes();
    let setup = Setup {
        graph: Arc::clone(&graph),
        stages: stages.clone(),
        class,
        slots: 1,
    };
    let mut executor = CpuExecutor::new(setup).unwrap();
    synthetic::load(&mut executor, &graph, &stages).unwrap();
    block_on(executor.finish_loading()).unwrap();
    let step = Step {
        stage: stages[0],
        slot: 0,
        position: 0,
        columns: 1,
        phase: Phase::Decode,
        want: Want::LastColumn,
    };
    let mut logits = Vec::new();
    block_on(executor.run(&step, Input::Tokens(&[1]), &mut logits)).unwrap();
    assert!(logits.iter().all(|logit| logit.is_finite()));
    let took_bytes = peak_bytes() - before_bytes;
    println!(
        "3B shape: weights {} MiB, KV of {} columns {} MiB, budget {} MiB; the executor counts {} MiB, the process took {} MiB",
        weight_bytes / MIB,
        class.context_columns,
        kv_bytes / MIB,
        budget_bytes / MIB,
        executor.resident_bytes() / MIB,
        took_bytes / MIB,
    );
    assert!(executor.resident_bytes() <= budget_bytes);
    assert!(took_bytes <= budget_bytes + budget_bytes / 50);
}
