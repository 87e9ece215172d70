//! Questions of members that are not the host: they travel to it, are answered beside the others, and the text travels back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use std::{collections::BTreeSet, sync::Arc};

use plan::MemberId;
use proto::{Slice, control::MAX_QUESTION_BYTES};
use session::{Command, Ending, Event};
use tests::{
    Model, Room,
    compute::adding::{BLOCKS, CLASS, answer_to, graph, room_of, usable_bytes},
    network::Network,
    reload::Begun,
    room::host_config,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOST: MemberId = MemberId::HOST;
const A: MemberId = MemberId(1);
const B: MemberId = MemberId(2);
const TOKENS: u32 = 12;
const PROMPT: [u32; 5] = [5, 17, 3, 99, 41];

/// As the simulated driver reads it: tokens wanted, then the prompt.
fn payload(prompt: &[u32], tokens: u32) -> String {
    let ids = core::iter::once(&tokens).chain(prompt);
    ids.map(|id| format!("{id} ")).collect()
}

fn ask(room: &mut Room, member: MemberId, question: u32, prompt: &[u32]) {
    let payload = payload(prompt, TOKENS);
    room.command(member, Command::Ask { question, payload });
}

/// What a page was told of a question: text, and how it ended.
fn told(room: &Room, member: MemberId, of: u32) -> (String, Option<String>) {
    let (mut said, mut end) = (String::new(), None);
    for event in room.events(member) {
        match event {
            Event::Token { question, text, .. } if *question == of => {
                assert_eq!(end, None, "nothing comes after the end");
                said.push_str(text);
            }
            Event::Finished {
                question,
                reason,
                rest,
                prompt_tokens,
                ..
            } if *question == of => {
                assert!(*prompt_tokens > 0);
                said.push_str(rest);
                end = Some(reason.word().to_owned());
            }
            Event::Refused { question, fault } if *question == of => end = Some(fault.code.clone()),
            _ => {}
        }
    }
    (said, end)
}

fn text_of(prompt: &[u32]) -> String {
    let ids = answer_to(prompt, TOKENS as usize);
    let ids: String = ids.iter().map(|id| format!("{id} ")).collect();
    ids + "."
}

fn expect_answer(room: &Room, member: MemberId, question: u32, prompt: &[u32]) {
    let whole = (text_of(prompt), Some("length".to_owned()));
    assert_eq!(
        told(room, member, question),
        whole,
        "question {question} of {member:?}"
    );
}

fn refusal(room: &Room, member: MemberId, question: u32) -> Option<String> {
    told(room, member, question).1
}

#[test]
fn a_member_reads_the_answer_and_the_host_does_not_show_it() {
    let mut room = room_of(&[4, 4, 4]);
    ask(&mut room, A, 1, &PROMPT);
    room.run(3_000);
    expect_answer(&room, A, 1, &PROMPT);
    assert!(room.answer().is_empty());
    assert_eq!(told(&room, B, 1), (String::new(), None));
    let texts = room
        .events(A)
        .filter(|event| matches!(event, Event::Token { .. }));
    assert_eq!(texts.count(), TOKENS as usize, "token by token");
    assert_eq!(room.faults(HOST), []);
}

#[test]
fn everyone_may_ask_at_once() {
    // The last one waits and holds nothing.
    let mut room = room_of(&[6, 6, 6, 2]);
    let own = room.ask(&PROMPT, TOKENS);
    for (member, at) in [(A, 1), (B, 2), (MemberId(3), 3)] {
        ask(&mut room, member, 1, &PROMPT[at..]);
        ask(&mut room, member, 2, &PROMPT[..at]);
    }
    room.run(20_000);
    assert_eq!(room.answer_to(own), answer_to(&PROMPT, TOKENS as usize));
    for (member, at) in [(A, 1), (B, 2), (MemberId(3), 3)] {
        expect_answer(&room, member, 1, &PROMPT[at..]);
        expect_answer(&room, member, 2, &PROMPT[..at]);
    }
}

#[test]
fn a_member_stops_its_own_answer_only() {
    let mut room = room_of(&[4, 4, 4]);
    ask(&mut room, A, 7, &PROMPT);
    ask(&mut room, B, 7, &PROMPT);
    room.run(60);
    room.command(B, Command::Stop { question: 8 });
    room.command(A, Command::Stop { question: 7 });
    room.run(5_000);
    let (said, end) = told(&room, A, 7);
    assert_eq!(end.as_deref(), Some(Ending::Cancelled.word()));
    assert!(text_of(&PROMPT).starts_with(said.trim_end_matches('.')));
    expect_answer(&room, B, 7, &PROMPT);
}

#[test]
fn what_cannot_be_answered_is_refused_by_name() {
    let mut room = room_of(&[6, 6]);
    let payload = "x".repeat(MAX_QUESTION_BYTES + 1);
    room.command(
        A,
        Command::Ask {
            question: 1,
            payload,
        },
    );
    assert_eq!(refusal(&room, A, 1).as_deref(), Some("question.too_long"));
    let payload = "why?".to_owned();
    room.command(
        A,
        Command::Ask {
            question: 2,
            payload,
        },
    );
    ask(&mut room, A, 3, &[101]);
    ask(&mut room, A, 4, &[]);
    for question in 10..15 {
        ask(&mut room, A, question, &PROMPT);
    }
    room.run(10_000);
    let refused = |question| refusal(&room, A, question);
    assert_eq!(refused(2).as_deref(), Some("simulated"));
    assert_eq!(refused(3).as_deref(), Some("prompt.unknown_token"));
    assert_eq!(refused(4).as_deref(), Some("prompt.empty"));
    assert_eq!(refused(14).as_deref(), Some("session.queue_full"));
    for question in 10..14 {
        expect_answer(&room, A, question, &PROMPT);
    }
    assert!(room.faults(A).is_empty() && room.faults(HOST).is_empty());
}

#[test]
fn a_host_may_keep_questions_to_itself() {
    let graph = Arc::new(graph(BLOCKS));
    let mut config = host_config(&graph, CLASS, usable_bytes(20));
    config.members_may_ask = false;
    let model = Model::Adding(graph, 1.0);
    let mut room = Room::hosted(config, model, &[usable_bytes(6)], Network::new(1, 0));
    room.begin();
    ask(&mut room, A, 1, &PROMPT);
    room.run(100);
    assert_eq!(
        refusal(&room, A, 1).as_deref(),
        Some("session.only_host_asks")
    );
}

#[test]
fn a_question_before_the_model_is_loaded_is_refused() {
    let mut room = room_of(&[4]);
    let guest = room.join(usable_bytes(6));
    room.run(1_000);
    ask(&mut room, guest, 1, &PROMPT);
    room.run(100);
    assert_eq!(
        refusal(&room, guest, 1).as_deref(),
        Some("session.not_ready")
    );
}

#[test]
fn an_answer_to_a_member_survives_the_loss_of_another() {
    for wait_ms in (0..90).step_by(9) {
        let mut room = room_of(&[6, 6, 6]);
        let lost = room.ring()[1];
        let asks = if lost == A { B } else { A };
        ask(&mut room, asks, 1, &PROMPT);
        ask(&mut room, lost, 1, &PROMPT[2..]);
        room.run(wait_ms);
        drop(room.close_tab(lost));
        room.run(10_000);
        expect_answer(&room, asks, 1, &PROMPT);
        assert_eq!(room.interruptions(), ["member.lost"]);
        let own = room.ask(&PROMPT, TOKENS);
        room.run(10_000);
        assert_eq!(room.answer_to(own), answer_to(&PROMPT, TOKENS as usize));
    }
}

#[test]
fn without_the_host_nobody_answers() {
    let mut room = room_of(&[6, 6]);
    ask(&mut room, A, 1, &PROMPT);
    room.run(40);
    room.kill(HOST);
    room.run(5_000);
    assert_eq!(refusal(&room, A, 1).as_deref(), Some("host.lost"));
}

#[test]
fn every_answer_of_a_reloaded_host_goes_on_and_a_member_is_told_that_its_own_does_not() {
    let mut room = room_of(&[6, 6, 6, 6]);
    let prompts = [&PROMPT[..], &PROMPT[2..]];
    let questions = prompts.map(|prompt| room.ask(prompt, 50));
    ask(&mut room, A, 1, &PROMPT[1..]);
    room.run(150);
    let begun: Vec<Begun> = questions
        .iter()
        .zip(prompts)
        .map(|(question, prompt)| Begun {
            question: *question,
            prompt_ids: prompt.to_vec(),
            written_ids: room.answer_to(*question),
            max_tokens: 50,
        })
        .collect();
    for begun in &begun {
        assert!(!begun.written_ids.is_empty() && begun.written_ids.len() < 50);
    }
    assert_eq!(refusal(&room, A, 1), None, "it is being answered");
    room.reload_host(1_000, begun.clone());
    room.run(20_000);
    // A guest that is let in again has another number.
    let told = room.phones.keys().copied().filter(|member| {
        let codes = room.events(*member).filter_map(|event| match event {
            Event::Refused { question: 1, fault } => Some(fault.code.as_str()),
            _ => None,
        });
        codes.eq(["host.lost"])
    });
    assert_eq!(told.count(), 1);
    for (begun, prompt) in begun.iter().zip(prompts) {
        let Begun {
            question,
            written_ids,
            ..
        } = begun;
        assert_eq!(room.resumed_ids(*question).as_ref(), Some(written_ids));
        let whole = [written_ids.clone(), room.answer_to(*question)].concat();
        assert_eq!(whole, answer_to(prompt, 50));
    }
    assert_eq!(room.faults(HOST), []);
}

#[test]
fn requests_of_a_reloaded_host_are_not_those_that_guests_know() {
    let mut room = room_of(&[6, 6, 6]);
    let kept = room.host().kept();
    // Begun since: nothing of it is kept.
    let first = room.ask(&PROMPT, 50);
    ask(&mut room, A, 1, &PROMPT[1..]);
    room.tape = Some(Vec::new());
    room.run(150);
    assert!(!room.answer_to(first).is_empty());
    let known = requests(&mut room);
    room.reload_host_with(kept, 1_000, Vec::new());
    room.run(12_000);
    room.tape = Some(Vec::new());
    let next = room.ask(&PROMPT[2..], TOKENS);
    room.run(10_000);
    assert_eq!(
        room.answer_to(next),
        answer_to(&PROMPT[2..], TOKENS as usize)
    );
    let new = requests(&mut room);
    assert!(!known.is_empty() && !new.is_empty());
    assert!(known.is_disjoint(&new), "{known:?} {new:?}");
}

/// Whose columns were on their way.
fn requests(room: &mut Room) -> BTreeSet<u32> {
    let tape = room.tape.take().unwrap();
    let slices = tape.iter().map(|message| Slice::parse(&message.bytes));
    slices.map(|slice| slice.unwrap().header.request).collect()
}
