//! SmolLM2 on the GPU against its f32 twin in llama.cpp, teacher-forced (fixtures/smollm2-f32.json).

#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod common;

use std::time::Instant;

use common::file::{argmax, class, ids, json, smollm2};
use engine::{
    Executor, Input, Phase, Setup, Step, Want,
    gpu::{GpuDevice, GpuExecutor},
};
use model::WireDtype;
use pollster::block_on;

/// Where the twin's best logit leads by more than this, ours must be the same token.
const CLEAR_GAP: f64 = 0.5;
/// Largest difference of the top ten logits behind a prompt. They reach 30.
const LOGIT_BOUND: f64 = 5e-3;

#[test]
#[ignore = "long: ./test --full"]
fn teacher_forced_top1_and_first_logits_match_the_f32_twin() {
    let (model, reference) = (smollm2(), json("smollm2-f32.json"));
    let device = block_on(GpuDevice::request("test")).unwrap();
    let stage = model.all_units();
    let setup = Setup {
        graph: model.graph.clone(),
        stages: vec![stage],
        class: class(WireDtype::F32, 128),
        slots: 1,
    };
    let loading = Instant::now();
    let mut executor = model.load(GpuExecutor::new(&device, setup).unwrap(), &[stage]);
    println!(
        "{}: loaded in {:?}, {} bytes",
        device.adapter_name(),
        loading.elapsed(),
        executor.resident_bytes()
    );
    let (mut compared, mut largest_error, mut decoded) = (0, 0.0_f64, 0);
    let (mut logits, mut decoding) = (Vec::new(), std::time::Duration::ZERO);
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
        let prefilling = Instant::now();
        block_on(executor.run(&step, Input::Tokens(&prompt), &mut logits)).unwrap();
        println!("prefill of {columns} columns: {:?}", prefilling.elapsed());
        for top in run["first_top10"].as_array().unwrap() {
            let ours = f64::from(logits[top["id"].as_u64().unwrap() as usize]);
            let error = (ours - top["logit"].as_f64().unwrap()).abs();
            largest_error = largest_error.max(error);
            assert!(error <= LOGIT_BOUND, "{top}: ours {ours}");
        }
        let gaps = run["greedy_top1_top2_gap"].as_array().unwrap();
        for ((position, id), gap) in (columns..).zip(&answer).zip(gaps) {
            if gap.as_f64().unwrap() > CLEAR_GAP {
                let prompt = &run["prompt"];
                assert_eq!(argmax(&logits), *id, "position {position} of {prompt}");
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
            let start = Instant::now();
            block_on(executor.run(&step, Input::Tokens(&[*id]), &mut logits)).unwrap();
            decoding += start.elapsed();
            decoded += 1;
        }
    }
    println!(
        "{compared} clear tokens, largest logit error {largest_error:.1e}, decode {:?} per token",
        decoding / decoded
    );
    assert!(compared >= 90, "only {compared} positions have a clear gap");
}
