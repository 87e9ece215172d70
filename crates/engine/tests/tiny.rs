//! Every architecture against torch (numeric contract, rule 5), and the same bits for every split (I11).

#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use common::file::{Model, Tiny, argmax, assert_close, class, floats, ids, workspace};
use engine::{CpuExecutor, Executor, Input, Phase, Step, Want};
use model::{DType, NumericClass, UnitRange, WireDtype, hugging_face::Target, segment};
use pollster::block_on;

/// Rule 5's bound on the CPU.
const BOUND: f32 = 1e-4;
const CONTEXT: u32 = 64;

/// One member per stage.
struct Ring {
    stages: Vec<(UnitRange, CpuExecutor)>,
    class: NumericClass,
}

impl Ring {
    fn new(model: &Model, cuts: &[u32], class: NumericClass) -> Self {
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([model.all_units().end]);
        let ranges = starts
            .zip(ends)
            .map(|(start, end)| UnitRange { start, end });
        let stages = ranges
            .map(|range| (range, model.executor(&[range], class)))
            .collect();
        Self { stages, class }
    }

    /// Logits of the wanted columns.
    fn call(&mut self, tokens: &[u32], position: u32, phase: Phase, want: Want) -> Vec<f32> {
        let (mut hidden, mut out) = (Vec::new(), Vec::new());
        let last = self.stages.len() - 1;
        for (index, (stage, executor)) in self.stages.iter_mut().enumerate() {
            let want = if index == last {
                want
            } else {
                Want::EveryColumn
            };
            let step = Step {
                stage: *stage,
                slot: 0,
                position,
                columns: tokens.len() as u32,
                phase,
                want,
            };
            let input = if index == 0 {
                Input::Tokens(tokens)
            } else {
                Input::Hidden(&hidden)
            };
            block_on(executor.run(&step, input, &mut out)).unwrap();
            std::mem::swap(&mut hidden, &mut out);
        }
        hidden
    }

    /// Prompt on the chunk grid, then greedy: ids, and the logits of every call.
    fn generate(&mut self, prompt: &[u32], tokens: usize) -> (Vec<u32>, Vec<f32>) {
        let (mut answer, mut seen, mut logits) = (Vec::new(), Vec::new(), Vec::new());
        let mut position = 0;
        for chunk in prompt.chunks(self.class.chunk_columns as usize) {
            logits = self.call(chunk, position, Phase::Prefill, Want::LastColumn);
            position += chunk.len() as u32;
        }
        while answer.len() < tokens {
            seen.extend_from_slice(&logits);
            answer.push(argmax(&logits));
            logits = self.call(
                &answer[answer.len() - 1..],
                position,
                Phase::Decode,
                Want::LastColumn,
            );
            position += 1;
        }
        (answer, seen)
    }
}

/// The tests below, for each architecture.
macro_rules! architectures {
    ($($name:ident)*) => {
        $(mod $name {
            use super::*;

            fn tiny() -> Tiny {
                Tiny::open(stringify!($name))
            }

            #[test]
            fn matches_torch() {
                hidden_states_and_logits(&tiny());
                greedy_ids(&tiny());
            }

            #[test]
            fn every_split_gives_the_same_bits() {
                every_split(&tiny());
            }

            #[test]
            fn chunk_grid_and_column_counts_do_not_change_the_bits() {
                chunks_and_columns(&tiny());
            }

            #[test]
            fn an_executor_holds_no_more_than_a_plan_reckons_with() {
                memory(&tiny());
            }
        })*
    };
}

architectures!(llama llama31 qwen2 qwen3 gemma3 phi3 gpt2 gptj bloom bloom6 opt opt350);

/// Eight bits per weight change the logits a little; which little is printed.
#[test]
fn a_repository_is_quantised_while_it_is_read() {
    for name in ["llama", "bloom", "opt", "gptj"] {
        let tiny = Tiny::open(name);
        let folder = workspace(&format!("tests/fixtures/tiny-{name}"));
        let model = Model::repository(&folder, Target::Q8_0);
        let quantised = model.graph.weights.iter();
        let quantised = quantised
            .filter(|weight| weight.dtype == DType::Q8_0)
            .count();
        assert!(
            quantised >= 4 * model.graph.caches.len(),
            "{name}: {quantised}"
        );
        let mut ring = Ring::new(&model, &[], class(WireDtype::F32, CONTEXT));
        let logits = ring.call(&tiny.prompt(), 0, Phase::Prefill, Want::LastColumn);
        let expected = floats(&tiny.reference["logits_last"]);
        let largest = expected
            .iter()
            .fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let errors = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let error = errors.fold(0.0, f32::max) / largest;
        println!("{name} as Q8_0: last logits off by {error:.1e} of the largest");
        assert!(error > 0.0 && error < 0.03, "{name}: {error}");
    }
}

fn hidden_states_and_logits(tiny: &Tiny) {
    let (model, reference, prompt) = (&tiny.model, &tiny.reference, tiny.prompt());
    for (cut, expected) in tiny.layers() {
        let stage = UnitRange { start: 0, end: cut };
        let mut executor = model.executor(&[stage], class(WireDtype::F32, CONTEXT));
        let step = Step {
            stage,
            slot: 0,
            position: 0,
            columns: prompt.len() as u32,
            phase: Phase::Prefill,
            want: Want::LastColumn,
        };
        let mut hidden = Vec::new();
        block_on(executor.run(&step, Input::Tokens(&prompt), &mut hidden)).unwrap();
        assert_close(
            &hidden,
            &expected,
            &format!("hidden state after unit {cut}"),
            BOUND,
        );
    }
    let mut ring = Ring::new(model, &[], class(WireDtype::F32, CONTEXT));
    let logits = ring.call(&prompt, 0, Phase::Prefill, Want::EveryColumn);
    let columns: Vec<&[f32]> = logits.chunks(model.graph.vocabulary as usize).collect();
    assert_close(
        columns[columns.len() - 1],
        &floats(&reference["logits_last"]),
        "last logits",
        BOUND,
    );
    for (column, expected) in columns
        .iter()
        .zip(reference["logits_first16_per_pos"].as_array().unwrap())
    {
        assert_close(&column[..16], &floats(expected), "first 16 logits", BOUND);
    }
    let best: Vec<u32> = columns.iter().map(|column| argmax(column)).collect();
    assert_eq!(best, ids(&reference["argmax_per_pos"]));
}

fn greedy_ids(tiny: &Tiny) {
    let mut ring = Ring::new(&tiny.model, &[], class(WireDtype::F32, CONTEXT));
    let (answer, _) = ring.generate(&tiny.prompt(), 32);
    assert_eq!(answer, ids(&tiny.reference["greedy32"]));
}

/// All cuts into two or three segments, and a segment for every unit.
fn every_split(tiny: &Tiny) {
    let (model, prompt) = (&tiny.model, tiny.prompt());
    let end = model.all_units().end;
    let pairs = (1..end).flat_map(|first| (first..end).map(move |second| [first, second]));
    let mut splits: Vec<Vec<u32>> = pairs.map(|pair| pair.to_vec()).collect();
    splits.iter_mut().for_each(Vec::dedup);
    splits.push((1..end).collect());
    for wire in [WireDtype::F32, WireDtype::F16Scaled] {
        let class = NumericClass {
            wire,
            chunk_columns: 16,
            context_columns: CONTEXT,
        };
        let whole = Ring::new(model, &[], class).generate(&prompt, 4);
        for cuts in &splits {
            let split = Ring::new(model, cuts, class).generate(&prompt, 4);
            assert_eq!(split, whole, "{wire:?} cuts at {cuts:?}");
        }
    }
}

fn memory(tiny: &Tiny) {
    let graph = &tiny.model.graph;
    let end = tiny.model.all_units().end;
    for chunk_columns in [1, 16, 128] {
        let class = NumericClass {
            wire: WireDtype::F16Scaled,
            chunk_columns,
            context_columns: graph.max_context_columns,
        };
        for stages in [
            vec![UnitRange { start: 0, end }],
            vec![UnitRange { start: 2, end: 3 }],
            vec![
                UnitRange { start: 0, end: 2 },
                UnitRange {
                    start: end - 1,
                    end,
                },
            ],
        ] {
            let reckoned = segment::weight_bytes(graph, &stages)
                + segment::kv_bytes(graph, &stages, class.context_columns)
                + segment::scratch_bytes(graph, chunk_columns);
            let held = tiny.model.executor(&stages, class).resident_bytes();
            assert!(held <= reckoned, "{stages:?}: {held} of {reckoned} bytes");
        }
    }
}

fn chunks_and_columns(tiny: &Tiny) {
    let (model, prompt) = (&tiny.model, tiny.prompt());
    let run = |chunk_columns: u32| {
        let class = NumericClass {
            wire: WireDtype::F32,
            chunk_columns,
            context_columns: CONTEXT,
        };
        Ring::new(model, &[model.all_units().end / 2], class).generate(&prompt, 2)
    };
    let whole = run(32);
    for chunk_columns in [1, 2, 3, 5, 8, 17] {
        assert_eq!(run(chunk_columns), whole, "chunks of {chunk_columns}");
    }
    for columns in 1..=8 {
        let mut ring = Ring::new(model, &[], class(WireDtype::F32, CONTEXT));
        let mut logits = Vec::new();
        for (index, tokens) in prompt.chunks(columns).enumerate() {
            logits = ring.call(
                tokens,
                (index * columns) as u32,
                Phase::Decode,
                Want::LastColumn,
            );
        }
        assert_eq!(
            logits,
            whole.1[..logits.len()],
            "decode calls of {columns} columns"
        );
    }
}
