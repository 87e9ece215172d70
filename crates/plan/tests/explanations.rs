//! What people are told about a plan.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod rooms;

use plan::{Alone, Explanation, MemberId, Power, Problem, Role, explain, solve};
use rooms::{MIB, Room};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn explained(problem: &Problem) -> Explanation {
    explain(problem, &solve(problem, 1).unwrap()).unwrap()
}

fn role(explanation: &Explanation, member: u32) -> Role {
    let mut phones = explanation.phones.iter();
    let phone = phones.find(|phone| phone.member == MemberId(member));
    phone.unwrap().role
}

/// Per token, prompt included.
fn objective_per_token(problem: &Problem) -> f64 {
    solve(problem, 1).unwrap().objective_ms / f64::from(problem.workload.output_tokens)
}

#[test]
fn what_a_phone_saves_is_the_difference_to_the_room_without_it() {
    let problem = Room::of_blocks(12)
        .phone(0, 150 * MIB, 9.0)
        .phone(1, 60 * MIB, 1.0)
        .phone(2, 60 * MIB, 4.0)
        .phone(3, 60 * MIB, 30.0)
        .hops_ms(2.0)
        .build();
    let explanation = explained(&problem);
    for member in [1, 2] {
        let mut without = problem.clone();
        without
            .phones
            .retain(|phone| phone.member != MemberId(member));
        let expected = objective_per_token(&without) - objective_per_token(&problem);
        let Role::Saves { ms } = role(&explanation, member) else {
            panic!("{explanation:?}");
        };
        assert!(ms > 1.0 && (ms - expected).abs() < 1e-6, "{ms} {expected}");
    }
    let Role::WouldSlow { ms } = role(&explanation, 3) else {
        panic!("{explanation:?}");
    };
    assert!(ms > 20.0, "{ms}");
    let mut roomier = problem.clone();
    roomier.phones[1].budget_bytes += 1 << 30;
    let expected = objective_per_token(&problem) - objective_per_token(&roomier);
    let more = explanation.phones[1].more_memory_saves_ms;
    assert!(
        more > 1.0 && (more - expected).abs() < 1e-6,
        "{more} {expected}"
    );
    assert!(explanation.phones[1].busy_ms > 0.0 && explanation.phones[3].busy_ms == 0.0);
    assert!(matches!(explanation.alone, Alone::Slower { ms } if ms > 0.0));
}

#[test]
fn one_phone_alone_is_said_to_be_faster_when_it_is() {
    let problem = Room::of_blocks(6)
        .phone(0, 200 * MIB, 1.0)
        .phone(1, 200 * MIB, 1.0)
        .hops_ms(5.0)
        .build();
    let explanation = explained(&problem);
    let Alone::IsThePlan { saves_ms: Some(ms) } = explanation.alone else {
        panic!("{explanation:?}");
    };
    // Two hops of 5 ms and two more calls.
    assert!((10.0..13.0).contains(&ms), "{ms}");
    assert!(matches!(role(&explanation, 1), Role::WouldSlow { .. }));
    let lonely = Room::of_blocks(6).phone(0, 200 * MIB, 1.0).build();
    let expected = Alone::IsThePlan { saves_ms: None };
    assert_eq!(explained(&lonely).alone, expected);
}

#[test]
fn needed_small_and_spared_phones_are_told_apart() {
    let problem = Room::of_blocks(6)
        .phone(0, 32 * MIB, 1.0)
        .phone(1, 60 * MIB, 1.0)
        .phone(2, 5 * MIB, 1.0)
        .phone(3, 90 * MIB, 1.0)
        .power(3, Power::Battery { share: 0.05 })
        .hops_ms(1.0)
        .build();
    let explanation = explained(&problem);
    assert_eq!(role(&explanation, 0), Role::Host);
    assert!(
        matches!(role(&explanation, 1), Role::Saves { .. }),
        "{explanation:?}"
    );
    assert_eq!(role(&explanation, 2), Role::TooSmall);
    assert_eq!(role(&explanation, 3), Role::Spared);
    let mut hidden = problem.clone();
    hidden.phones[3].hidden = true;
    assert_eq!(role(&explained(&hidden), 3), Role::Hidden);
    let short_bytes = 50 * MIB;
    assert_eq!(explanation.alone, Alone::DoesNotFit { short_bytes });
    let mut without = problem.clone();
    without.phones.pop();
    assert_eq!(role(&explained(&without), 1), Role::Needed);
}
