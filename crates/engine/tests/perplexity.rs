//! SmolLM2's perplexity against its f32 twin in llama.cpp (fixtures/smollm2-f32.json, `perplexity`).
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by panicking"
)]

mod common;

use common::file::{class, floats, json, smollm2, workspace};
use engine::{Executor, Input, Phase, Step, Want};
use model::WireDtype;
use pollster::block_on;
use text::Tokenizer;

/// Columns of a window, without a start-of-text token: this model adds none.
const WINDOW: usize = 512;
/// Of the twin's perplexity.
const BOUND: f64 = 0.005;
/// Of one window's mean surprise: the same window, hence the same tokens.
const WINDOW_BOUND: f64 = 3e-4;

/// -ln of the probability that `logits` give to `id`.
fn surprise(logits: &[f32], id: u32) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits
        .iter()
        .map(|logit| f64::from(logit - largest).exp())
        .sum();
    total.ln() - f64::from(logits[id as usize] - largest)
}

#[test]
#[ignore = "long: ./test --full"]
fn perplexity_is_within_half_a_percent_of_the_f32_twin() {
    let (model, reference) = (smollm2(), &json("smollm2-f32.json")["perplexity"]);
    let text = std::fs::read_to_string(workspace("tests/fixtures/ppl_devil.txt")).unwrap();
    let ids = Tokenizer::new(&model.vocabulary)
        .unwrap()
        .encode(&text, false, true)
        .unwrap();
    let stage = model.all_units();
    let mut executor = model.executor(&[stage], class(WireDtype::F32, WINDOW as u32));
    let chunk_columns = class(WireDtype::F32, WINDOW as u32).chunk_columns as usize;
    let vocabulary_len = model.graph.vocabulary as usize;

    let (mut surprises, mut logits) = (Vec::new(), Vec::new());
    for (window, expected) in ids
        .chunks_exact(WINDOW)
        .zip(floats(&reference["nll_per_window"]))
    {
        let scored = surprises.len();
        for (chunk, tokens) in window.chunks(chunk_columns).enumerate() {
            let position = chunk * chunk_columns;
            let step = Step {
                stage,
                slot: 0,
                position: position as u32,
                columns: tokens.len() as u32,
                phase: Phase::Prefill,
                want: Want::EveryColumn,
            };
            block_on(executor.run(&step, Input::Tokens(tokens), &mut logits)).unwrap();
            let next = &window[position + 1..];
            surprises.extend(
                logits
                    .chunks(vocabulary_len)
                    .zip(next)
                    .map(|(logits, id)| surprise(logits, *id)),
            );
        }
        let mean = surprises[scored..].iter().sum::<f64>() / (WINDOW - 1) as f64;
        let error = (mean - f64::from(expected)).abs();
        assert!(
            error <= WINDOW_BOUND,
            "mean surprise {mean}, the twin's is {expected}"
        );
    }
    assert_eq!(
        surprises.len() as u64,
        reference["tokens_scored"].as_u64().unwrap()
    );
    let perplexity = (surprises.iter().sum::<f64>() / surprises.len() as f64).exp();
    let expected = reference["ppl"].as_f64().unwrap();
    assert!(
        (perplexity / expected - 1.0).abs() <= BOUND,
        "perplexity {perplexity}, the twin's is {expected}"
    );
}
