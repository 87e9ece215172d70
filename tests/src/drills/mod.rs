//! The faults that a room must survive, one by one, in virtual time: each drill says what it measured and whether that is acceptable.
//!
//! Every drill checks that its fault took effect, that the answer is the one of an undisturbed phone, and that the host's list is who
//! is there. Times are of simulated phones and networks: no figure of a real one.

mod engine;
mod leaving;
mod moving;
mod network;

pub use engine::*;
pub use leaving::*;
pub use moving::*;
pub use network::*;

use plan::MemberId;
use session::Event;

use crate::{
    Room,
    compute::adding::{BLOCKS, answer_to, room_of},
};

const HOST: MemberId = MemberId::HOST;
const PROMPT: [u32; 11] = [5, 17, 3, 99, 41, 8, 64, 2, 77, 30, 12];
const TOKENS: u32 = 40;
const PATIENCE_MS: u64 = 120_000;

/// What a drill found.
#[derive(Debug, Clone)]
pub struct Row {
    /// What went wrong.
    pub fault: &'static str,
    /// What is acceptable.
    pub accept: &'static str,
    /// What was measured, in virtual time.
    pub measured: String,
    /// Whether that is acceptable.
    pub good: bool,
}

/// A name and the drill.
pub type Drill = (&'static str, fn() -> Row);

/// All of them.
pub const DRILLS: [Drill; 34] = [
    ("tab_closed", tab_closed),
    ("process_killed", process_killed),
    ("two_at_once", two_at_once),
    ("second_while_loading", second_while_loading),
    ("too_few_are_left", too_few_are_left),
    ("freeze_and_thaw", freeze_and_thaw),
    ("stall_without_spare", stall_without_spare),
    ("one_way_loss", one_way_loss),
    ("bad_network", bad_network),
    ("reordered_and_doubled", reordered_and_doubled),
    ("server_restart", server_restart),
    ("host_reloaded", host_reloaded),
    ("host_gone", host_gone),
    ("duplicated_tab", duplicated_tab),
    ("other_protocol", other_protocol),
    ("out_of_memory", out_of_memory),
    ("kv_out_of_memory", kv_out_of_memory),
    ("weights_damaged", weights_damaged),
    ("crash_while_loading", crash_while_loading),
    ("device_lost", device_lost),
    ("engine_stuck", engine_stuck),
    ("storage_full", storage_full),
    ("hundred_joins", hundred_joins),
    ("stopped_anywhere", stopped_anywhere),
    ("ten_moves", ten_moves),
    ("overlapped_move", overlapped_move),
    ("killed_while_moving", killed_while_moving),
    ("a_phone_slows_down", a_phone_slows_down),
    ("flapping", flapping),
    ("hidden_then_stopped", hidden_then_stopped),
    ("low_on_battery", low_on_battery),
    ("hidden_while_idle", hidden_while_idle),
    ("hidden_and_needed", hidden_and_needed),
    ("hidden_again_and_again", hidden_again_and_again),
];

/// An answer some tokens long, in the middle of the next one.
fn answering(units: &[u64]) -> Room {
    answering_in(room_of(units))
}

fn answering_in(mut room: Room) -> Room {
    room.ask(&PROMPT, TOKENS);
    assert!(room.run_until(PATIENCE_MS, |room| room.answer().len() == 6));
    room.run(4);
    room
}

fn peers_in(room: &Room) -> Vec<MemberId> {
    room.ring()
        .into_iter()
        .filter(|member| *member != HOST)
        .collect()
}

/// A phone that has no part in the ring.
fn spare_in(room: &Room) -> MemberId {
    let mut members = room.phones.keys().copied();
    let spare = members.find(|member| !room.ring().contains(member));
    spare.unwrap_or(HOST)
}

/// When the host's page was told of each token, virtual ms.
fn token_times(room: &Room) -> Vec<u64> {
    let events = room.phone(HOST).events.iter();
    let tokens = events.filter(|(_, event)| matches!(event, Event::Token { .. }));
    tokens.map(|(at_ms, _)| *at_ms).collect()
}

/// Virtual ms from now to the next token, if the room then tells of a fault with this code.
fn next_token_after(room: &mut Room, code: &str) -> Option<u64> {
    let now_ms = room.now_ms;
    let next_ms = next_token_ms(room, now_ms);
    next_ms.filter(|_| room.interruptions().contains(&code))
}

/// Virtual ms from a time to the next token; the answer then comes to its right end.
fn next_token_ms(room: &mut Room, since_ms: u64) -> Option<u64> {
    let before = room.answers();
    let ended = |room: &Room| room.answers() > before;
    let whole =
        room.run_until(PATIENCE_MS, ended) && room.answer() == answer_to(&PROMPT, TOKENS as usize);
    let mut later = token_times(room).into_iter();
    let next = later.find(|at_ms| *at_ms > since_ms);
    let next = next.map(|at_ms| at_ms - since_ms);
    next.filter(|_| whole && roster_is_right(room))
}

/// After a while the host's list is who is there.
fn roster_is_right(room: &mut Room) -> bool {
    room.run(10_000);
    let listed = room.events(HOST).rev().find_map(|event| match event {
        Event::Members { members } => Some(
            members
                .iter()
                .map(|member| member.member)
                .collect::<Vec<_>>(),
        ),
        _ => None,
    });
    let live = room.phones.iter().filter(|(_, phone)| !phone.is_over());
    listed == Some(live.map(|(id, _)| *id).collect())
}

/// The longest of the times a fault cost, if it took effect and the answer was right every time.
fn row(fault: &'static str, accept: &'static str, most_ms: u64, times_ms: Vec<Option<u64>>) -> Row {
    let worst = times_ms
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .and_then(|times| times.into_iter().max());
    Row {
        fault,
        accept,
        measured: worst.map_or_else(|| "failed".to_owned(), |ms| format!("{ms} ms")),
        good: worst.is_some_and(|ms| ms <= most_ms),
    }
}

fn said(fault: &'static str, accept: &'static str, measured: String, good: bool) -> Row {
    Row {
        fault,
        accept,
        measured,
        good,
    }
}

/// The table of docs/reliability.md.
pub fn table() -> String {
    let mut text =
        String::from("| fault | accept | measured (virtual time) | |\n|---|---|---|---|\n");
    for (_, drill) in DRILLS {
        let row = drill();
        let verdict = if row.good { "yes" } else { "**no**" };
        text += &format!(
            "| {} | {} | {} | {verdict} |\n",
            row.fault, row.accept, row.measured
        );
    }
    text
}

const _: () = assert!(BLOCKS == 6, "budgets of the drills are for eight units");
