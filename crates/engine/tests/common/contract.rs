//! What every executor promises, whatever it computes with (numeric contract); `make` builds one that is not loaded yet.

use std::sync::Arc;

use engine::{
    CpuExecutor, EngineError, Executor, Input, Phase, Setup, Step, Want, self_test, synthetic,
};
use model::{DType, Graph, NumericClass, UnitRange, WireDtype, wire};
use pollster::block_on;

use super::{
    every_op::every_op,
    file::{Tiny, argmax, assert_close, floats, ids},
    llama::{Shape, llama},
};

pub const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 8,
    context_columns: 100,
};

/// Rule 5's bound on a GPU.
pub const BOUND: f32 = 1e-3;

pub fn range(start: u32, end: u32) -> UnitRange {
    UnitRange { start, end }
}

pub fn whole(graph: &Graph) -> UnitRange {
    range(0, graph.units.len() as u32)
}

/// Widths of no convenient multiple where the storage type allows it.
pub fn odd(matrices: DType) -> Shape {
    match matrices {
        DType::F32 | DType::F16 | DType::BF16 => Shape {
            matrices,
            embedding: matrices,
            ..Shape::ODD
        },
        DType::Q4_K | DType::Q5_K | DType::Q6_K => Shape {
            hidden: 256,
            feed_forward: 512,
            heads: 2,
            kv_heads: 1,
            head_dim: 128,
            matrices,
            embedding: matrices,
            ..Shape::ODD
        },
        _ => Shape {
            hidden: 96,
            feed_forward: 160,
            heads: 3,
            kv_heads: 1,
            head_dim: 32,
            matrices,
            embedding: matrices,
            ..Shape::ODD
        },
    }
}

pub fn loaded<E: Executor>(mut executor: E, graph: &Graph, stages: &[UnitRange]) -> E {
    synthetic::load(&mut executor, graph, stages).unwrap();
    block_on(executor.finish_loading()).unwrap();
    executor
}

pub fn setup(graph: &Arc<Graph>, stages: &[UnitRange], class: NumericClass) -> Setup {
    Setup {
        graph: graph.clone(),
        stages: stages.to_vec(),
        class,
        slots: 1,
    }
}

/// Loaded with synthetic weights.
fn ready<E: Executor>(
    make: &impl Fn(Setup) -> E,
    graph: &Arc<Graph>,
    stages: &[UnitRange],
    class: NumericClass,
) -> E {
    loaded(make(setup(graph, stages, class)), graph, stages)
}

pub fn run(executor: &mut impl Executor, step: Step, input: Input<'_>) -> Vec<f32> {
    let mut out = vec![1.0; 3];
    block_on(executor.run(&step, input, &mut out)).unwrap();
    out
}

pub fn prefill(stage: UnitRange, position: u32, columns: u32) -> Step {
    Step {
        stage,
        slot: 0,
        position,
        columns,
        phase: Phase::Prefill,
        want: Want::EveryColumn,
    }
}

pub fn decode(stage: UnitRange, position: u32, columns: u32) -> Step {
    Step {
        phase: Phase::Decode,
        ..prefill(stage, position, columns)
    }
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Unit by unit, in both phases.
pub fn agrees_with_the_cpu<E: Executor>(
    graph: &Arc<Graph>,
    class: NumericClass,
    what: &str,
    make: &impl Fn(Setup) -> E,
) {
    let units = 0..whole(graph).end;
    let stages: Vec<_> = units.map(|unit| range(unit, unit + 1)).collect();
    let setup = setup(graph, &stages, class);
    let mut reference = loaded(CpuExecutor::new(setup.clone()).unwrap(), graph, &stages);
    let mut candidate = loaded(make(setup.clone()), graph, &stages);
    let error = block_on(self_test::compare(&mut candidate, &mut reference, &setup));
    error.unwrap_or_else(|error| panic!("{what}, {class:?}: {error}"));
}

pub fn every_op_agrees_with_the_cpu<E: Executor>(dtype: DType, make: &impl Fn(Setup) -> E) {
    let graph = Arc::new(every_op(dtype));
    for (wire, chunk_columns) in [(WireDtype::F32, 37), (WireDtype::F16Scaled, 7)] {
        let class = NumericClass {
            wire,
            chunk_columns,
            context_columns: 100,
        };
        agrees_with_the_cpu(&graph, class, &format!("{dtype:?}"), make);
    }
}

/// The embedding of a table of any numbers is what the rounding kernel is given.
pub fn rounding_at_cuts_has_the_bits_of_the_wire<E: Executor>(make: &impl Fn(Setup) -> E) {
    let graph = Arc::new(llama(Shape {
        vocabulary: 64,
        embedding: DType::F32,
        ..Shape::ODD
    }));
    let stage = range(0, 1);
    let class = NumericClass {
        wire: WireDtype::F16Scaled,
        chunk_columns: 64,
        context_columns: 64,
    };
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    };
    for spread in [1_u32, 3, 30, 255] {
        let mut number = |column: u32| {
            let exponent = (column * 4 + random() % spread) % 255;
            f32::from_bits(random() & 0x807f_ffff | exponent << 23)
        };
        let mut table: Vec<f32> = (0..64 * 35).map(|index| number(index / 35)).collect();
        table[..35].fill(0.0);
        table[35..40].copy_from_slice(&[f32::MAX, f32::MIN, -0.0, 65520.0, f32::MIN_POSITIVE]);
        table[70..105].fill(1.0);
        let mut executor = make(setup(&graph, &[stage], class));
        let bytes: Vec<u8> = table
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        executor
            .put_rows(graph.units[0].weights[0], 0, &bytes)
            .unwrap();
        block_on(executor.finish_loading()).unwrap();
        let tokens: Vec<u32> = (0..64).collect();
        let found = run(&mut executor, prefill(stage, 0, 64), Input::Tokens(&tokens));
        wire::round_columns(WireDtype::F16Scaled, 35, &mut table);
        for (column, (found, expected)) in found.chunks(35).zip(table.chunks(35)).enumerate() {
            assert_eq!(
                bits(found),
                bits(expected),
                "spread {spread} column {column}"
            );
        }
    }
}

pub fn requests_in_different_slots_do_not_see_each_other<E: Executor>(make: &impl Fn(Setup) -> E) {
    let graph = Arc::new(llama(odd(DType::F32)));
    let stage = whole(&graph);
    let two = Setup {
        slots: 2,
        ..setup(&graph, &[stage], CLASS)
    };
    let mut executor = loaded(make(two), &graph, &[stage]);
    let mut alone = [3, 5].map(|first| (first, ready(make, &graph, &[stage], CLASS)));
    for turn in 0..3 {
        for (slot, (first, alone)) in (0..).zip(&mut alone) {
            let step = match turn {
                0 => prefill(stage, 0, *first),
                _ => decode(stage, *first + turn - 1, 1),
            };
            let tokens = synthetic::tokens(&graph, step.columns);
            let expected = run(alone, step, Input::Tokens(&tokens));
            let got = run(&mut executor, Step { slot, ..step }, Input::Tokens(&tokens));
            assert_eq!(got, expected, "slot {slot}, turn {turn}");
        }
    }
}

pub fn rows_may_arrive_one_by_one_and_all_must_arrive<E: Executor>(
    dtype: DType,
    make: &impl Fn(Setup) -> E,
) {
    let graph = Arc::new(llama(odd(dtype)));
    let mlp = range(2, 3);
    let mut at_once = ready(make, &graph, &[mlp], CLASS);
    let mut executor = make(setup(&graph, &[mlp], CLASS));
    let mut rows = Rows::default();
    synthetic::load(&mut rows, &graph, &[mlp]).unwrap();
    rows.0.reverse();
    for (id, first_row, bytes) in &rows.0 {
        let row_bytes = bytes.len() / graph.weights[id.0 as usize].rows as usize;
        let pieces: Vec<_> = (*first_row..).zip(bytes.chunks(row_bytes)).collect();
        for (row, bytes) in pieces[1..].iter().rev() {
            executor.put_rows(*id, *row, bytes).unwrap();
        }
    }
    let incomplete = block_on(executor.finish_loading()).unwrap_err();
    assert_eq!(incomplete.code(), "engine.incomplete");
    for (id, first_row, bytes) in &rows.0 {
        let row_bytes = bytes.len() / graph.weights[id.0 as usize].rows as usize;
        executor
            .put_rows(*id, *first_row, &bytes[..row_bytes])
            .unwrap();
    }
    block_on(executor.finish_loading()).unwrap();
    let hidden = synthetic::hidden(&graph, 5);
    let step = prefill(mlp, 0, 5);
    let expected = run(&mut at_once, step, Input::Hidden(&hidden));
    assert_eq!(
        run(&mut executor, step, Input::Hidden(&hidden)),
        expected,
        "{dtype:?}"
    );
}

/// Remembers what it is given.
#[derive(Default)]
struct Rows(Vec<(model::WeightId, u32, Vec<u8>)>);

impl Executor for Rows {
    fn kind(&self) -> model::EngineKind {
        model::EngineKind::Cpu
    }
    fn put_rows(
        &mut self,
        weight: model::WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        self.0.push((weight, first_row, bytes.to_vec()));
        Ok(())
    }
    async fn finish_loading(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
    async fn run(&mut self, _: &Step, _: Input<'_>, _: &mut Vec<f32>) -> Result<(), EngineError> {
        Ok(())
    }
    fn truncate(&mut self, _: u32) {}
    fn resident_bytes(&self) -> u64 {
        0
    }
}

/// Behind so many columns that our attention has two blocks for some of them.
pub fn verifying_several_columns_has_the_bits_of_one_by_one<E: Executor>(
    make: &impl Fn(Setup) -> E,
    bound: f32,
) {
    let wires = [WireDtype::F32, WireDtype::F16Scaled];
    for (dtype, wire) in [DType::F32, DType::Q4_1]
        .into_iter()
        .flat_map(|dtype| wires.map(|wire| (dtype, wire)))
    {
        let class = NumericClass {
            wire,
            chunk_columns: 36,
            context_columns: 264,
        };
        let graph = Arc::new(llama(odd(dtype)));
        let stage = whole(&graph);
        let mut executor = ready(make, &graph, &[stage], class);
        let on_the_cpu = |setup| CpuExecutor::new(setup).unwrap();
        let mut reference = ready(&on_the_cpu, &graph, &[stage], class);
        let tokens = synthetic::tokens(&graph, 260);
        for (position, chunk) in (0..).step_by(36).zip(tokens[..252].chunks(36)) {
            let step = prefill(stage, position, 36);
            run(&mut executor, step, Input::Tokens(chunk));
            run(&mut reference, step, Input::Tokens(chunk));
        }
        let mut single = Vec::new();
        for position in 252..260 {
            let input = Input::Tokens(&tokens[position as usize..][..1]);
            let step = decode(stage, position, 1);
            let logits = run(&mut executor, step, input);
            let expected = run(&mut reference, step, input);
            if wire == WireDtype::F32 {
                assert_close(
                    &logits,
                    &expected,
                    &format!("{dtype:?} at {position}"),
                    bound,
                );
            }
            single.extend(logits);
        }
        for columns in 2..=8_u32 {
            let together = run(
                &mut executor,
                decode(stage, 252, columns),
                Input::Tokens(&tokens[252..252 + columns as usize]),
            );
            assert_eq!(
                bits(&together),
                bits(&single[..together.len()]),
                "{dtype:?} {wire:?} {columns} columns"
            );
        }
    }
}

pub fn fewer_wanted_columns_are_the_last_and_leave_the_same_cache<E: Executor>(
    make: &impl Fn(Setup) -> E,
) {
    let graph = Arc::new(llama(odd(DType::Q8_0)));
    let (blocks, head) = (range(0, 5), range(5, 6));
    let mut executor = ready(make, &graph, &[blocks, head, whole(&graph)], CLASS);
    let tokens = synthetic::tokens(&graph, 20);
    for stage in [blocks, whole(&graph)] {
        let mut after = |want| {
            let step = Step {
                want,
                ..prefill(stage, 0, 7)
            };
            let out = run(&mut executor, step, Input::Tokens(&tokens[..7]));
            let next = run(
                &mut executor,
                decode(stage, 7, 2),
                Input::Tokens(&tokens[7..9]),
            );
            (out, bits(&next))
        };
        let (every, next) = after(Want::EveryColumn);
        let (last, after_last) = after(Want::LastColumn);
        assert_eq!(bits(&last), bits(&every[every.len() / 7 * 6..]));
        assert_eq!(after(Want::Nothing), (vec![], next.clone()));
        assert_eq!(after_last, next);
    }
    let hidden = synthetic::hidden(&graph, 3);
    let every = run(&mut executor, prefill(head, 16, 3), Input::Hidden(&hidden));
    let step = Step {
        want: Want::LastColumn,
        ..prefill(head, 16, 3)
    };
    let last = run(&mut executor, step, Input::Hidden(&hidden));
    assert_eq!(bits(&last), bits(&every[2 * 101..]));
}

pub fn a_replay_has_the_bits_of_the_first_run<E: Executor>(make: &impl Fn(Setup) -> E) {
    let graph = Arc::new(llama(odd(DType::Q4_0)));
    let stage = whole(&graph);
    let tokens = synthetic::tokens(&graph, 90);
    let mut executor = ready(make, &graph, &[stage], CLASS);
    let mut all = |cut_back: bool| {
        let mut seen = Vec::new();
        for position in (0..80).step_by(8) {
            let chunk = &tokens[position as usize..][..8];
            seen.extend(run(
                &mut executor,
                prefill(stage, position, 8),
                Input::Tokens(chunk),
            ));
        }
        for position in 80..90 {
            if cut_back {
                run(
                    &mut executor,
                    decode(stage, position, 3),
                    Input::Tokens(&[1, 2, 3]),
                );
                executor.truncate(position);
            }
            let token = &tokens[position as usize..][..1];
            seen.extend(run(
                &mut executor,
                decode(stage, position, 1),
                Input::Tokens(token),
            ));
        }
        bits(&seen)
    };
    let first = all(false);
    assert_eq!(all(false), first);
    assert_eq!(all(true), first);
}

pub fn misuse_is_refused_as_on_the_cpu<E: Executor>(make: &impl Fn(Setup) -> E) {
    let graph = Arc::new(llama(Shape::ODD));
    let stage = whole(&graph);
    let mut executor = ready(make, &graph, &[stage], CLASS);
    let mut code = |step: Step, tokens: &[u32]| {
        let mut out = Vec::new();
        block_on(executor.run(&step, Input::Tokens(tokens), &mut out))
            .unwrap_err()
            .code()
    };
    assert_eq!(code(decode(stage, 1, 1), &[1]), "engine.misuse");
    assert_eq!(code(decode(stage, 0, 1), &[101]), "engine.misuse");
    assert_eq!(code(decode(range(0, 1), 0, 1), &[1]), "engine.misuse");
    assert_eq!(code(decode(stage, 100, 1), &[1]), "engine.context_full");
}

/// Torch's hidden states, last logits and 32 greedy ids.
pub fn hidden_states_and_logits<E: Executor>(tiny: &Tiny, make: &impl Fn(Setup) -> E) {
    let (model, reference, prompt) = (&tiny.model, &tiny.reference, tiny.prompt());
    let class = NumericClass {
        wire: WireDtype::F32,
        chunk_columns: 32,
        context_columns: 64,
    };
    for (cut, expected) in tiny.layers() {
        let stage = range(0, cut);
        let mut executor = model.load(make(setup(&model.graph, &[stage], class)), &[stage]);
        let step = Step {
            want: Want::LastColumn,
            ..prefill(stage, 0, prompt.len() as u32)
        };
        let hidden = run(&mut executor, step, Input::Tokens(&prompt));
        assert_close(
            &hidden,
            &expected,
            &format!("hidden state after unit {cut}"),
            BOUND,
        );
    }
    let stage = model.all_units();
    let mut executor = model.load(make(setup(&model.graph, &[stage], class)), &[stage]);
    let logits = run(
        &mut executor,
        prefill(stage, 0, prompt.len() as u32),
        Input::Tokens(&prompt),
    );
    let columns: Vec<&[f32]> = logits.chunks(model.graph.vocabulary as usize).collect();
    let last = columns[columns.len() - 1];
    assert_close(
        last,
        &floats(&reference["logits_last"]),
        "last logits",
        BOUND,
    );
    let mut answer = vec![argmax(last)];
    for position in prompt.len() as u32..prompt.len() as u32 + 31 {
        let token = [answer[answer.len() - 1]];
        answer.push(argmax(&run(
            &mut executor,
            decode(stage, position, 1),
            Input::Tokens(&token),
        )));
    }
    assert_eq!(answer, ids(&reference["greedy32"]));
}

/// Every cut into two segments, and a segment for every unit.
pub fn every_split<E: Executor>(tiny: &Tiny, make: &impl Fn(Setup) -> E) {
    let (model, prompt) = (&tiny.model, tiny.prompt());
    let end = model.all_units().end;
    let mut splits: Vec<Vec<u32>> = (1..end).map(|cut| vec![cut]).collect();
    splits.push((1..end).collect());
    for wire in [WireDtype::F32, WireDtype::F16Scaled] {
        let class = NumericClass {
            wire,
            chunk_columns: 16,
            context_columns: 64,
        };
        let logits = |cuts: &[u32]| {
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let ends = cuts.iter().copied().chain([end]);
            let mut stages: Vec<_> = starts
                .zip(ends)
                .map(|(start, end)| {
                    let stage = range(start, end);
                    let executor = make(setup(&model.graph, &[stage], class));
                    (stage, model.load(executor, &[stage]))
                })
                .collect();
            let mut call = |tokens: &[u32], position: u32, phase: Phase| {
                let mut hidden = Vec::new();
                for (stage, executor) in &mut stages {
                    let columns = tokens.len() as u32;
                    let step = Step {
                        stage: *stage,
                        slot: 0,
                        position,
                        columns,
                        phase,
                        want: Want::EveryColumn,
                    };
                    let input = if stage.start == 0 {
                        Input::Tokens(tokens)
                    } else {
                        Input::Hidden(&hidden)
                    };
                    hidden = run(executor, step, input);
                }
                hidden
            };
            let mut seen = Vec::new();
            for (index, chunk) in prompt.chunks(16).enumerate() {
                seen.extend(call(chunk, 16 * index as u32, Phase::Prefill));
            }
            for column in 0..3 {
                seen.extend(call(
                    &[5 + column],
                    prompt.len() as u32 + column,
                    Phase::Decode,
                ));
            }
            bits(&seen)
        };
        let whole = logits(&[]);
        for cuts in &splits {
            assert_eq!(logits(cuts), whole, "{wire:?} cuts at {cuts:?}");
        }
    }
}
