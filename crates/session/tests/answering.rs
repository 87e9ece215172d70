//! Questions through rooms of one, two and three phones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use plan::MemberId;
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
