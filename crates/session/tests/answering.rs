//! Questions through rooms of one, two and three phones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod room;

use plan::MemberId;
use room::{Room, answer_to, graph};
use session::Command;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MIB: u64 = 1 << 20;
const BLOCKS: u32 = 6;
const PROMPT: [u32; 11] = [5, 17, 3, 99, 41, 8, 64, 2, 77, 30, 12];

fn room_of(budgets_mib: &[u64]) -> Room {
    let (host, peers) = budgets_mib.split_first().unwrap();
    let mut room = Room::new(graph(BLOCKS), host * MIB);
    for budget in peers {
        room.join(budget * MIB);
    }
    room.command(MemberId::HOST, Command::Begin);
    room.run(2_000);
    room
}

#[test]
fn any_split_gives_the_same_answer() {
    for (budgets, members) in [(&[20][..], 1), (&[6, 6], 2), (&[4, 4, 4], 3)] {
        let mut room = room_of(budgets);
        assert_eq!(room.failures(MemberId::HOST), []);
        assert_eq!(
            room.ring().len(),
            if members == 1 { 1 } else { members + 1 }
        );
        for member in room.pages.keys() {
            assert!(room.is_ready(*member));
        }
        room.ask(&PROMPT, 12);
        room.run(2_000);
        assert_eq!(room.failures(MemberId::HOST), []);
        assert_eq!(room.answer().len(), 12);
        assert_eq!(room.answer(), answer_to(BLOCKS, &PROMPT, 12), "{budgets:?}");
        assert!(room.finished().is_some());
    }
}
