//! Measuring: exact where time is made up, quick where it is real.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::{cell::Cell, collections::BTreeMap, sync::Arc, time::Instant};

use common::llama::{Shape, llama};
use engine::{
    CpuExecutor, EngineError, Executor, Input, Setup, Step, Want,
    miniature::{MAX_VOCABULARY, miniature},
    profile::measure,
};
use model::{DType, EngineKind, Graph, NumericClass, Op, UnitKind, WeightId, WireDtype};
use pollster::block_on;

const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 32,
    context_columns: 512,
};

/// Takes 2 ms per call, and per unit and column: attention 3 and a sixteenth for every column cached before the call, MLP 5, head 7; the
/// head only for columns that are wanted.
struct Clockwork<'a> {
    graph: Arc<Graph>,
    now_ms: &'a Cell<f64>,
}

impl Executor for Clockwork<'_> {
    fn kind(&self) -> EngineKind {
        EngineKind::Cpu
    }

    fn put_rows(&mut self, _: WeightId, _: u32, _: &[u8]) -> Result<(), EngineError> {
        Ok(())
    }

    async fn finish_loading(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    async fn run(
        &mut self,
        step: &Step,
        _: Input<'_>,
        _: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        let columns = f64::from(step.columns);
        let wanted = if step.want == Want::EveryColumn {
            columns
        } else {
            1.0
        };
        let unit_ms = |unit: u32| match self.graph.units[unit as usize].kind {
            UnitKind::Embedding => 0.0,
            UnitKind::Attention => columns * (3.0 + f64::from(step.position) / 16.0),
            UnitKind::Mlp => 5.0 * columns,
            UnitKind::Head => 7.0 * wanted,
        };
        let units_ms: f64 = (step.stage.start..step.stage.end).map(unit_ms).sum();
        self.now_ms.set(self.now_ms.get() + 2.0 + units_ms);
        Ok(())
    }

    fn truncate(&mut self, _: u32) {}

    fn resident_bytes(&self) -> u64 {
        0
    }
}

#[test]
fn a_known_executor_is_measured_exactly() {
    let graph = llama(Shape {
        vocabulary: 4 * MAX_VOCABULARY,
        ..Shape::SMOLLM2
    });
    let now_ms = Cell::new(0.0);
    let make = async |setup: Setup| {
        Ok(Clockwork {
            graph: setup.graph,
            now_ms: &now_ms,
        })
    };
    let numbers = block_on(measure(&graph, CLASS, make, || now_ms.get(), async || ())).unwrap();
    let by_kind = |ms: [f64; 4]| {
        BTreeMap::from(
            [
                UnitKind::Embedding,
                UnitKind::Attention,
                UnitKind::Mlp,
                UnitKind::Head,
            ]
            .map(|kind| (kind, ms[kind as usize])),
        )
    };
    assert_eq!(numbers.ms_per_call, 2.0);
    assert_eq!(
        numbers.decode_ms_per_unit,
        by_kind([0.0, 3.0, 5.0, 4.0 * 7.0])
    );
    assert_eq!(
        numbers.verify_ms_per_unit,
        by_kind([0.0, 8.0 * 3.0, 8.0 * 5.0, 8.0 * 4.0 * 7.0])
    );
    assert_eq!(
        numbers.chunk_ms_per_unit,
        by_kind([0.0, 32.0 * 3.0, 32.0 * 5.0, 4.0 * 7.0])
    );
    assert_eq!(numbers.attention_ms_per_cached_column, 1.0 / 16.0);
}

#[test]
fn the_cpu_is_measured_quickly_for_smollm2() {
    let graph = llama(Shape::SMOLLM2);
    let timed = || {
        let start = Instant::now();
        let now_ms = || start.elapsed().as_secs_f64() * 1e3;
        let make = async |setup| CpuExecutor::new(setup);
        let numbers = block_on(measure(&graph, CLASS, make, now_ms, async || ())).unwrap();
        (now_ms(), numbers)
    };
    // Others may use the machine, too.
    let mut attempts = (0..3).map(|_| timed());
    let (_, numbers) = attempts
        .find(|(ms, _)| *ms < 3000.0)
        .unwrap_or_else(|| panic!("longer than 3 s, three times"));
    for ms_per_unit in [&numbers.decode_ms_per_unit, &numbers.chunk_ms_per_unit] {
        assert!(ms_per_unit[&UnitKind::Attention] > 0.0 && ms_per_unit[&UnitKind::Head] > 0.0);
        // Three times the weights.
        assert!(
            ms_per_unit[&UnitKind::Mlp] > ms_per_unit[&UnitKind::Attention],
            "{numbers:?}"
        );
    }
}

#[test]
fn a_miniature_keeps_widths_dtypes_and_ties() {
    let graph = llama(Shape::SMOLLM2);
    let small = miniature(&graph, 2).unwrap();
    let kinds: Vec<UnitKind> = small.units.iter().map(|unit| unit.kind).collect();
    use UnitKind::{Attention, Embedding, Head, Mlp};
    assert_eq!(kinds, [Embedding, Attention, Attention, Mlp, Mlp, Head]);
    assert_eq!(
        (small.hidden_width, small.vocabulary),
        (576, MAX_VOCABULARY)
    );
    let head = small.units.last().unwrap();
    assert_eq!(small.values[head.output.0 as usize], MAX_VOCABULARY);
    let Op::Linear { weight, .. } = small.ops[head.ops.end - 1] else {
        panic!("the head ends with logits")
    };
    assert_eq!(
        small.units[0].weights,
        [weight],
        "embedding and head share their weight"
    );
    for (copied, source) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        let shapes = |graph: &Graph, unit: usize| -> Vec<(u32, u32, DType)> {
            let weights = graph.units[unit]
                .weights
                .iter()
                .map(|id| &graph.weights[id.0 as usize]);
            weights
                .map(|weight| (weight.rows, weight.cols, weight.dtype))
                .collect()
        };
        assert_eq!(shapes(&small, copied), shapes(&graph, source));
    }
    let chained = small
        .units
        .windows(2)
        .all(|pair| pair[1].input == Some(pair[0].output));
    assert!(chained, "what leaves a unit enters the next");
    assert!(
        small
            .weights
            .iter()
            .all(|weight| weight.name.starts_with("synthetic."))
    );
}
