//! Questions through rooms of one, two and three phones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use plan::{Alone, Explanation, MemberId, Role};
use session::Event;
use tests::Room;
use tests::compute::adding::{answer_to, room_of};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOST: MemberId = MemberId::HOST;
const PROMPT: [u32; 11] = [5, 17, 3, 99, 41, 8, 64, 2, 77, 30, 12];

#[test]
fn any_split_gives_the_same_answer() {
    for (budgets, members) in [(&[20][..], 1), (&[6, 6], 2), (&[4, 4, 4], 3)] {
        let mut room = room_of(budgets);
        assert_eq!(room.faults(HOST), []);
        assert_eq!(
            room.ring().len(),
            if members == 1 { 1 } else { members + 1 }
        );
        for member in room.phones.keys() {
            assert!(room.is_ready(*member));
        }
        room.ask(&PROMPT, 12);
        room.run(2_000);
        assert_eq!(room.faults(HOST), []);
        assert_eq!(room.answer().len(), 12);
        assert_eq!(room.answer(), answer_to(&PROMPT, 12), "{budgets:?}");
        assert!(room.finished().is_some());
    }
}

/// Place in the host's events, epoch and explanation.
fn explanations(room: &Room) -> Vec<(usize, u32, Explanation)> {
    let events = room.events(HOST).enumerate();
    let told = events.filter_map(|(place, event)| match event {
        Event::Explained { epoch, explanation } => Some((place, *epoch, explanation.clone())),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_plan_is_explained_once() {
    let room = room_of(&[4, 4, 4]);
    let [(_, 1, explanation)] = &explanations(&room)[..] else {
        panic!("{:?}", explanations(&room));
    };
    let phones = explanation.phones.iter();
    let roles: Vec<_> = phones.map(|phone| phone.role).collect();
    assert_eq!(roles, [Role::Host, Role::Needed, Role::Needed]);
    assert!(matches!(explanation.alone, Alone::DoesNotFit { .. }));
}

#[test]
fn an_explanation_waits_for_the_end_of_the_answer() {
    let mut room = room_of(&[4, 4, 4, 4]);
    let lost = room.ring()[1];
    room.ask(&PROMPT, 40);
    assert!(room.run_until(2_000, |room| room.answer().len() == 5));
    room.close_tab(lost);
    assert!(room.run_until(20_000, |room| explanations(room).len() == 2));
    let finished = |event: &Event| matches!(event, Event::Finished { .. });
    let finished = room.events(HOST).position(finished).unwrap();
    let (place, epoch, _) = explanations(&room)[1];
    assert!(epoch == 2 && place > finished);
    assert_eq!(room.answer(), answer_to(&PROMPT, 40));
}
