//! Several questions at once: each is answered as if it were alone, whatever happens to the others and to the room.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use std::sync::Arc;

use model::{NumericClass, UnitRange, WireDtype, segment};
use plan::{MemberId, Stage};
use session::{Command, Event};
use tests::{
    Model, Room,
    compute::adding::{BLOCKS, UNIT_BYTES, answer_to, graph, room_of, undisturbed},
    network::Network,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOST: MemberId = MemberId::HOST;
const TOKENS: u32 = 24;
const PATIENCE_MS: u64 = 60_000;

fn prompt(number: u32) -> Vec<u32> {
    (0..3 + 5 * number)
        .map(|at| (17 * at + 29 * number) % 101)
        .collect()
}

fn ask(room: &mut Room, questions: u32) -> Vec<u32> {
    (0..questions)
        .map(|number| room.ask(&prompt(number % 5), TOKENS))
        .collect()
}

/// All of them come to their end, each with the ids it has alone.
fn expect_answers(room: &mut Room, questions: &[u32]) {
    let answers = questions.len();
    assert!(
        room.run_until(PATIENCE_MS, |room| room.answers() == answers),
        "{:?}",
        room.interruptions()
    );
    for (number, question) in (0..).zip(questions) {
        let expected = answer_to(&prompt(number % 5), TOKENS as usize);
        assert_eq!(room.answer_to(*question), expected, "question {number}");
    }
    assert_eq!(room.faults(HOST), []);
}

/// Some tokens of the first answer are there.
fn writing(mut room: Room, questions: u32) -> (Room, Vec<u32>) {
    let asked = ask(&mut room, questions);
    room.run_until(PATIENCE_MS, |room| room.answer_to(asked[0]).len() == 4);
    (room, asked)
}

#[test]
fn each_is_answered_as_if_it_were_alone() {
    for budgets in [&[20][..], &[6, 6], &[4, 4, 4]] {
        let mut room = room_of(budgets);
        assert_eq!(room.plan().unwrap().slots, 4);
        let asked = ask(&mut room, 4);
        expect_answers(&mut room, &asked);
    }
}

#[test]
fn they_are_written_side_by_side_and_the_others_wait_their_turn() {
    let mut room = room_of(&[4, 4, 4]);
    let asked = ask(&mut room, 6);
    room.run_until(PATIENCE_MS, |room| room.answers() == 1);
    let begun: Vec<bool> = asked
        .iter()
        .map(|question| !room.answer_to(*question).is_empty())
        .collect();
    assert_eq!(begun[..4], [true; 4]);
    assert!(!begun[5], "{begun:?}");
    expect_answers(&mut room, &asked);
}

#[test]
fn a_queue_that_is_full_says_so() {
    let mut room = room_of(&[6, 6]);
    let asked = ask(&mut room, 20);
    assert_eq!(room.codes(HOST), [""; 0]);
    ask(&mut room, 1);
    assert_eq!(room.codes(HOST), ["session.queue_full"]);
    assert!(room.run_until(10 * PATIENCE_MS, |room| room.answers() == 20));
    for (number, question) in (0..).zip(asked) {
        assert_eq!(
            room.answer_to(question),
            answer_to(&prompt(number % 5), TOKENS as usize)
        );
    }
}

#[test]
fn one_that_is_stopped_leaves_the_others_alone() {
    for stopped in 0..6 {
        let (mut room, asked) = writing(room_of(&[4, 4, 4]), 6);
        let question = asked[stopped];
        room.command(HOST, Command::Stop { question });
        let reason = room.events(HOST).rev().find_map(|event| match event {
            Event::Finished {
                question: of,
                reason,
                ..
            } if *of == question => Some(reason.word()),
            _ => None,
        });
        assert_eq!(reason, Some("cancelled"));
        let before = room.answer_to(question);
        assert!(room.run_until(PATIENCE_MS, |room| room.answers() == 6));
        assert_eq!(room.answer_to(question), before);
        for (number, other) in (0..).zip(asked).filter(|(_, other)| *other != question) {
            assert_eq!(
                room.answer_to(other),
                answer_to(&prompt(number % 5), TOKENS as usize)
            );
        }
    }
}

#[test]
fn all_of_them_survive_a_fault_at_any_time() {
    let faults: [fn(&mut Room); 5] = [
        |room| drop(room.close_tab(room.ring()[1])),
        |room| room.kill(room.ring()[2]),
        |room| room.cut(room.ring()[1], room.ring()[2]),
        |room| room.phone_mut(HOST).ailment.broken_runs = 1,
        |room| {
            let broken = room.ring()[1];
            room.phone_mut(broken).ailment.broken_runs = 1;
        },
    ];
    for fault in faults {
        for wait_ms in (0..120).step_by(13) {
            let mut room = room_of(&[4, 4, 4, 4]);
            let asked = ask(&mut room, 5);
            room.run(wait_ms);
            fault(&mut room);
            expect_answers(&mut room, &asked);
            assert!(!room.interruptions().is_empty(), "the fault took effect");
        }
    }
}

#[test]
fn units_move_under_all_of_them() {
    let (mut room, asked) = writing(room_of(&[6, 6, 6]), 5);
    for turn in 0..6 {
        let mut stages: Vec<Stage> = room.plan().unwrap().stages.clone();
        let boundary = stages[1].units.start;
        let boundary = if turn % 2 == 0 {
            boundary + 1
        } else {
            boundary - 1
        };
        stages[0].units.end = boundary;
        stages[1].units.start = boundary;
        let epoch = room.plan().unwrap().epoch;
        room.command(HOST, Command::Move { stages });
        assert!(room.run_until(PATIENCE_MS, |room| room.plan().unwrap().epoch > epoch));
        room.run(15);
    }
    expect_answers(&mut room, &asked);
}

#[test]
fn with_less_memory_fewer_are_in_flight_and_none_is_lost() {
    const CLASS: NumericClass = NumericClass {
        wire: WireDtype::F32,
        chunk_columns: 4,
        context_columns: 640,
    };
    let graph = Arc::new(graph(BLOCKS));
    let scratch = segment::scratch_bytes(&graph, CLASS.chunk_columns);
    let all = [UnitRange {
        start: 0,
        end: BLOCKS + 2,
    }];
    let kv = segment::kv_bytes(&graph, &all, CLASS.context_columns);
    let budget = |units: u64, kv_bytes: u64| units * UNIT_BYTES + scratch + kv_bytes;
    // Three attention units: one with the host, two with the next phone, room for the KV of two requests. The last phone has plenty.
    let budgets = [
        budget(4, 5 * kv / 6),
        budget(4, 5 * kv / 3),
        budget(8, 4 * kv),
    ];
    let plenty = MemberId(2);
    let model = Model::Adding(graph, 1.0);
    let mut room = Room::open(model, CLASS, &budgets, Network::new(1, 0));
    room.begin();
    assert!(room.ring().contains(&plenty));
    let before = room.plan().unwrap().slots;
    let asked: Vec<_> = (0..5)
        .map(|number| room.ask(&prompt(number), TOKENS))
        .collect();
    room.run_until(PATIENCE_MS, |room| room.answer_to(asked[3]).len() > 3);
    drop(room.close_tab(plenty));
    assert!(room.run_until(PATIENCE_MS, |room| room.answers() == 5));
    assert_eq!((before, room.plan().unwrap().slots), (4, 2));
    for (number, question) in (0..).zip(asked) {
        assert_eq!(
            room.answer_to(question),
            undisturbed(BLOCKS, CLASS, &prompt(number), TOKENS as usize)
        );
    }
}
