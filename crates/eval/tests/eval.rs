//! The tool as a person runs it, against torch.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::process::{Command, Output};

use serde_json::Value;

fn fixture(path: &str) -> String {
    format!("{}/../../tests/fixtures/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn reference(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture(&format!("tiny-{name}/reference.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn eval(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_eval"))
        .args(arguments)
        .output()
        .unwrap()
}

fn report(file: &str, reference: &Value, more: &[&str]) -> Value {
    let ids: Vec<String> = reference["input_ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    let (file, ids) = (fixture(file), ids.join(","));
    let output = eval(&[&[file.as_str(), "--ids", &ids, "--json"], more].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_close(report: &Value, reference: &Value, bound: f64) {
    let numbers = |value: &Value| -> Vec<f64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|number| number.as_f64().unwrap())
            .collect()
    };
    let (found, expected) = (
        numbers(&report["last_logits"]),
        numbers(&reference["logits_last"]),
    );
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= bound, "{found} {expected}");
    }
    assert_eq!(report["greedy_ids"], reference["greedy32"]);
    let surprise = report["perplexity"].as_f64().unwrap().ln();
    assert!((surprise - reference["mean_nll"].as_f64().unwrap()).abs() < bound);
    assert_eq!(report["gaps"].as_array().unwrap().len(), 32);
    assert_eq!(report["top_k"][0]["id"], reference["greedy32"][0]);
}

#[test]
fn a_gguf_file_and_a_repository_give_what_torch_gives() {
    for file in ["tiny-gemma3/model-f32.gguf", "tiny-gemma3"] {
        let reference = reference("gemma3");
        assert_close(&report(file, &reference, &[]), &reference, 1e-4);
    }
    let reference = reference("gptj");
    assert_close(
        &report(
            "tiny-gptj",
            &reference,
            &["--executor", "gpu", "--split", "3"],
        ),
        &reference,
        1e-3,
    );
}

#[test]
fn segments_do_not_change_a_bit_and_the_wire_costs_little() {
    let reference = reference("bloom");
    let file = "tiny-bloom/model-f32.gguf";
    let mut costs = Vec::new();
    for wire in ["f32", "f16"] {
        let whole = report(file, &reference, &["--wire", wire]);
        for split in ["2", "3", "10"] {
            let split = report(file, &reference, &["--wire", wire, "--split", split]);
            assert_eq!(split["last_logits"], whole["last_logits"]);
            assert_eq!(split["greedy_ids"], whole["greedy_ids"]);
        }
        costs.push(whole["perplexity"].as_f64().unwrap());
    }
    let cost = costs[1] / costs[0] - 1.0;
    println!(
        "the f16 wire changes tiny-bloom's perplexity by {:.4} %",
        100.0 * cost
    );
    assert!(cost.abs() < 0.005);
}

#[test]
fn what_makes_no_sense_is_a_typed_error() {
    let llama = fixture("tiny-llama/model-f32.gguf");
    let missing = fixture("nothing.gguf");
    let no_gguf = fixture("tiny-llama/config.json");
    for (arguments, code) in [
        (
            [llama.as_str(), "--ids", "1", "--split", "99"],
            "eval.question",
        ),
        ([&llama, "--ids", "512", "--split", "1"], "engine.misuse"),
        ([&missing, "--ids", "1", "--split", "1"], "setup.file"),
        ([&no_gguf, "--ids", "1", "--split", "1"], "model.not_gguf"),
        (
            [&llama, "--ids", "1", "--max-tokens", "600"],
            "eval.question",
        ),
    ] {
        let output = eval(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains(&format!("error[{code}]")), "{said}");
    }
}
