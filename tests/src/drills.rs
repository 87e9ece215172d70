//! The faults that a room must survive, one by one, in virtual time: each drill says what it measured and whether that is acceptable.
//!
//! Every drill checks that its fault took effect, that the answer is the one of an undisturbed phone, and that the host's list is who
//! is there. Times are of simulated phones and networks: no figure of a real one.

use std::sync::Arc;

use model::{NumericClass, WireDtype, segment};
use plan::{MemberId, Stage};
use session::{Channel, Command, Event};

use crate::{
    Room,
    compute::{
        Storage,
        adding::{BLOCKS, UNIT_BYTES, answer_to, graph, room_of, undisturbed, usable_bytes},
    },
    network::Network,
    room::{Message, Mischief, Model},
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
pub const DRILLS: [Drill; 26] = [
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
    ("host_gone", host_gone),
    ("duplicated_tab", duplicated_tab),
    ("other_protocol", other_protocol),
    ("out_of_memory", out_of_memory),
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

/// Virtual ms from a time to the next token; the answer then comes to its right end.
fn next_token_ms(room: &mut Room, since_ms: u64) -> Option<u64> {
    let before = room.answers();
    let ended = |room: &Room| room.answers() > before;
    let whole =
        room.run_until(PATIENCE_MS, ended) && room.answer() == answer_to(&PROMPT, TOKENS as usize);
    let tokens = room.phone(HOST).events.iter();
    let mut later =
        tokens.filter(|(at_ms, event)| *at_ms > since_ms && matches!(event, Event::Token { .. }));
    let next = later.next().map(|(at_ms, _)| at_ms - since_ms);
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

/// Does a fault to the phone at each place of a ring of three phones, with a spare one.
fn at_every_place(fault: fn(&mut Room, MemberId)) -> Vec<Option<u64>> {
    let places = peers_in(&answering(&[4, 4, 4, 4])).len();
    let strike = |place: usize| {
        let mut room = answering(&[4, 4, 4, 4]);
        let victim = *peers_in(&room).get(place)?;
        let at_ms = room.now_ms;
        fault(&mut room, victim);
        let next_ms = next_token_ms(&mut room, at_ms)?;
        let took = !room.interruptions().is_empty();
        took.then_some(next_ms)
    };
    (0..places).map(strike).collect()
}

/// A drill.
pub fn tab_closed() -> Row {
    let times = at_every_place(|room, victim| drop(room.close_tab(victim)));
    row(
        "tab closed mid-token, every place in the ring",
        "<= 5 s",
        5_000,
        times,
    )
}

/// A drill.
pub fn process_killed() -> Row {
    let times = at_every_place(Room::kill);
    row(
        "process killed, every place in the ring",
        "<= 8 s",
        8_000,
        times,
    )
}

/// A drill.
pub fn two_at_once() -> Row {
    let mut room = answering(&[4, 4, 4, 4, 4]);
    let at_ms = room.now_ms;
    for victim in peers_in(&room) {
        room.kill(victim);
    }
    let next_ms = next_token_ms(&mut room, at_ms);
    row(
        "two phones killed at once",
        "<= 15 s",
        15_000,
        vec![next_ms],
    )
}

/// A drill.
pub fn second_while_loading() -> Row {
    let mut room = answering(&[4, 4, 4, 4, 4]);
    let at_ms = room.now_ms;
    let plans = |room: &Room| {
        room.events(HOST)
            .filter(|event| matches!(event, Event::Planned { .. }))
            .count()
    };
    let before = plans(&room);
    let victim = peers_in(&room)[0];
    room.kill(victim);
    let planned = room.run_until(PATIENCE_MS, |room| plans(room) > before);
    let newcomer = peers_in(&room)
        .into_iter()
        .find(|member| room.phone(*member).resident_bytes() == 0);
    let struck = newcomer.filter(|_| planned).map(|victim| room.kill(victim));
    let next_ms = next_token_ms(&mut room, at_ms).filter(|_| struck.is_some());
    row(
        "a second phone killed while it loads for the first",
        "<= 15 s",
        15_000,
        vec![next_ms],
    )
}

/// A drill.
pub fn too_few_are_left() -> Row {
    let mut room = answering(&[4, 4, 4]);
    let victim = peers_in(&room)[0];
    room.kill(victim);
    room.run(8_000);
    let told = room.events(HOST).rev().find_map(|event| match event {
        Event::Interrupted { fault } if fault.code == "capacity" => Some(fault.message.clone()),
        _ => None,
    });
    let at_ms = room.now_ms;
    room.join(usable_bytes(4));
    let next_ms = next_token_ms(&mut room, at_ms);
    let named = told
        .as_ref()
        .is_some_and(|message| message.contains("MiB short"));
    let good = named && next_ms.is_some_and(|ms| ms <= 15_000);
    let measured = format!(
        "\"{}\"; {} ms after another phone joined",
        told.unwrap_or_default(),
        next_ms.unwrap_or_default()
    );
    said(
        "too few phones are left",
        "typed capacity error naming MiB; goes on when a phone joins",
        measured,
        good,
    )
}

/// A drill.
pub fn freeze_and_thaw() -> Row {
    let mut room = answering(&[4, 4, 4, 4]);
    let victim = peers_in(&room)[0];
    let at_ms = room.now_ms;
    room.freeze(victim, 10_000);
    let page = room.phone(victim).page;
    let next_ms = next_token_ms(&mut room, at_ms);
    room.run(10_000);
    let phone = room.phones.values().find(|phone| phone.page == page);
    let joined = phone.and_then(|phone| {
        let mut joined = phone
            .events
            .iter()
            .filter(|(at, event)| *at > at_ms && matches!(event, Event::Joined { .. }));
        joined.next().map(|(at, _)| at - at_ms - 10_000)
    });
    let good = next_ms.is_some_and(|ms| ms <= 8_000) && joined.is_some_and(|ms| ms <= 5_000);
    let measured = format!("{next_ms:?} ms to the next token; back {joined:?} ms after it thawed");
    said(
        "page frozen for 10 s, with a spare phone",
        "replaced; late frames dropped; rejoins <= 5 s",
        measured.replace("Some(", "").replace(')', ""),
        good,
    )
}

/// A drill.
pub fn stall_without_spare() -> Row {
    let mut room = answering(&[4, 4, 4]);
    let victim = peers_in(&room)[0];
    let fetched = room.phone(victim).storage.borrow().fetched_bytes;
    let storage = room.phone(victim).storage.clone();
    room.freeze(victim, 10_000);
    let thawed_ms = room.now_ms + 10_000;
    let next_ms = next_token_ms(&mut room, thawed_ms);
    let next_ms = next_ms.filter(|_| storage.borrow().fetched_bytes == fetched);
    row(
        "page frozen for 10 s, no spare phone",
        "waits; goes on <= 2 s after; no weight fetched again",
        2_000,
        vec![next_ms],
    )
}

/// A drill.
pub fn one_way_loss() -> Row {
    let mut times = Vec::new();
    for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        let mut room = answering(&[4, 4, 4, 4]);
        let mut ring = vec![HOST];
        ring.extend(peers_in(&room));
        let (from, to) = (ring[from], ring[to]);
        let now_ms = room.now_ms;
        room.network.block(from, to, now_ms + 60_000);
        times.push(next_token_ms(&mut room, now_ms));
    }
    row(
        "nothing arrives on one way, host or peers",
        "completes, slower",
        15_000,
        times,
    )
}

/// A drill.
pub fn bad_network() -> Row {
    let mut room = answering(&[4, 4, 4]);
    room.network.loss_percent = 5;
    room.network.delay_ms = 300;
    let at_ms = room.now_ms;
    let next_ms = next_token_ms(&mut room, at_ms);
    let calm = room.interruptions().is_empty();
    row(
        "5 % of packets lost and 300 ms of delay",
        "completes, slower",
        10_000,
        vec![next_ms.filter(|_| calm)],
    )
}

/// A drill.
pub fn reordered_and_doubled() -> Row {
    let mut times = Vec::new();
    for mischief in [
        Mischief::Reorder,
        Mischief::Duplicate(0),
        Mischief::Duplicate(300),
        Mischief::Delay(2_000),
        Mischief::Drop,
        Mischief::Corrupt,
    ] {
        let mut room = answering(&[4, 4, 4, 4]);
        room.mischief = Some(mischief);
        let at_ms = room.now_ms;
        let next_ms = next_token_ms(&mut room, at_ms);
        times.push(next_ms.filter(|_| room.mischief.is_none()));
    }
    row(
        "a frame late, doubled, lost or damaged (which channels exclude)",
        "completes",
        30_000,
        times,
    )
}

/// A drill.
pub fn server_restart() -> Row {
    let tokens = |room: &Room| {
        let events = room.phone(HOST).events.iter();
        let tokens = events.filter(|(_, event)| matches!(event, Event::Token { .. }));
        tokens.map(|(at_ms, _)| *at_ms).collect::<Vec<_>>()
    };
    let mut calm = answering(&[4, 4, 4]);
    let _ = next_token_ms(&mut calm, 0);
    let mut room = answering(&[4, 4, 4]);
    room.server_up_at_ms = room.now_ms + 5_000;
    let whole = next_token_ms(&mut room, 0).is_some();
    let undelayed = tokens(&calm) == tokens(&room);
    let again_ms = room.now_ms.max(room.server_up_at_ms);
    let newcomer = room.join(usable_bytes(4));
    let joined = room.run_until(10_000, |room| {
        let joined = |event: &Event| matches!(event, Event::Joined { .. });
        room.events(newcomer).any(joined)
    });
    let measured = format!(
        "no token delayed; a new phone is in {} ms after",
        room.now_ms - again_ms
    );
    said(
        "signaling server away for 5 s mid-answer",
        "no token delayed; new joins <= 10 s",
        measured,
        whole && undelayed && joined,
    )
}

/// A drill.
pub fn host_gone() -> Row {
    let mut room = answering(&[4, 4, 4]);
    let peers = peers_in(&room);
    let at_ms = room.now_ms;
    room.kill(HOST);
    let told = |room: &Room| {
        let told = |member: &MemberId| {
            room.events(*member)
                .any(|event| matches!(event, Event::Interrupted { .. }))
        };
        peers.iter().all(told)
    };
    let told_ms = room.run_until(20_000, told).then(|| room.now_ms - at_ms);
    let freed = |room: &Room| {
        peers
            .iter()
            .all(|member| room.phone(*member).resident_bytes() == 0)
    };
    let freed_ms = room.run_until(20_000, freed).then(|| room.now_ms - at_ms);
    let good = freed_ms.is_some_and(|ms| ms <= 10_000);
    let measured = format!(
        "told after {} ms, memory free after {} ms",
        told_ms.unwrap_or_default(),
        freed_ms.unwrap_or_default()
    );
    said(
        "the host is gone for good",
        "peers told, memory free <= 10 s",
        measured,
        good && told_ms.is_some(),
    )
}

/// A drill.
pub fn duplicated_tab() -> Row {
    let mut room = room_of(&[4, 4, 4]);
    let (first, budget_bytes) = (peers_in(&room)[0], usable_bytes(4));
    let storage = room.phone(first).storage.clone();
    let second = room.join_with(budget_bytes, storage);
    room.run(1_000);
    room.begin();
    room.ask(&PROMPT, TOKENS);
    let whole = next_token_ms(&mut room, 0).is_some();
    let ring = peers_in(&room);
    let owners = ring
        .iter()
        .filter(|member| [first, second].contains(member))
        .count();
    let mut distinct = ring.clone();
    distinct.dedup();
    let measured = format!("two members, {owners} of them in the ring; every unit has one owner");
    said(
        "a tab duplicated, the same link twice",
        "distinct members, one owner per unit",
        measured,
        whole && first != second && distinct == ring,
    )
}

/// A drill.
pub fn other_protocol() -> Row {
    let mut room = room_of(&[4, 4, 4]);
    let (peer, at_ms) = (peers_in(&room)[0], room.now_ms);
    room.send(Message {
        from: peer,
        to: HOST,
        channel: Channel::Control,
        bytes: vec![99, 0],
    });
    room.run_until(2_000, |room| room.phone(peer).is_over());
    let told = room
        .faults(peer)
        .first()
        .is_some_and(|(fault, _)| fault.remedy.contains("Reload"));
    let measured = format!(
        "refused and told to reload after {} ms",
        room.now_ms - at_ms
    );
    said(
        "another version of the protocol",
        "refused <= 2 s with \"reload\"",
        measured,
        told,
    )
}

/// A drill.
pub fn out_of_memory() -> Row {
    let mut room = answering(&[4, 6, 6, 6]);
    let spare = room
        .phones
        .keys()
        .copied()
        .find(|member| !room.ring().contains(member));
    let spare = spare.unwrap_or(HOST);
    room.phone_mut(spare).ailment.broken_loads = 1;
    let lost = peers_in(&room)[0];
    let at_ms = room.now_ms;
    drop(room.close_tab(lost));
    let next_ms = next_token_ms(&mut room, at_ms);
    let took = room.interruptions().contains(&"engine.out_of_memory");
    row(
        "out of memory while it loads",
        "share reduced, planned anew <= 10 s",
        10_000,
        vec![next_ms.filter(|_| took)],
    )
}

/// A drill.
pub fn crash_while_loading() -> Row {
    let mut room = answering(&[4, 24, 24]);
    let spare = room
        .phones
        .keys()
        .copied()
        .find(|member| !room.ring().contains(member))
        .unwrap_or(HOST);
    let lost = peers_in(&room)[0];
    let at_ms = room.now_ms;
    drop(room.close_tab(lost));
    let mut crashes = 0;
    let mut victim = spare;
    while crashes < 2 {
        let loads = |room: &Room| {
            room.plan()
                .is_some_and(|plan| plan.stages.iter().any(|stage| stage.member == victim))
        };
        if !room.run_until(5_000, loads) {
            break;
        }
        let (budget_bytes, client) = (
            room.phone(victim).budget_bytes,
            room.phone(victim).client.clone(),
        );
        let storage = room.close_tab(victim);
        crashes += 1;
        victim = room.come_back(budget_bytes, storage, client);
    }
    room.run(2_000);
    let used = room.ring().contains(&victim);
    room.join(usable_bytes(8));
    let next_ms = next_token_ms(&mut room, at_ms);
    let measured = format!(
        "crashed {crashes} times; then used: {used}; next token {} ms after the first",
        next_ms.unwrap_or_default()
    );
    said(
        "a tab crashes while it loads, twice",
        "one retry at half share, then observer",
        measured,
        !used && crashes == 2 && next_ms.is_some(),
    )
}

/// A drill.
pub fn device_lost() -> Row {
    let mut times = Vec::new();
    for place in 0..3 {
        let mut room = room_of(&[4, 4, 4]);
        // By then everyone has all that the plan wants it to have.
        room.run(10_000);
        let mut room = answering_in(room);
        let mut ring = peers_in(&room);
        ring.insert(0, HOST);
        let victim = ring[place % ring.len()];
        let fetched = room.phone(victim).storage.borrow().fetched_bytes;
        room.phone_mut(victim).ailment.broken_runs = 1;
        let at_ms = room.now_ms;
        let next_ms = next_token_ms(&mut room, at_ms);
        let took = room.interruptions().contains(&"engine.device_lost");
        let from_storage = room.phone(victim).storage.borrow().fetched_bytes == fetched;
        times.push(next_ms.filter(|_| took && from_storage));
    }
    row(
        "GPU device lost, on every phone",
        "back <= 10 s, weights from storage",
        10_000,
        times,
    )
}

/// A drill.
pub fn engine_stuck() -> Row {
    let mut room = answering(&[4, 4, 4, 4]);
    let victim = peers_in(&room)[0];
    room.phone_mut(victim).ailment.hangs = true;
    let at_ms = room.now_ms;
    let next_ms = next_token_ms(&mut room, at_ms);
    let took = room.interruptions().contains(&"engine.silent");
    row(
        "an engine that never answers",
        "noticed and replaced <= 25 s",
        25_000,
        vec![next_ms.filter(|_| took)],
    )
}

/// A drill.
pub fn storage_full() -> Row {
    let mut times = Vec::new();
    for share in [0, 2, 4] {
        let mut room = room_of(&[4, 4]);
        let storage = Storage::default();
        let newcomer = room.join_with(usable_bytes(4), storage.clone());
        // Of the units it is about to load, so many are stored before the quota is reached.
        storage.borrow_mut().room_for = Some(share);
        room.run(1_000);
        room.begin();
        let at_ms = room.now_ms;
        room.ask(&PROMPT, TOKENS);
        let next_ms = next_token_ms(&mut room, at_ms);
        let stored = storage.borrow().weights.len() as u64 <= share;
        let used = room.phone(newcomer).resident_bytes() >= UNIT_BYTES;
        times.push(next_ms.filter(|_| used && stored));
    }
    row(
        "storage full at once, halfway, at the end",
        "runs from memory",
        5_000,
        times,
    )
}

/// A drill.
pub fn hundred_joins() -> Row {
    let mut room = answering(&[4, 4, 4]);
    let before = room.pending();
    for cycle in 0..100 {
        let guest = room.join(usable_bytes(2));
        room.run(300);
        match cycle % 3 {
            0 => room.command(guest, Command::Leave),
            1 => drop(room.close_tab(guest)),
            _ => room.kill(guest),
        }
        room.run(if cycle % 3 == 2 { 3_500 } else { 50 });
        room.phones.remove(&guest);
    }
    let right = roster_is_right(&mut room) && room.answer() == answer_to(&PROMPT, TOKENS as usize);
    let after = room.pending();
    let measured =
        format!("no ghost after 10 s; {before} things on their way before, {after} after");
    said(
        "100 phones join and leave",
        "no ghosts after 10 s, no growth",
        measured,
        right && after <= before + 8,
    )
}

/// A drill.
pub fn stopped_anywhere() -> Row {
    let mut late = 0;
    let mut good = true;
    for wait_ms in (0..160).step_by(3) {
        let mut room = room_of(&[4, 4, 4, 4]);
        room.ask(&PROMPT, TOKENS);
        room.run(wait_ms);
        if wait_ms % 2 == 1 {
            // In the middle of a recovery, too.
            let victim = peers_in(&room)[0];
            drop(room.close_tab(victim));
            room.run(wait_ms);
        }
        let before = room.answer().len();
        room.stop();
        room.run(500);
        late = late.max(room.answer().len() - before);
        room.ask(&PROMPT, TOKENS);
        good &= next_token_ms(&mut room, 0).is_some();
    }
    let measured = format!("{late} tokens after the stop; every next question answered");
    said(
        "stopped at every phase, recovery included",
        "<= 1 token, the next request works",
        measured,
        good && late <= 1,
    )
}

/// Another plan of the same phones: a unit goes to the neighbour in front, or to the one behind.
fn shifted(room: &Room, turn: usize) -> Option<Vec<Stage>> {
    let mut stages = room.plan()?.stages.clone();
    let last = stages.len().checked_sub(2)?;
    let at = turn % last.max(1);
    let (ahead, behind) = stages.split_at_mut(at + 1);
    let (ahead, behind) = (ahead.last_mut()?, behind.first_mut()?);
    let forth = turn.is_multiple_of(2) && behind.units.len() > 1 || ahead.units.len() < 2;
    let boundary = if forth {
        ahead.units.end + 1
    } else {
        ahead.units.end - 1
    };
    ahead.units.end = boundary;
    behind.units.start = boundary;
    let whole = !ahead.units.is_empty() && !behind.units.is_empty();
    whole.then_some(stages)
}

fn switches(room: &Room) -> Vec<u64> {
    let events = room.phone(HOST).events.iter();
    let ready = events.filter(|(_, event)| matches!(event, Event::Ready { .. }));
    ready.map(|(at_ms, _)| *at_ms).collect()
}

/// A drill.
pub fn ten_moves() -> Row {
    let mut room = room_of(&[7, 7, 7]);
    let before = switches(&room).len();
    room.ask(&PROMPT, TOKENS);
    let mut turn = 0;
    for step in 0..10 {
        let tokens = 2 + 3 * step;
        room.run_until(PATIENCE_MS, |room| room.answer().len() >= tokens);
        while shifted(&room, turn).is_none() {
            turn += 1;
        }
        let stages = shifted(&room, turn).unwrap_or_default();
        room.command(HOST, Command::Move { stages });
        turn += 1;
    }
    let whole = next_token_ms(&mut room, 0).is_some();
    let moves = switches(&room).len() - before;
    let pause_ms = longest_gap_ms(&room);
    let measured = format!("{moves} moves, same tokens, longest gap {pause_ms} ms");
    said(
        "ten moves in one answer",
        "same tokens; gap < 1 s",
        measured,
        whole && moves == 10 && pause_ms < 1_000,
    )
}

/// The longest time between two tokens, ms.
fn longest_gap_ms(room: &Room) -> u64 {
    let events = room.phone(HOST).events.iter();
    let tokens = events.filter(|(_, event)| matches!(event, Event::Token { .. }));
    let times: Vec<u64> = tokens.map(|(at_ms, _)| *at_ms).collect();
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

fn fetched_bytes(room: &Room) -> u64 {
    let phones = room.phones.values();
    phones
        .map(|phone| phone.storage.borrow().fetched_bytes)
        .sum()
}

/// The plan in force with a boundary moved as far as a phone's overlap reaches.
fn onto_overlap(room: &Room) -> Option<Vec<Stage>> {
    let plan = room.plan()?;
    let held = |member| plan.held.iter().find(|held| held.member == member);
    (1..plan.stages.len() - 1).find_map(|at| {
        let mut stages = plan.stages.clone();
        let (ahead, behind) = stages.split_at_mut(at);
        let (ahead, behind) = (ahead.last_mut()?, behind.first_mut()?);
        let start = held(behind.member)?.units.start.max(ahead.units.start + 1);
        let end = held(ahead.member)?.units.end.min(behind.units.end - 1);
        let boundary = if start < behind.units.start {
            start
        } else {
            end
        };
        let moves = boundary != behind.units.start;
        (ahead.units.end, behind.units.start) = (boundary, boundary);
        moves.then_some(stages)
    })
}

/// A drill.
pub fn overlapped_move() -> Row {
    let mut room = room_of(&[6, 6, 6]);
    // Nothing is asked: the phones fetch what they may need.
    room.run(10_000);
    let fetched = fetched_bytes(&room);
    let overlapped = fetched > UNIT_BYTES * u64::from(BLOCKS + 2);
    let before = switches(&room).len();
    room.ask(&PROMPT, TOKENS);
    room.run_until(PATIENCE_MS, |room| room.answer().len() >= 6);
    let stages = onto_overlap(&room);
    let possible = stages.is_some();
    room.command(
        HOST,
        Command::Move {
            stages: stages.unwrap_or_default(),
        },
    );
    let whole = next_token_ms(&mut room, 0).is_some();
    let moved = switches(&room).len() == before + 1;
    let gap_ms = longest_gap_ms(&room);
    let fetched = fetched_bytes(&room) - fetched;
    let measured = format!("{fetched} bytes fetched, longest gap {gap_ms} ms, same tokens");
    said(
        "units move to a phone that overlaps them",
        "nothing fetched; gap < 1 s",
        measured,
        overlapped && possible && whole && moved && fetched == 0 && gap_ms < 1_000,
    )
}

/// A drill.
pub fn killed_while_moving() -> Row {
    let mut worst_ms = 0;
    let mut good = true;
    let mut struck = 0;
    for wait_ms in 0..60 {
        for place in 0..2 {
            let mut room = answering(&[5, 8, 8, 8]);
            let Some(stages) = shifted(&room, 1) else {
                continue;
            };
            room.command(HOST, Command::Move { stages });
            room.run(wait_ms);
            let at_ms = room.now_ms;
            let victim = peers_in(&room)[place % peers_in(&room).len()];
            drop(room.close_tab(victim));
            struck += 1;
            match next_token_ms(&mut room, at_ms) {
                Some(ms) => worst_ms = worst_ms.max(ms),
                None => good = false,
            }
        }
    }
    let measured =
        format!("{struck} kills, 0 to 59 ms into the move; next token after at most {worst_ms} ms");
    said(
        "a phone killed at every step of a move",
        "one whole plan, same tokens",
        measured,
        good && worst_ms <= 5_000,
    )
}

/// What the last phones of the ring take per token, over the last ones, ms.
fn ms_per_token(room: &Room, tokens: usize) -> f64 {
    let events = room.phone(HOST).events.iter().rev();
    let times = events.filter(|(_, event)| matches!(event, Event::Token { .. }));
    let times: Vec<u64> = times.map(|(at_ms, _)| *at_ms).take(tokens + 1).collect();
    match (times.first(), times.last()) {
        (Some(last), Some(first)) => (last - first) as f64 / (times.len() - 1).max(1) as f64,
        _ => f64::INFINITY,
    }
}

/// Blocks and ms per unit of a room whose plan is worth changing; it has two phones more than it needs.
const HEAVY_BLOCKS: u32 = 30;
const HEAVY_MS: f64 = 4.0;
const HEAVY_CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 32,
    context_columns: 1_024,
};
const HEAVY_TOKENS: u32 = 900;

/// It writes a long answer.
fn heavy_room() -> Room {
    let graph = Arc::new(graph(HEAVY_BLOCKS));
    let held = |units: u64| {
        units * UNIT_BYTES + segment::scratch_bytes(&graph, HEAVY_CLASS.chunk_columns) + UNIT_BYTES
    };
    let budgets = [held(12), held(20), held(20), held(20)];
    let model = Model::Adding(Arc::clone(&graph), HEAVY_MS);
    let mut room = Room::open(model, HEAVY_CLASS, &budgets, Network::new(1, 2));
    room.begin();
    room.ask(&PROMPT, HEAVY_TOKENS);
    room
}

/// What it wrote so far is what an undisturbed phone writes.
fn heavy_answer_is_right(room: &Room) -> bool {
    let answer = room.answer();
    answer == undisturbed(HEAVY_BLOCKS, HEAVY_CLASS, &PROMPT, answer.len())
}

/// A drill.
pub fn a_phone_slows_down() -> Row {
    let mut room = heavy_room();
    room.run(4_000);
    let victim = peers_in(&room)[0];
    let before_ms = ms_per_token(&room, 10);
    room.phone_mut(victim).ailment.slowness = 4.0;
    let at_ms = room.now_ms;
    room.run(2_000);
    let slow_ms = ms_per_token(&room, 10);
    room.run(8_000);
    let after_ms = ms_per_token(&room, 10);
    let moved_ms = switches(&room)
        .iter()
        .find(|ms| **ms > at_ms)
        .map(|ms| ms - at_ms);
    // The phones that are left over are like the one that slowed down.
    let best_ms = before_ms;
    let right = heavy_answer_is_right(&room);
    let good = right && moved_ms.is_some() && best_ms / after_ms >= 0.9;
    let measured = format!(
        "{before_ms:.0} ms per token before, {slow_ms:.0} slowed, {after_ms:.0} after 10 s ({:.0} % of the best new plan); moved after {} ms",
        100.0 * best_ms / after_ms,
        moved_ms.unwrap_or_default()
    );
    said(
        "one phone becomes 4x slower",
        ">= 90 % of the new optimum within 10 s, same tokens",
        measured,
        good,
    )
}

/// A drill.
pub fn flapping() -> Row {
    let mut room = heavy_room();
    let victim = peers_in(&room)[0];
    let begun_ms = room.now_ms;
    for turn in 0..24 {
        if room.phones.contains_key(&victim) {
            room.phone_mut(victim).ailment.slowness = if turn % 2 == 0 { 4.0 } else { 1.0 };
        }
        room.run(5_000);
    }
    let times: Vec<u64> = switches(&room)
        .into_iter()
        .filter(|ms| *ms > begun_ms)
        .collect();
    let most = times
        .iter()
        .map(|from| {
            times
                .iter()
                .filter(|ms| (*from..from + 60_000).contains(ms))
                .count()
        })
        .max();
    let most = most.unwrap_or(0);
    let measured = format!("at most {most} switches in any minute of two");
    said(
        "1x/4x speed flapping every 5 s",
        "<= 2 switches a minute",
        measured,
        most <= 2,
    )
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
