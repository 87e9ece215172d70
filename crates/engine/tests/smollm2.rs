//! SmolLM2 against its f32 twin in llama.cpp, teacher-forced (fixtures/smollm2-f32.json). The twin's weights are ours, dequantised.

#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use common::file::{class, ids, json, smollm2};
use engine::{Executor, Input, Phase, Step, Want};
use model::WireDtype;
use pollster::block_on;

/// Where the twin's best logit leads by more than this, ours must be the same token.
const CLEAR_GAP: f64 = 0.5;
/// Largest difference of the top ten logits behind a prompt. They reach 30; what enters a quantised weight has 16 bits.
const LOGIT_BOUND: f64 = 5e-3;

#[test]
fn teacher_forced_top1_and_first_logits_match_the_f32_twin() {
    let (model, reference) = (smollm2(), json("smollm2-f32.json"));
    let stage = model.all_units();
    let mut executor = model.executor(&[stage], class(WireDtype::F32, 128));
    let (mut compared, mut logits) = (0, Vec::new());
    for run in reference["runs"].as_array().unwrap() {
        let (prompt, answer) = (ids(&run["ids"]), ids(&run["greedy_ids"]));
        let columns = prompt.len() as u32;
        let step = Step {
            stage,
            slot: 0,
            position: 0,
            columns,
            phase: Phase::Prefill,
            want: Want::LastColumn,
        };
        block_on(executor.run(&step, Input::Tokens(&prompt), &mut logits)).unwrap();
        for top in run["first_top10"].as_array().unwrap() {
            let ours = f64::from(logits[top["id"].as_u64().unwrap() as usize]);
            let error = (ours - top["logit"].as_f64().unwrap()).abs();
            assert!(error <= LOGIT_BOUND, "{top}: ours {ours}");
        }
        let gaps = run["greedy_top1_top2_gap"].as_array().unwrap();
        for ((position, id), gap) in (columns..).zip(&answer).zip(gaps) {
            if gap.as_f64().unwrap() > CLEAR_GAP {
                assert_eq!(
                    common::file::argmax(&logits),
                    *id,
                    "position {position} of {}",
                    run["prompt"]
                );
                compared += 1;
            }
            let step = Step {
                stage,
                slot: 0,
                position,
                columns: 1,
                phase: Phase::Decode,
                want: Want::LastColumn,
            };
            block_on(executor.run(&step, Input::Tokens(&[*id]), &mut logits)).unwrap();
        }
    }
    assert!(compared >= 90, "only {compared} positions have a clear gap");
}
