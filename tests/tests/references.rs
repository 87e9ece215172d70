//! Rooms answer as the references do (numeric contract, rule 5), on any number of phones and any network (I11).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::sync::Arc;

use model::{NumericClass, WireDtype};
use plan::MemberId;
use tests::{Model, ModelFile, Room, budgets, model_file::workspace, network::Network};

/// Where the reference's best logit leads by less than this, its token is not the only right one.
const CLEAR_GAP: f64 = 0.5;

fn json(path: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(workspace("tests/fixtures").join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn ids(value: &serde_json::Value) -> Vec<u32> {
    let ids = value.as_array().unwrap().iter();
    ids.map(|id| id.as_u64().unwrap() as u32).collect()
}

/// A room that needs every one of its phones writes 32 tokens on an f32 wire.
fn answer(
    file: &Arc<ModelFile>,
    chunk_columns: u32,
    phones: u32,
    network: Network,
    prompt: &[u32],
) -> Vec<u32> {
    let class = NumericClass {
        wire: WireDtype::F32,
        chunk_columns,
        context_columns: 128,
    };
    let budgets = budgets::exact(file, class, phones);
    let mut room = Room::open(Model::Real(file.clone()), class, &budgets, network);
    room.begin();
    room.ask(prompt, 32);
    room.run(120_000);
    assert_eq!(room.faults(MemberId::HOST), []);
    let plan = room.plan().unwrap();
    for member in room.phones.keys() {
        let used = plan.stages.iter().any(|stage| stage.member == *member);
        assert!(used, "{member:?} is not in {:?}", plan.stages);
    }
    room.answer()
}

#[test]
fn tiny_llama_writes_what_torch_writes_in_rooms_of_every_size_and_chunk() {
    let (file, reference) = (ModelFile::tiny_llama(), json("tiny-llama/reference.json"));
    let prompt = ids(&reference["input_ids"]);
    for phones in [1, 2, 3, 4, 5, 8] {
        for chunk_columns in [7, 32] {
            let network = Network::new(u64::from(phones), 10);
            let answer = answer(&file, chunk_columns, phones, network, &prompt);
            assert_eq!(
                answer,
                ids(&reference["greedy32"]),
                "{phones} phones, chunks of {chunk_columns}"
            );
        }
    }
}

#[test]
fn fifty_bad_networks_do_not_change_what_is_written() {
    let (file, reference) = (ModelFile::tiny_llama(), json("tiny-llama/reference.json"));
    let prompt = ids(&reference["input_ids"]);
    for seed in 0..50 {
        let answer = answer(&file, 8, 4, Network::new(seed, 80), &prompt);
        assert_eq!(answer, ids(&reference["greedy32"]), "seed {seed}");
    }
}

#[test]
fn smollm2_writes_what_its_f32_twin_writes_while_that_is_sure() {
    let (file, reference) = (ModelFile::smollm2(), json("smollm2-f32.json"));
    let mut compared = 0;
    for run in reference["runs"].as_array().unwrap() {
        let prompt = ids(&run["ids"]);
        let answer = answer(&file, 32, 3, Network::new(1, 10), &prompt);
        let gaps = run["greedy_top1_top2_gap"].as_array().unwrap();
        let sure = gaps.iter().map(|gap| gap.as_f64().unwrap() > CLEAR_GAP);
        let sure = sure.take_while(|sure| *sure).count().min(answer.len());
        assert_eq!(answer[..sure], ids(&run["greedy_ids"])[..sure]);
        compared += sure;
    }
    assert!(compared >= 6, "only {compared} tokens were compared");
}
