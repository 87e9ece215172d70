//! Whole answers through rooms of virtual phones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::sync::Arc;

use model::{NumericClass, UnitRange, WireDtype, segment};
use plan::MemberId;
use tests::{Model, ModelFile, Room, model_file::workspace, network::Network};

fn class(wire: WireDtype) -> NumericClass {
    NumericClass {
        wire,
        chunk_columns: NumericClass::DEFAULT_CHUNK_COLUMNS,
        context_columns: 128,
    }
}

fn json(path: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(workspace("tests/fixtures").join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn ids(value: &serde_json::Value) -> Vec<u32> {
    let ids = value.as_array().unwrap().iter();
    ids.map(|id| id.as_u64().unwrap() as u32).collect()
}

/// Bytes a phone needs for everything besides the embedding and the head, divided by the phones.
fn shares(file: &ModelFile, class: NumericClass, phones: u64) -> Vec<u64> {
    let end = file.graph.units.len() as u32;
    let bytes = |start, end| {
        let range = [UnitRange { start, end }];
        segment::weight_bytes(&file.graph, &range)
            + segment::kv_bytes(&file.graph, &range, class.context_columns)
    };
    let largest_unit = (1..end - 1)
        .map(|unit| bytes(unit, unit + 1))
        .max()
        .unwrap();
    let scratch = segment::scratch_bytes(&file.graph, class.chunk_columns);
    let pinned = segment::weight_bytes(
        &file.graph,
        &[
            UnitRange { start: 0, end: 1 },
            UnitRange {
                start: end - 1,
                end,
            },
        ],
    );
    let share = bytes(1, end - 1) / phones + largest_unit + scratch;
    (0..phones)
        .map(|phone| if phone == 0 { share + pinned } else { share })
        .collect()
}

fn answer(
    file: &Arc<ModelFile>,
    wire: WireDtype,
    phones: u64,
    prompt: &[u32],
    seed: u64,
) -> Vec<u32> {
    let class = class(wire);
    let budgets = shares(file, class, phones);
    let mut room = Room::open(
        Model::Real(file.clone()),
        class,
        &budgets,
        Network::new(seed, 20),
    );
    room.begin();
    room.ask(prompt, 32);
    room.run(120_000);
    assert_eq!(
        room.faults(MemberId::HOST),
        [],
        "{phones} phones, seed {seed}"
    );
    let members: Vec<_> = room
        .plan()
        .unwrap()
        .stages
        .iter()
        .map(|stage| stage.member)
        .collect();
    assert!(
        members.len() as u64 >= phones,
        "every phone is needed: {members:?}"
    );
    let answer = room.answer();
    assert_eq!(answer.len(), 32, "{phones} phones, seed {seed}");
    answer
}

#[test]
fn tiny_llama_answers_alike_on_one_two_three_and_five_phones() {
    let (file, reference) = (ModelFile::tiny_llama(), json("tiny-llama/reference.json"));
    let prompt = ids(&reference["input_ids"]);
    let alone = answer(&file, WireDtype::F32, 1, &prompt, 1);
    for phones in [2, 3, 5] {
        assert_eq!(
            answer(&file, WireDtype::F32, phones, &prompt, phones),
            alone
        );
    }
    let alone = answer(&file, WireDtype::F16Scaled, 1, &prompt, 1);
    for phones in [2, 3, 5] {
        assert_eq!(
            answer(&file, WireDtype::F16Scaled, phones, &prompt, phones),
            alone
        );
    }
}

#[test]
fn whatever_the_network_does_the_answer_is_the_same() {
    let (file, reference) = (ModelFile::tiny_llama(), json("tiny-llama/reference.json"));
    let prompt = ids(&reference["input_ids"]);
    let expected = answer(&file, WireDtype::F16Scaled, 3, &prompt, 0);
    for seed in 1..30 {
        assert_eq!(
            answer(&file, WireDtype::F16Scaled, 3, &prompt, seed),
            expected,
            "seed {seed}"
        );
    }
}

#[test]
fn smollm2_answers_alike_on_one_two_three_and_five_phones() {
    let file = ModelFile::smollm2();
    let prompt: Vec<u32> = (0..40).map(|i| 200 + 137 * i).collect();
    let alone = answer(&file, WireDtype::F16Scaled, 1, &prompt, 1);
    for phones in [2, 3, 5] {
        assert_eq!(
            answer(&file, WireDtype::F16Scaled, phones, &prompt, phones),
            alone
        );
    }
}

#[test]
fn three_small_phones_answer_and_two_are_told_what_is_missing() {
    let file = ModelFile::smollm2();
    let class = class(WireDtype::F16Scaled);
    let budgets = shares(&file, class, 3);
    let model_bytes = file.bytes.len() as u64;
    assert!(budgets.iter().all(|budget| *budget < model_bytes));

    let mut three = Room::open(
        Model::Real(file.clone()),
        class,
        &budgets,
        Network::new(1, 5),
    );
    three.begin();
    three.ask(&[1, 2, 3], 4);
    // Later, in idle time, come those that moves would bring.
    three.run_until(20_000, |room| room.answers() == 1);
    assert_eq!(three.answer().len(), 4);
    let plan = three.plan().unwrap();
    for (member, phone) in &three.phones {
        let stages = plan.stages.iter().filter(|stage| stage.member == *member);
        let units: Vec<_> = stages.map(|stage| stage.units).collect();
        let needed = segment::weight_bytes(&file.graph, &units);
        assert!(
            phone.storage.borrow().fetched_bytes + file.header_bytes
                <= (needed + file.header_bytes) * 102 / 100
        );
    }

    let mut two = Room::open(
        Model::Real(file.clone()),
        class,
        &budgets[..2],
        Network::new(1, 5),
    );
    two.begin();
    let faults = two.faults(MemberId::HOST);
    assert_eq!(faults[0].0.code, "capacity");
    assert!(
        faults[0].0.message.contains("MiB short"),
        "{}",
        faults[0].0.message
    );
}
