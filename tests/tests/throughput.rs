//! Every phone works at once: what the session makes of equal virtual phones, in virtual time. No figure of a real phone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::sync::Arc;

use model::{NumericClass, WireDtype, segment};
use plan::MemberId;
use session::Event;
use tests::{
    Model, Room,
    compute::adding::{UNIT_BYTES, graph, undisturbed},
    network::Network,
};

const HOST: MemberId = MemberId::HOST;
/// With embedding and head 36 units: twelve for each of three phones.
const BLOCKS: u32 = 34;
/// Of one unit, for a token or for a chunk.
const MS_PER_UNIT: f64 = 4.0;
const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 32,
    context_columns: 640,
};
const PROMPT_TOKENS: u32 = 512;

/// Equal phones that together just hold the model.
fn equal_phones(phones: u64) -> Room {
    let graph = Arc::new(graph(BLOCKS));
    let units = u64::from(BLOCKS + 2) / phones;
    let room_for_kv = UNIT_BYTES - 1;
    let budget_bytes =
        units * UNIT_BYTES + room_for_kv + segment::scratch_bytes(&graph, CLASS.chunk_columns);
    let budgets = vec![budget_bytes; phones as usize];
    let model = Model::Adding(graph, MS_PER_UNIT);
    let mut room = Room::open(model, CLASS, &budgets, Network::new(1, 0));
    room.begin();
    assert!(room.is_ready(HOST));
    room
}

fn prompt() -> Vec<u32> {
    (0..PROMPT_TOKENS)
        .map(|at| (7 * at + at * at) % 101)
        .collect()
}

/// Another prompt for each.
fn short_prompt(number: u32) -> Vec<u32> {
    (0..20).map(|at| (13 * at + 31 * number) % 101).collect()
}

fn asked(room: &mut Room, requests: u32, tokens: u32) -> Vec<u32> {
    (0..requests)
        .map(|number| room.ask(&short_prompt(number), tokens))
        .collect()
}

fn expect_answers(room: &Room, questions: &[u32], tokens: u32) {
    for (number, question) in (0..).zip(questions) {
        let expected = undisturbed(BLOCKS, CLASS, &short_prompt(number), tokens as usize);
        assert_eq!(room.answer_to(*question), expected, "question {number}");
    }
}

/// Tokens per second of all answers together.
fn tokens_per_s(requests: u32) -> f64 {
    const TOKENS: u32 = 60;
    let mut room = equal_phones(3);
    let begun_ms = room.now_ms;
    let questions = asked(&mut room, requests, TOKENS);
    assert!(room.run_until(200_000, |room| room.answers() == requests as usize));
    expect_answers(&room, &questions, TOKENS);
    f64::from(requests * TOKENS) * 1000.0 / (room.now_ms - begun_ms) as f64
}

/// When each token of an answer came.
fn token_times(room: &Room, of: u32) -> Vec<u64> {
    let events = room.phone(HOST).events.iter();
    let times = events.filter_map(|(at_ms, event)| match event {
        Event::Token { question, .. } if *question == of => Some(*at_ms),
        _ => None,
    });
    times.collect()
}

fn ms_to_first_token(room: &mut Room) -> f64 {
    room.ask(&prompt(), 2);
    assert!(room.run_until(100_000, |room| room.answers() == 1));
    assert_eq!(room.answer(), undisturbed(BLOCKS, CLASS, &prompt(), 2));
    let first = room.events(HOST).find_map(|event| match event {
        Event::Token { at_ms, .. } => Some(*at_ms),
        _ => None,
    });
    first.unwrap()
}

#[test]
fn a_long_prompt_keeps_three_phones_busy_at_once() {
    let alone_ms = ms_to_first_token(&mut equal_phones(1));
    let ring_ms = ms_to_first_token(&mut equal_phones(3));
    println!("512 tokens: one phone {alone_ms} ms, three {ring_ms} ms");
    assert!(alone_ms / ring_ms >= 2.3, "{alone_ms} : {ring_ms}");
}

#[test]
fn sending_a_prompt_and_computing_it_overlap() {
    let near_ms = ms_to_first_token(&mut equal_phones(3));
    let mut far = equal_phones(3);
    let added_ms = 40;
    far.network.delay_ms = added_ms;
    let far_ms = ms_to_first_token(&mut far);
    println!("512 tokens: near {near_ms} ms, each way {added_ms} ms longer {far_ms} ms");
    // Three ways, once; not once for every chunk.
    assert!(
        far_ms <= near_ms + 3.0 * added_ms as f64,
        "{near_ms} : {far_ms}"
    );
}

#[test]
fn a_slow_phone_is_not_buried_in_chunks() {
    let mut room = equal_phones(3);
    let slow = *room.ring().get(2).unwrap();
    room.phone_mut(slow).ailment.slowness = 20.0;
    room.ask(&prompt(), 1);
    let (host_columns, slow_columns) = (room.phone(HOST).columns_run, room.phone(slow).columns_run);
    let mut most = 0;
    while room.answers() == 0 {
        room.run(5);
        let entered = room.phone(HOST).columns_run - host_columns;
        let begun = room.phone(slow).columns_run - slow_columns;
        most = most.max(entered.saturating_sub(begun));
    }
    // Two for each of the three stages in front of the head, and the one that enters.
    let bound = 7 * u64::from(CLASS.chunk_columns);
    assert!((bound / 2..=bound).contains(&most), "{most} columns");
    assert_eq!(room.answer(), undisturbed(BLOCKS, CLASS, &prompt(), 1));
}

#[test]
fn four_answers_at_once_keep_three_phones_busy() {
    let (one, four) = (tokens_per_s(1), tokens_per_s(4));
    println!("tokens per second of three phones: one answer {one:.1}, four {four:.1}");
    assert!(four / one >= 2.5, "{four} : {one}");
}

#[test]
fn a_long_prompt_holds_a_token_up_for_one_chunk_on_each_phone_at_most() {
    let mut room = equal_phones(3);
    let writing = room.ask(&short_prompt(0), 60);
    room.run_until(100_000, |room| room.answer_to(writing).len() == 8);
    let lap_ms = {
        let times = token_times(&room, writing);
        times
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap()
    };
    let long = room.ask(&prompt(), 4);
    assert!(room.run_until(100_000, |room| room.answers() == 2));
    expect_answers(&room, &[writing], 60);
    assert_eq!(
        room.answer_to(long),
        undisturbed(BLOCKS, CLASS, &prompt(), 4)
    );
    let times = token_times(&room, writing);
    let gap_ms = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap();
    // Four stages, the head's among them: it waits for the host's first stage.
    let chunk_ms = u64::from(BLOCKS + 2) / 3 * MS_PER_UNIT as u64 + 1;
    println!(
        "a lap takes {lap_ms} ms, {gap_ms} ms beside a long prompt, a chunk {chunk_ms} ms on each phone"
    );
    assert!(gap_ms <= lap_ms + 4 * chunk_ms, "{gap_ms}");
}
