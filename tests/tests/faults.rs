//! Phones that vanish, leave, are stopped or asked twice: a typed answer, and the room goes on (I8).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::sync::Arc;

use model::{NumericClass, WireDtype};
use plan::MemberId;
use session::{Command, Event, Input};
use tests::{ModelFile, Room, budgets, model_file::workspace, network::Network};

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
    let mut room = Room::open(file, CLASS, budgets, Network::new(3, 4));
    room.begin();
    room.ask(&prompt(), 32, 0);
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
    let stages = room.plan().unwrap().stages;
    let peer = stages.iter().find(|stage| stage.member != HOST);
    peer.unwrap().member
}

fn command(room: &mut Room, member: MemberId, command: Command) {
    room.input(member, Input::Command(command));
}

fn events(room: &Room, member: MemberId) -> &[Event] {
    &room.phones.get(&member).unwrap().events
}

/// Codes of what failed on a page, and whether that was the end for it.
fn faults(room: &Room, member: MemberId) -> Vec<(&str, bool)> {
    let faults = events(room, member).iter().filter_map(|event| match event {
        Event::Failed { fault, fatal } => Some((fault.code.as_str(), *fatal)),
        _ => None,
    });
    faults.collect()
}

fn expect_fault(room: &mut Room, member: MemberId, code: &str, fatal: bool) {
    let told = |room: &Room| !faults(room, member).is_empty();
    assert!(room.run_until(NOTICED_MS, told), "nothing was noticed");
    assert_eq!(faults(room, member), [(code, fatal)]);
}

fn expect_no_faults(room: &Room) {
    for member in room.phones.keys() {
        assert_eq!(faults(room, *member), [], "{member:?}");
    }
}

/// Answers that ended in good order.
fn finished(room: &Room) -> usize {
    let finished = |event: &&Event| matches!(event, Event::Finished { .. });
    events(room, HOST).iter().filter(finished).count()
}

/// What was shown is right, and it is not all.
fn expect_unfinished(room: &Room) {
    let shown = room.answer();
    assert!(shown.len() < 32);
    assert_eq!(shown, greedy()[..shown.len()]);
    assert_eq!(finished(room), 0);
}

fn expect_whole_answer(room: &mut Room) {
    let before = finished(room);
    room.ask(&prompt(), 32, 0);
    let ended = |room: &Room| finished(room) > before;
    assert!(room.run_until(60_000, ended), "{:?}", faults(room, HOST));
    assert_eq!(room.answer(), greedy());
}

#[test]
fn a_phone_that_vanishes_is_missed_and_the_others_go_on() {
    let mut room = room_with_a_spare();
    let lost = used_peer(&room);
    room.kill(lost);
    expect_fault(&mut room, HOST, "member.lost", false);
    expect_unfinished(&room);
    room.begin();
    expect_whole_answer(&mut room);
    assert_ne!(used_peer(&room), lost);
}

#[test]
fn without_the_lost_phone_questions_wait_for_a_new_plan() {
    let mut room = room_with_a_spare();
    room.kill(used_peer(&room));
    expect_fault(&mut room, HOST, "member.lost", false);
    room.ask(&prompt(), 4, 0);
    let expected = [("member.lost", false), ("session.not_ready", false)];
    assert_eq!(faults(&room, HOST), expected);
}

#[test]
fn a_spare_phone_that_vanishes_disturbs_nobody() {
    let mut room = room_with_a_spare();
    let used = used_peer(&room);
    let spare = [MemberId(1), MemberId(2)]
        .into_iter()
        .find(|peer| *peer != used);
    room.kill(spare.unwrap());
    assert!(room.run_until(60_000, |room| finished(room) == 1));
    assert_eq!(room.answer(), greedy());
    room.run(NOTICED_MS);
    expect_whole_answer(&mut room);
    expect_no_faults(&room);
}

#[test]
fn a_phone_that_leaves_says_so() {
    let mut room = room_with_a_spare();
    let leaving = used_peer(&room);
    command(&mut room, leaving, Command::Leave);
    assert_eq!(events(&room, leaving).last(), Some(&Event::Left));
    assert_eq!(faults(&room, leaving), []);
    expect_fault(&mut room, HOST, "member.lost", false);
    expect_unfinished(&room);
    room.begin();
    expect_whole_answer(&mut room);
}

#[test]
fn a_phone_may_come_back() {
    let file = ModelFile::tiny_llama();
    let budgets = exact(&file, 2);
    let mut room = answering(&file, &budgets);
    room.kill(MemberId(1));
    expect_fault(&mut room, HOST, "member.lost", false);
    let again = room.join(budgets[1]);
    room.run(2_000);
    room.begin();
    expect_whole_answer(&mut room);
    assert_eq!(used_peer(&room), again);
}

#[test]
fn when_the_host_leaves_the_room_ends_in_good_order() {
    let mut room = room_with_a_spare();
    command(&mut room, HOST, Command::Leave);
    room.run(NOTICED_MS);
    for member in room.phones.keys() {
        assert_eq!(events(&room, *member).last(), Some(&Event::Left));
    }
    expect_no_faults(&room);
}

#[test]
fn when_the_host_vanishes_the_others_are_told() {
    let mut room = room_with_a_spare();
    room.kill(HOST);
    for member in [MemberId(1), MemberId(2)] {
        expect_fault(&mut room, member, "host.lost", true);
    }
}

#[test]
fn a_lost_connection_between_two_peers_is_survived() {
    let mut room = room_of_three();
    room.cut(MemberId(1), MemberId(2));
    expect_fault(&mut room, HOST, "link.lost", false);
    expect_unfinished(&room);
    // Until the other one told it, too.
    room.run(100);
    // No new plan is needed: the host relays.
    expect_whole_answer(&mut room);
    assert_eq!(faults(&room, HOST), [("link.lost", false)]);
}

#[test]
fn one_lost_connection_ends_one_answer() {
    let mut room = room_of_three();
    room.cut(MemberId(1), MemberId(2));
    expect_fault(&mut room, HOST, "link.lost", false);
    expect_whole_answer(&mut room);
}

#[test]
fn a_stopped_answer_ends_and_the_next_one_is_whole() {
    let mut room = room_with_a_spare();
    command(&mut room, HOST, Command::Stop);
    let reason = events(&room, HOST)
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::Finished { reason, .. } => Some(reason.as_str()),
            _ => None,
        });
    assert_eq!(reason, Some("cancelled"));
    assert_eq!(room.answer(), greedy()[..5]);
    expect_whole_answer(&mut room);
    expect_no_faults(&room);
}

#[test]
fn stopping_at_any_moment_leaves_nothing_behind() {
    let mut room = room_of_three();
    command(&mut room, HOST, Command::Stop);
    for wait_ms in 0..60 {
        room.ask(&prompt(), 32, wait_ms);
        command(&mut room, HOST, Command::Stop);
        let before = finished(&room);
        room.ask(&prompt(), 2, 0);
        assert!(room.run_until(60_000, |room| finished(room) > before));
        assert_eq!(room.answer(), greedy()[..2], "stopped after {wait_ms} ms");
    }
    expect_no_faults(&room);
}

#[test]
fn a_second_question_is_refused_and_the_first_is_answered() {
    let mut room = room_with_a_spare();
    room.ask(&prompt(), 32, 0);
    assert_eq!(faults(&room, HOST), [("session.busy", false)]);
    assert!(room.run_until(60_000, |room| finished(room) == 1));
    assert_eq!(room.answer(), greedy());
}

#[test]
fn frames_of_earlier_answers_and_plans_are_ignored() {
    let mut room = room_of_three();
    command(&mut room, HOST, Command::Stop);
    room.tape = Some(Vec::new());
    expect_whole_answer(&mut room);
    let old = room.tape.take().unwrap();
    assert!(!old.is_empty());
    // First of an old request, then of an old epoch, too.
    for expected in [3, 4] {
        room.ask(&prompt(), 32, 0);
        for message in old.iter().cloned() {
            room.run(2);
            room.send(message);
        }
        assert!(room.run_until(60_000, |room| finished(room) == expected));
        assert_eq!(room.answer(), greedy());
        room.begin();
    }
    expect_no_faults(&room);
}
