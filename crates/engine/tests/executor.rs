//! The executor's contract: what it refuses, what it forgets, what it returns.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::sync::Arc;

use common::llama::{Shape, llama};
use engine::{CpuExecutor, EngineError, Executor, Input, Phase, Setup, Step, Want, synthetic};
use model::{DType, Graph, NumericClass, UnitRange, WeightId, WireDtype};
use pollster::block_on;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 8,
    context_columns: 20,
};
const HEAD: u32 = 5;

fn graph() -> Arc<Graph> {
    Arc::new(llama(Shape::ODD))
}

fn range(start: u32, end: u32) -> UnitRange {
    UnitRange { start, end }
}

fn unloaded(stages: &[UnitRange]) -> Result<CpuExecutor, EngineError> {
    CpuExecutor::new(Setup {
        graph: graph(),
        stages: stages.to_vec(),
        class: CLASS,
        slots: 1,
    })
}

fn loaded(stages: &[UnitRange]) -> CpuExecutor {
    let mut executor = unloaded(stages).unwrap();
    synthetic::load(&mut executor, &graph(), stages).unwrap();
    block_on(executor.finish_loading()).unwrap();
    executor
}

fn whole() -> UnitRange {
    range(0, HEAD + 1)
}

fn prefill(stage: UnitRange, position: u32, columns: u32) -> Step {
    Step {
        stage,
        slot: 0,
        position,
        columns,
        phase: Phase::Prefill,
        want: Want::EveryColumn,
    }
}

fn decode(stage: UnitRange, position: u32, columns: u32) -> Step {
    Step {
        phase: Phase::Decode,
        ..prefill(stage, position, columns)
    }
}

fn tokens(step: &Step) -> Vec<u32> {
    (0..step.columns)
        .map(|column| step.position.wrapping_add(column) % 101 * 7 % 101)
        .collect()
}

fn run(executor: &mut CpuExecutor, step: Step) -> Result<Vec<f32>, EngineError> {
    let mut out = vec![1.0; 3];
    block_on(executor.run(&step, Input::Tokens(&tokens(&step)), &mut out)).map(|()| out)
}

/// The message of a misuse.
fn refused<T: std::fmt::Debug>(result: Result<T, EngineError>) -> String {
    match result {
        Err(EngineError::Misuse { detail }) => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn calls_that_cannot_be_right_are_refused() {
    let mut executor = loaded(&[whole()]);
    run(&mut executor, prefill(whole(), 0, 8)).unwrap();
    let mut refused_step = |step| refused(run(&mut executor, step));
    assert!(refused_step(decode(whole(), 9, 1)).contains("gap after 8"));
    assert!(
        refused_step(prefill(whole(), 4, 5)).contains("Prefill"),
        "a chunk ends at the grid"
    );
    assert!(
        refused_step(decode(whole(), 8, 9)).contains("Decode"),
        "eight columns at most"
    );
    assert!(refused_step(decode(whole(), 8, 0)).contains("0 columns"));
    assert!(refused_step(decode(range(0, 3), 8, 1)).contains("not loaded"));
    let (step, mut out) = (decode(whole(), 8, 2), Vec::new());
    let mut with_input = |input: Input<'_>| refused(block_on(executor.run(&step, input, &mut out)));
    assert!(with_input(Input::Tokens(&[1])).contains("2 columns"));
    assert!(with_input(Input::Hidden(&[0.0; 70])).contains("2 columns"));
    assert!(with_input(Input::Tokens(&[1, 101])).contains("token 101"));
    run(&mut executor, decode(whole(), 8, 2)).unwrap();
}

#[test]
fn the_context_ends_where_the_class_says() {
    let mut executor = loaded(&[whole()]);
    for position in [0, 8] {
        run(&mut executor, prefill(whole(), position, 8)).unwrap();
    }
    run(&mut executor, prefill(whole(), 16, 4)).unwrap();
    let error = run(&mut executor, decode(whole(), 20, 1)).unwrap_err();
    assert_eq!(
        error,
        EngineError::ContextFull {
            position: 21,
            context_columns: 20
        }
    );
    let error = run(
        &mut executor,
        Step {
            position: u32::MAX,
            ..decode(whole(), 0, 1)
        },
    )
    .unwrap_err();
    assert_eq!(error.code(), "engine.context_full");
}

#[test]
fn setups_that_fit_no_graph_are_refused() {
    assert!(refused(unloaded(&[range(3, 3)]).map(|_| ())).contains("no units"));
    assert!(refused(unloaded(&[range(4, 7)]).map(|_| ())).contains("no units"));
    let class = NumericClass {
        chunk_columns: 0,
        ..CLASS
    };
    let setup = Setup {
        graph: graph(),
        stages: vec![whole()],
        class,
        slots: 1,
    };
    assert!(refused(CpuExecutor::new(setup).map(|_| ())).contains("chunk of 0"));
    let mut crooked = (*graph()).clone();
    crooked.values[3] += 1;
    let setup = Setup {
        graph: Arc::new(crooked),
        stages: vec![whole()],
        class: CLASS,
        slots: 1,
    };
    assert!(refused(CpuExecutor::new(setup).map(|_| ())).contains("does not fit"));
}

#[test]
fn weights_arrive_in_any_order_of_whole_rows_and_all_must_arrive() {
    let (graph, mlp) = (graph(), range(2, 3));
    let mut executor = unloaded(&[mlp]).unwrap();
    let weight = graph.units[2].weights[3];
    let row = vec![0; 53 * 4];
    assert!(refused(executor.put_rows(weight, 0, &row[1..])).contains("whole rows"));
    assert!(refused(executor.put_rows(weight, 35, &row)).contains("whole rows"));
    assert!(refused(executor.put_rows(weight, u32::MAX, &row)).contains("whole rows"));
    assert!(refused(executor.put_rows(WeightId(0), 0, &row)).contains("no segment"));
    assert!(refused(executor.put_rows(WeightId(999), 0, &row)).contains("no weight"));
    assert!(refused(run(&mut executor, prefill(mlp, 0, 1))).contains("before loading"));

    synthetic::load(&mut executor, &graph, &[mlp]).unwrap();
    block_on(executor.finish_loading()).unwrap();

    let mut executor = unloaded(&[mlp]).unwrap();
    for id in &graph.units[2].weights[..3] {
        let weight = &graph.weights[id.0 as usize];
        let bytes = vec![0; (weight.range.end - weight.range.start) as usize];
        executor.put_rows(*id, 0, &bytes).unwrap();
    }
    for first_row in (0..35).rev().filter(|row| *row != 17) {
        executor.put_rows(weight, first_row, &row).unwrap();
    }
    let tensor = "blk.0.ffn_down.weight".to_string();
    let error = block_on(executor.finish_loading()).unwrap_err();
    assert_eq!(
        error,
        EngineError::Incomplete {
            tensor,
            first_missing_row: 17
        }
    );
    executor.put_rows(weight, 17, &row).unwrap();
    block_on(executor.finish_loading()).unwrap();
}

#[test]
fn a_weight_that_is_not_finite_is_refused() {
    let shapes = [DType::F16, DType::Q8_0, DType::Q4_0, DType::Q4_1];
    for matrices in shapes {
        let graph = Arc::new(llama(Shape {
            hidden: 64,
            feed_forward: 64,
            head_dim: 32,
            matrices,
            ..Shape::ODD
        }));
        let (mlp, weight) = (range(2, 3), graph.units[2].weights[1]);
        let setup = Setup {
            graph: graph.clone(),
            stages: vec![mlp],
            class: CLASS,
            slots: 1,
        };
        let mut executor = CpuExecutor::new(setup).unwrap();
        let mut row = vec![0; matrices.row_bytes(64).unwrap() as usize];
        executor.put_rows(weight, 3, &row).unwrap();
        let second_block = matrices.block_bytes() as usize;
        row[second_block..second_block + 2].copy_from_slice(&[0x00, 0x7c]);
        let tensor = "blk.0.ffn_gate.weight".to_string();
        assert_eq!(
            executor.put_rows(weight, 3, &row),
            Err(EngineError::NotFinite { tensor })
        );
    }
}

#[test]
fn fewer_wanted_columns_are_the_last_of_all_columns() {
    let every = run(&mut loaded(&[whole()]), prefill(whole(), 0, 7)).unwrap();
    let mut executor = loaded(&[whole()]);
    let last = run(
        &mut executor,
        Step {
            want: Want::LastColumn,
            ..prefill(whole(), 0, 7)
        },
    )
    .unwrap();
    assert_eq!(last, every[6 * 101..]);
    let nothing = run(
        &mut executor,
        Step {
            want: Want::Nothing,
            ..prefill(whole(), 0, 7)
        },
    )
    .unwrap();
    assert_eq!(nothing, Vec::<f32>::new());

    // Whatever was wanted, the caches hold the same.
    let mut next = |want| {
        run(
            &mut executor,
            Step {
                want,
                ..prefill(whole(), 0, 7)
            },
        )
        .unwrap();
        run(&mut executor, decode(whole(), 7, 2)).unwrap()
    };
    let after_every = next(Want::EveryColumn);
    assert_eq!(next(Want::LastColumn), after_every);
    assert_eq!(next(Want::Nothing), after_every);
}

#[test]
fn a_cut_back_cache_runs_as_if_the_rest_had_never_been() {
    let mut straight = loaded(&[whole()]);
    run(&mut straight, prefill(whole(), 0, 5)).unwrap();
    let expected = run(&mut straight, decode(whole(), 5, 1)).unwrap();

    let mut executor = loaded(&[whole()]);
    let mut out = Vec::new();
    run(&mut executor, prefill(whole(), 0, 5)).unwrap();
    block_on(executor.run(&decode(whole(), 5, 3), Input::Tokens(&[9, 9, 9]), &mut out)).unwrap();
    executor.truncate(5);
    assert!(refused(run(&mut executor, decode(whole(), 6, 1))).contains("gap after 5"));
    assert_eq!(run(&mut executor, decode(whole(), 5, 1)).unwrap(), expected);
    // The same without being asked: a smaller position cuts back.
    block_on(executor.run(&decode(whole(), 6, 2), Input::Tokens(&[9, 9]), &mut out)).unwrap();
    assert_eq!(run(&mut executor, decode(whole(), 5, 1)).unwrap(), expected);
}

#[test]
fn requests_in_different_slots_do_not_see_each_other() {
    let graph = graph();
    let setup = Setup {
        graph: graph.clone(),
        stages: vec![whole()],
        class: CLASS,
        slots: 3,
    };
    let mut executor = CpuExecutor::new(setup).unwrap();
    synthetic::load(&mut executor, &graph, &[whole()]).unwrap();
    block_on(executor.finish_loading()).unwrap();
    let steps = |first: u32| {
        [
            prefill(whole(), 0, first),
            decode(whole(), first, 1),
            decode(whole(), first + 1, 2),
        ]
    };
    let firsts = [(2, 8), (0, 5), (1, 3)];
    let mut alone = firsts.map(|_| loaded(&[whole()]));
    for turn in 0..3 {
        for ((slot, first), alone) in firsts.into_iter().zip(&mut alone) {
            let step = steps(first)[turn];
            let expected = run(alone, step).unwrap();
            let got = run(&mut executor, Step { slot, ..step }).unwrap();
            assert_eq!(got, expected, "slot {slot}");
        }
    }
    let other = Step {
        slot: 3,
        ..decode(whole(), 0, 1)
    };
    assert!(refused(run(&mut executor, other)).contains("no slot 3"));
    let none = CpuExecutor::new(Setup {
        graph,
        stages: vec![whole()],
        class: CLASS,
        slots: 0,
    });
    assert!(refused(none.map(drop)).contains("without a slot"));
}

#[test]
fn a_head_takes_any_position_because_it_remembers_nothing() {
    let head = range(HEAD, HEAD + 1);
    let mut executor = loaded(&[range(0, 1), head]);
    let (mut hidden, mut logits) = (Vec::new(), Vec::new());
    block_on(executor.run(
        &prefill(range(0, 1), 0, 3),
        Input::Tokens(&[1, 2, 3]),
        &mut hidden,
    ))
    .unwrap();
    let step = Step {
        want: Want::LastColumn,
        ..prefill(head, 16, 3)
    };
    block_on(executor.run(&step, Input::Hidden(&hidden), &mut logits)).unwrap();
    assert_eq!(logits.len(), 101);
    let mut alone = Vec::new();
    block_on(executor.run(
        &decode(head, 2, 1),
        Input::Hidden(&hidden[70..]),
        &mut alone,
    ))
    .unwrap();
    assert_eq!(alone, logits);
}

#[test]
fn resident_bytes_count_weights_caches_and_scratch() {
    let (graph, stage) = (graph(), range(1, 3));
    let weights: u64 = [1, 2]
        .iter()
        .flat_map(|unit| &graph.units[*unit as usize].weights)
        .map(|id| {
            let range = &graph.weights[id.0 as usize].range;
            range.end - range.start
        })
        .sum();
    let caches = 2 * 4 * u64::from(CLASS.context_columns * 2 * 14);
    let resident = loaded(&[stage]).resident_bytes();
    assert!(
        resident > weights + caches,
        "{resident} bytes for {weights} of weights and {caches} of caches"
    );
    let scratch = resident - weights - caches;
    assert!(scratch < 40_000, "{scratch} bytes of scratch");
}
