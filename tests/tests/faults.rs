//! Phones that vanish, leave, are stopped or asked twice: a typed answer, and the room goes on (I8).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::sync::Arc;

use model::{NumericClass, WireDtype};
use plan::MemberId;
use session::{Command, Event};
use tests::{Model, ModelFile, Room, budgets, model_file::workspace, network::Network};

const HOST: MemberId = MemberId::HOST;
/// Longest silence before a phone counts as lost, and the way of the news, ms.
const NOTICED_MS: u64 = 5_000;
const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 8,
    context_columns: 64,
};

fn reference(key: &str) -> Vec<u32> {
    let path = workspace("tests/fixtures/tiny-llama/reference.json");
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ids = json[key].as_array().unwrap().iter();
    ids.map(|id| id.as_u64().unwrap() as u32).collect()
}

fn prompt() -> Vec<u32> {
    reference("input_ids")
}

/// What a whole answer is.
fn greedy() -> Vec<u32> {
    reference("greedy32")
}

fn exact(file: &Arc<ModelFile>, phones: u32) -> Vec<u64> {
    budgets::exact(file, CLASS, phones)
}

/// Five tokens of the first answer are written, in a room of phones with these budgets.
fn answering(file: &Arc<ModelFile>, budgets: &[u64]) -> Room {
    let mut room = Room::open(
        Model::Real(file.clone()),
        CLASS,
        budgets,
        Network::new(3, 4),
    );
    room.begin();
    room.ask(&prompt(), 32);
    assert!(room.run_until(60_000, |room| room.answer().len() == 5));
    room
}

/// The host and one of two other phones hold the model.
fn room_with_a_spare() -> Room {
    let file = ModelFile::tiny_llama();
    let budgets = exact(&file, 2);
    answering(&file, &[budgets[0], budgets[1], budgets[1]])
}

/// Peers 1 and 2 are neighbours in the ring, whichever comes first.
fn room_of_three() -> Room {
    let file = ModelFile::tiny_llama();
    answering(&file, &exact(&file, 3))
}

fn used_peer(room: &Room) -> MemberId {
    let mut members = room.ring().into_iter();
    members.find(|member| *member != HOST).unwrap()
}

fn expect_interruption(room: &mut Room, code: &str) {
    let told = |room: &Room| !room.interruptions().is_empty();
    assert!(room.run_until(NOTICED_MS, told), "nothing was noticed");
    assert_eq!(room.interruptions(), [code]);
}

fn expect_no_faults(room: &Room) {
    for member in room.phones.keys() {
        assert_eq!(room.faults(*member), [], "{member:?}");
    }
}

/// The answer being written comes to its end, and it is what it would have been.
fn expect_the_rest(room: &mut Room) {
    let before = room.answers();
    let ended = |room: &Room| room.answers() > before;
    assert!(room.run_until(60_000, ended), "{:?}", room.interruptions());
    assert_eq!(room.answer(), greedy());
    expect_no_faults(room);
}

fn expect_whole_answer(room: &mut Room) {
    room.ask(&prompt(), 32);
    expect_the_rest(room);
}

#[test]
fn a_phone_that_vanishes_is_replaced_and_the_answer_goes_on() {
    let mut room = room_with_a_spare();
    let lost = used_peer(&room);
    room.kill(lost);
    expect_interruption(&mut room, "member.lost");
    expect_the_rest(&mut room);
    assert_ne!(used_peer(&room), lost);
    expect_whole_answer(&mut room);
}

#[test]
fn without_a_replacement_the_answer_waits_for_one() {
    let file = ModelFile::tiny_llama();
    let budgets = exact(&file, 2);
    let mut room = answering(&file, &budgets);
    room.kill(MemberId(1));
    room.run(20_000);
    assert_eq!(room.interruptions(), ["member.lost", "capacity"]);
    assert!(room.answer().len() < 32);
    let again = room.join(budgets[1]);
    expect_the_rest(&mut room);
    assert_eq!(used_peer(&room), again);
}

#[test]
fn a_waiting_answer_can_be_stopped() {
    let file = ModelFile::tiny_llama();
    let budgets = exact(&file, 2);
    let mut room = answering(&file, &budgets);
    room.kill(MemberId(1));
    room.run(20_000);
    room.stop();
    assert_eq!(room.finished(), Some("cancelled"));
    room.join(budgets[1]);
    room.run(2_000);
    expect_whole_answer(&mut room);
}

#[test]
fn a_spare_phone_that_vanishes_disturbs_nobody() {
    let mut room = room_with_a_spare();
    let used = used_peer(&room);
    let spare = [MemberId(1), MemberId(2)]
        .into_iter()
        .find(|peer| *peer != used);
    room.kill(spare.unwrap());
    expect_the_rest(&mut room);
    room.run(NOTICED_MS);
    expect_whole_answer(&mut room);
    expect_no_faults(&room);
}

#[test]
fn a_phone_that_leaves_says_so() {
    let mut room = room_with_a_spare();
    let leaving = used_peer(&room);
    room.command(leaving, Command::Leave);
    assert_eq!(room.events(leaving).next_back(), Some(&Event::Left));
    expect_interruption(&mut room, "member.lost");
    expect_the_rest(&mut room);
}

#[test]
fn when_the_host_leaves_the_room_ends_in_good_order() {
    let mut room = room_with_a_spare();
    room.command(HOST, Command::Leave);
    room.run(NOTICED_MS);
    for member in room.phones.keys() {
        assert_eq!(room.events(*member).next_back(), Some(&Event::Left));
    }
    expect_no_faults(&room);
}

#[test]
fn when_the_host_vanishes_the_others_are_told() {
    let mut room = room_with_a_spare();
    room.kill(HOST);
    for member in [MemberId(1), MemberId(2)] {
        let lost = |event: &Event| matches!(event, Event::Interrupted { .. });
        assert!(room.run_until(NOTICED_MS, |room| room.events(member).any(lost)));
        assert!(room.run_until(40_000, |room| !room.faults(member).is_empty()));
        let [(fault, fatal)] = room.faults(member)[..] else {
            panic!("one fault");
        };
        assert_eq!((fault.code.as_str(), fatal), ("host.lost", true));
    }
}

#[test]
fn a_lost_connection_between_two_peers_is_survived() {
    let mut room = room_of_three();
    room.cut(MemberId(1), MemberId(2));
    expect_interruption(&mut room, "link.lost");
    expect_the_rest(&mut room);
    // One lost connection interrupts once, though both ends tell it.
    assert_eq!(room.interruptions(), ["link.lost"]);
}

#[test]
fn a_stopped_answer_ends_and_the_next_one_is_whole() {
    let mut room = room_with_a_spare();
    room.stop();
    assert_eq!(room.finished(), Some("cancelled"));
    assert_eq!(room.answer(), greedy()[..5]);
    expect_whole_answer(&mut room);
    expect_no_faults(&room);
}

#[test]
fn stopping_at_any_moment_leaves_nothing_behind() {
    let mut room = room_of_three();
    room.stop();
    for wait_ms in 0..60 {
        room.ask(&prompt(), 32);
        room.run(wait_ms);
        room.stop();
        let before = room.answers();
        room.ask(&prompt(), 2);
        assert!(room.run_until(60_000, |room| room.answers() > before));
        assert_eq!(room.answer(), greedy()[..2], "stopped after {wait_ms} ms");
    }
    expect_no_faults(&room);
}

#[test]
fn questions_asked_while_an_answer_is_written_are_answered_as_well() {
    let file = ModelFile::tiny_llama();
    let exact = exact(&file, 3);
    let roomy = exact.iter().map(|bytes| 2 * bytes).collect();
    for (budgets, several) in [(exact, false), (roomy, true)] {
        let mut room = answering(&file, &budgets);
        assert_eq!(room.plan().unwrap().slots > 1, several);
        let shorter = &prompt()[..3];
        let questions = [
            room.ask(&prompt(), 32),
            room.ask(shorter, 20),
            room.ask(&prompt(), 32),
        ];
        assert!(room.run_until(60_000, |room| room.answers() == 4));
        assert_eq!(room.answer_to(questions[0]), greedy());
        assert_eq!(room.answer_to(questions[2]), greedy());
        let beside = room.answer_to(questions[1]);
        let alone = room.ask(shorter, 20);
        assert!(room.run_until(60_000, |room| room.answers() == 5));
        assert_eq!(beside, room.answer_to(alone));
        expect_no_faults(&room);
    }
}

#[test]
fn a_phone_alone_answers_however_long_nobody_asked() {
    let file = ModelFile::tiny_llama();
    let mut room = answering(&file, &exact(&file, 1));
    expect_the_rest(&mut room);
    room.run(3_600_000);
    expect_whole_answer(&mut room);
}

#[test]
fn frames_of_earlier_answers_and_plans_are_ignored() {
    let mut room = room_of_three();
    room.stop();
    room.tape = Some(Vec::new());
    expect_whole_answer(&mut room);
    let old = room.tape.take().unwrap();
    assert!(!old.is_empty());
    // First of an old request, then of an old epoch, too.
    for expected in [3, 4] {
        room.ask(&prompt(), 32);
        for message in old.iter().cloned() {
            room.run(2);
            room.send(message);
        }
        assert!(room.run_until(60_000, |room| room.answers() == expected));
        assert_eq!(room.answer(), greedy());
        room.begin();
    }
    expect_no_faults(&room);
}
