//! What happens when phones leave, fall silent, break, or say what they must not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use model::EngineKind;
use plan::{EngineProfile, MemberId};
use proptest::prelude::*;
use proto::{Control, ModelReference};
use session::{Channel, Command, Event};
use tests::{
    Room,
    compute::adding::{CLASS, answer_to, new_room, room_of, usable_bytes},
    reload::Begun,
    room::Message,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOST: MemberId = MemberId::HOST;
const PROMPT: [u32; 5] = [5, 17, 3, 99, 41];

fn say(room: &mut Room, from: MemberId, to: MemberId, channel: Channel, bytes: Vec<u8>) {
    room.send(Message {
        from,
        to,
        channel,
        bytes,
    });
}

fn expect_answer(room: &mut Room, tokens: u32) {
    room.ask(&PROMPT, tokens);
    room.run(3_000);
    assert_eq!(room.answer(), answer_to(&PROMPT, tokens as usize));
}

#[test]
fn commands_that_cannot_be_carried_out_are_typed() {
    let mut room = new_room(20);
    room.ask(&PROMPT, 4);
    assert_eq!(room.codes(HOST), ["session.not_ready"]);
    room.command(HOST, Command::Begin);
    room.run(1_000);
    room.ask(&[], 4);
    room.ask(&[1; 65], 4);
    room.ask(&[101], 4);
    room.ask(&PROMPT, 4);
    room.command(HOST, Command::Begin);
    let expected = [
        "session.not_ready",
        "prompt.empty",
        "prompt.too_long",
        "prompt.unknown_token",
        "session.busy",
    ];
    assert_eq!(room.codes(HOST), expected);
    assert!(room.faults(HOST).iter().all(|(_, fatal)| !fatal));
    room.run(1_000);
    assert_eq!(room.answer(), answer_to(&PROMPT, 4));
}

#[test]
fn peers_are_told_that_only_the_host_plans() {
    let mut room = room_of(&[6, 6]);
    room.command(MemberId(1), Command::Begin);
    assert_eq!(room.codes(MemberId(1)), ["session.host_only"]);
}

#[test]
fn too_little_memory_is_said_and_one_more_phone_helps() {
    let mut room = room_of(&[4]);
    assert_eq!(room.codes(HOST), ["capacity"]);
    room.join(usable_bytes(6));
    room.run(1_000);
    room.command(HOST, Command::Begin);
    room.run(1_000);
    expect_answer(&mut room, 4);
    let capacity = room.events(HOST).rev().find_map(|event| match event {
        Event::Capacity {
            needed_bytes,
            offered_bytes,
            measured,
        } => Some((*needed_bytes <= *offered_bytes, *measured)),
        _ => None,
    });
    assert_eq!(capacity, Some((true, true)));
}

#[test]
fn a_prompt_fills_the_context_to_its_end() {
    let mut room = room_of(&[6, 6]);
    let prompt = [7; 62];
    room.ask(&prompt, 100);
    room.run(3_000);
    assert_eq!(room.finished(), Some("length"));
    assert_eq!(room.answer(), answer_to(&prompt, 3));
}

#[test]
fn a_stopped_answer_leaves_nothing_for_the_next_one() {
    let mut room = room_of(&[4, 4, 4]);
    for wait_ms in [0, 1, 4, 7, 11, 30, 60] {
        room.ask(&[9; 40], 50);
        room.run(wait_ms);
        room.stop();
        assert_eq!(room.finished(), Some("cancelled"));
        expect_answer(&mut room, 6);
    }
    assert_eq!(room.faults(HOST), []);
}

#[test]
fn a_killed_phone_is_lost_after_three_seconds_and_the_rest_go_on() {
    let mut room = room_of(&[6, 6, 6]);
    let lost = room.ring()[1];
    room.ask(&PROMPT, 50);
    room.run(20);
    room.kill(lost);
    room.run(2_000);
    assert_eq!(room.interruptions(), [""; 0]);
    room.run(2_500);
    assert_eq!(room.interruptions(), ["member.lost"]);
    assert!(!room.ring().contains(&lost));
    assert_eq!(room.answer(), answer_to(&PROMPT, 50));
    assert_eq!(room.faults(HOST), []);
    expect_answer(&mut room, 6);
}

#[test]
fn a_phone_that_leaves_is_missed_at_once() {
    let mut room = room_of(&[6, 6, 6]);
    let leaving = room.ring()[1];
    room.command(leaving, Command::Leave);
    assert_eq!(room.events(leaving).next_back(), Some(&Event::Left));
    room.run(10);
    assert_eq!(room.interruptions(), ["member.lost"]);
}

#[test]
fn without_the_host_the_session_is_over() {
    let mut room = room_of(&[6, 6]);
    room.kill(HOST);
    room.run(4_000);
    let last = room.events(MemberId(1)).next_back();
    assert!(matches!(last, Some(Event::Interrupted { fault }) if fault.code == "host.lost"));
    room.run(6_000);
    assert_eq!(room.phone(MemberId(1)).resident_bytes(), 0, "freed");
    room.run(30_000);
    assert_eq!(room.codes(MemberId(1)), ["host.lost"]);
    assert!(room.phone(MemberId(1)).is_over());
    let mut room = room_of(&[6, 6]);
    room.command(HOST, Command::Leave);
    room.run(10);
    assert_eq!(room.events(MemberId(1)).next_back(), Some(&Event::Left));
}

#[test]
fn a_guest_that_does_not_come_back_to_a_reloaded_host_is_not_waited_for() {
    let mut room = room_of(&[6, 6, 6]);
    let question = room.ask(&PROMPT, 50);
    room.run(60);
    let written_ids = room.answer();
    assert!(!written_ids.is_empty() && written_ids.len() < 50);
    room.kill(room.ring()[1]);
    let begun = Begun {
        question,
        prompt_ids: PROMPT.to_vec(),
        written_ids: written_ids.clone(),
        max_tokens: 50,
    };
    room.reload_host(500, vec![begun]);
    room.run(9_000);
    assert_eq!(room.answer(), [0; 0]);
    room.run(6_000);
    assert_eq!(
        [written_ids, room.answer()].concat(),
        answer_to(&PROMPT, 50)
    );
    assert_eq!(room.faults(HOST), []);
}

#[test]
fn neighbours_that_cannot_connect_are_relayed_by_the_host() {
    let mut room = new_room(4);
    room.unreachable.insert((MemberId(1), MemberId(2)));
    room.join(usable_bytes(4));
    room.join(usable_bytes(4));
    room.run(500);
    room.command(HOST, Command::Begin);
    room.run(1_000);
    expect_answer(&mut room, 8);
    assert!(!room.activations.contains_key(&(MemberId(1), MemberId(2))));
    assert!(!room.activations.contains_key(&(MemberId(2), MemberId(1))));
}

#[test]
fn frames_go_straight_to_the_next_phone() {
    let mut room = room_of(&[4, 4, 4]);
    expect_answer(&mut room, 8);
    let [_, a, b, _] = room.ring()[..] else {
        panic!("a ring of three phones");
    };

    assert!(room.activations.contains_key(&(a, b)));
    assert!(!room.activations.contains_key(&(a, HOST)));
    assert!(!room.activations.contains_key(&(HOST, b)));
}

#[test]
fn after_a_cut_between_neighbours_the_answer_is_relayed() {
    let mut room = room_of(&[4, 4, 4]);
    room.ask(&PROMPT, 50);
    room.run(40);
    room.cut(MemberId(1), MemberId(2));
    room.run(3_000);
    assert_eq!(room.interruptions(), ["link.lost"]);
    assert_eq!(room.answer(), answer_to(&PROMPT, 50));
}

#[test]
fn an_engine_that_breaks_once_is_loaded_again_on_whichever_phone() {
    for broken in [HOST, MemberId(1)] {
        let mut room = room_of(&[6, 6]);
        room.phone_mut(broken).ailment.broken_runs = 1;
        expect_answer(&mut room, 10);
        assert_eq!(room.interruptions(), ["engine.device_lost"]);
        assert!(room.ring().contains(&broken));
    }
}

#[test]
fn an_engine_that_breaks_again_and_again_is_left_out() {
    let mut room = room_of(&[6, 6, 6]);
    let broken = room.ring()[1];
    room.phone_mut(broken).ailment.broken_runs = 100;
    expect_answer(&mut room, 10);
    assert!(!room.ring().contains(&broken));
    let mut room = room_of(&[40]);
    room.phone_mut(HOST).ailment.broken_runs = 100;
    room.ask(&PROMPT, 10);
    room.run(1_000);
    // The question, then the room.
    assert_eq!(room.codes(HOST), ["engine.device_lost"; 2]);
}

#[test]
fn a_phone_that_gets_damaged_weights_again_and_again_is_left_out() {
    let mut room = room_of(&[6, 6]);
    room.phone_mut(MemberId(1)).ailment.damaged_loads = u32::MAX;
    room.command(HOST, Command::Begin);
    room.run(1_000);
    let told = room.interruptions();
    assert_eq!(
        told,
        [vec!["model.chunk_hash"; 3], vec!["capacity"]].concat()
    );
    room.join(usable_bytes(6));
    room.run(1_000);
    expect_answer(&mut room, 10);
}

#[test]
fn times_of_every_stage_are_shown_after_an_answer() {
    let mut room = room_of(&[6, 6]);
    expect_answer(&mut room, 8);
    let members = room.events(HOST).rev().find_map(|event| match event {
        Event::Members { members } => Some(members.clone()),
        _ => None,
    });
    for member in members.unwrap() {
        let units: u32 = member.units.iter().map(|units| units.len()).sum();
        let calls = member.units.len() as f64;
        assert_eq!(member.ms_per_token, Some(f64::from(units) + 0.5 * calls));
    }
}

#[test]
fn two_identical_runs_are_identical() {
    let run = || {
        let mut room = room_of(&[4, 4, 4]);
        expect_answer(&mut room, 8);
        room.phone(HOST).events.clone()
    };
    assert_eq!(run(), run());
}

#[test]
fn what_only_the_host_says_puts_a_peer_out() {
    let reference = ModelReference {
        id: "other".to_owned(),
        file: Some("/other".to_owned()),
        manifest: Some("/other".to_owned()),
    };
    let welcome = Control::Welcome {
        model: reference,
        hidden_width: 1,
        class: CLASS,
    };
    let forbidden = [
        welcome,
        Control::Ready {
            epoch: 1,
            resume: Vec::new(),
        },
        Control::EndRequest { request: 1 },
    ];
    for message in forbidden {
        let mut room = room_of(&[6, 6]);
        let bytes = message.encode().unwrap();
        say(
            &mut room,
            MemberId(1),
            HOST,
            Channel::Control,
            bytes.clone(),
        );
        room.run(10);
        assert_eq!(room.interruptions()[0], "member.misbehaved");
        let mut room = room_of(&[4, 4, 4]);
        say(&mut room, MemberId(1), MemberId(2), Channel::Control, bytes);
        room.run(10);
        assert_eq!(room.codes(MemberId(2)), ["member.misbehaved"]);
        assert!(room.faults(MemberId(2)).iter().all(|(_, fatal)| !fatal));
    }
}

#[test]
fn another_version_is_put_out_by_name() {
    let mut room = room_of(&[6, 6]);
    say(&mut room, MemberId(1), HOST, Channel::Control, vec![99, 0]);
    room.run(10);
    assert_eq!(room.interruptions()[0], "proto.version");
}

#[test]
fn impossible_measurements_leave_a_phone_out() {
    let mut room = new_room(20);
    room.join(usable_bytes(20));
    room.run(500);
    let engines = vec![EngineProfile {
        engine: EngineKind::Cpu,
        variant: "x".repeat(5_000),
        decode_ms_per_unit: [(model::UnitKind::Mlp, f64::NAN)].into(),
        verify_ms_per_unit: [].into(),
        chunk_ms_per_unit: [].into(),
        attention_ms_per_cached_column: 0.0,
        ms_per_call: -1.0,
    }];
    let lie = Control::Measured { engines }.encode().unwrap();
    say(&mut room, MemberId(1), HOST, Channel::Control, lie);
    room.run(500);
    assert_eq!(room.codes(HOST), ["plan.numbers"]);
    room.command(HOST, Command::Begin);
    room.run(500);
    assert_eq!(room.ring(), [HOST]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::with_cases(60) })]

    #[test]
    fn noise_from_a_peer_never_breaks_a_page(
        noise in prop::collection::vec((any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..200), 0..27_u8), 1..20),
    ) {
        let mut room = room_of(&[4, 4, 4]);
        room.ask(&PROMPT, 30);
        for (control, to_host, mut bytes, kind) in noise {
            let channel = if control { Channel::Control } else { Channel::Activation };
            if control {
                bytes.splice(0..0, [proto::PROTOCOL, kind]);
            }
            let to = if to_host { HOST } else { MemberId(2) };
            say(&mut room, MemberId(1), to, channel, bytes);
            room.run(5);
        }
        room.run(5_000);
        prop_assert!(room.faults(HOST).iter().all(|(_, fatal)| !fatal));
    }
}

#[test]
fn a_phone_that_was_silent_before_a_plan_was_made_did_not_crash_of_it() {
    // The host and any three others hold the model.
    let mut room = room_of(&[3, 3, 3, 3, 3]);
    let tokens = 40;
    room.ask(&PROMPT, tokens);
    assert!(room.run_until(1_000, |room| room.answer().len() == 5));
    // The plan that follows the first one's loss still counts on the second.
    let lost = [room.ring()[1], room.ring()[2]];
    let known = lost.map(|member| {
        let phone = room.phone(member);
        (
            phone.budget_bytes,
            phone.storage.clone(),
            phone.client.clone(),
        )
    });
    lost.into_iter().for_each(|member| room.kill(member));
    room.run(8_000);
    assert_eq!(room.interruptions().last(), Some(&"capacity"));
    // One of them is enough, whichever it is, if it gets its whole share.
    for (budget_bytes, storage, client) in known {
        let back = room.come_back(budget_bytes, storage, client);
        assert!(room.run_until(5_000, |room| room.ring().contains(&back)));
        room.close_tab(back);
        room.run(1_000);
    }
}
