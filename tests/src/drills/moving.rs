//! Answers that are stopped, plans that change while one is written.

use std::sync::Arc;

use model::{NumericClass, WireDtype, segment};
use plan::{Power, Stage};
use session::{Command, Event};

use super::{
    HOST, PATIENCE_MS, PROMPT, Row, TOKENS, answering, next_token_ms, peers_in, said, token_times,
};
use crate::{
    Room,
    compute::adding::{BLOCKS, UNIT_BYTES, graph, room_of, undisturbed, usable_bytes},
    network::Network,
    room::Model,
};

/// Blocks and ms per unit of a room whose plan is worth changing; it has two phones more than it needs.
const HEAVY_BLOCKS: u32 = 30;
const HEAVY_MS: f64 = 4.0;
const HEAVY_CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 32,
    context_columns: 1_024,
};
const HEAVY_TOKENS: u32 = 900;

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

/// Epoch switches in the busiest minute since then.
fn most_switches_a_minute(room: &Room, since_ms: u64) -> usize {
    let mut times = switches(room);
    times.retain(|ms| *ms > since_ms);
    let within = |from: &u64| {
        let minute = *from..from + 60_000;
        times.iter().filter(|ms| minute.contains(ms)).count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

/// What the last phones of the ring take per token, over the last ones, ms.
fn ms_per_token(room: &Room, tokens: usize) -> f64 {
    let times: Vec<u64> = token_times(room)
        .into_iter()
        .rev()
        .take(tokens + 1)
        .collect();
    match (times.first(), times.last()) {
        (Some(last), Some(first)) => (last - first) as f64 / (times.len() - 1).max(1) as f64,
        _ => f64::INFINITY,
    }
}

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
    let times = token_times(room);
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

pub(super) fn fetched_bytes(room: &Room) -> u64 {
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
    let most = most_switches_a_minute(&room, begun_ms);
    let measured = format!("at most {most} switches in any minute of two");
    said(
        "1x/4x speed flapping every 5 s",
        "<= 2 switches a minute",
        measured,
        most <= 2,
    )
}

/// A drill.
pub fn hidden_then_stopped() -> Row {
    let mut room = heavy_room();
    room.run(2_000);
    let (victim, at_ms) = (peers_in(&room)[0], room.now_ms);
    let before = switches(&room).len();
    room.hide(victim, 60_000);
    let drained = room.run_until(5_000, |room| {
        switches(room).len() > before && !room.ring().contains(&victim)
    });
    let drained_ms = room.now_ms - at_ms;
    room.freeze(victim, 60_000);
    room.run(20_000);
    let calm = room.interruptions().is_empty() && switches(&room).len() == before + 1;
    let gap_ms = longest_gap_ms(&room);
    let measured = format!(
        "without units {drained_ms} ms after it was hidden; no interruption, longest gap {gap_ms} ms"
    );
    let good = drained && calm && gap_ms < 1_000 && heavy_answer_is_right(&room);
    said(
        "page hidden, and stopped by its browser 5 s later, with a spare phone",
        "its units are gone before; same tokens; gap < 1 s",
        measured,
        good && drained_ms < 5_000,
    )
}

/// A drill.
pub fn low_on_battery() -> Row {
    let mut room = heavy_room();
    room.run(2_000);
    let (victim, at_ms) = (peers_in(&room)[0], room.now_ms);
    let low = Power::Battery { share: 0.14 };
    room.charge(victim, Power::Battery { share: 0.2 });
    room.run(3_000);
    let kept = room.ring().contains(&victim);
    room.charge(victim, low);
    let drained = room.run_until(5_000, |room| !room.ring().contains(&victim));
    let drained_ms = room.now_ms - at_ms - 3_000;
    room.run(20_000);
    let calm = room.interruptions().is_empty() && !room.ring().contains(&victim);
    let measured = format!("without units {drained_ms} ms after its charge fell below 15 %");
    said(
        "low on battery and not charging, with a spare phone",
        "its units move away; same tokens",
        measured,
        kept && drained && calm && heavy_answer_is_right(&room),
    )
}

/// A drill.
pub fn hidden_while_idle() -> Row {
    let mut room = room_of(&[4, 4, 4, 4]);
    let (victim, at_ms) = (peers_in(&room)[0], room.now_ms);
    room.hide(victim, 60_000);
    let drained = room.run_until(5_000, |room| !room.ring().contains(&victim));
    let drained_ms = room.now_ms - at_ms;
    room.run(1_000);
    room.kill(victim);
    room.ask(&PROMPT, TOKENS);
    let whole = next_token_ms(&mut room, 0).is_some();
    let measured = format!("without units after {drained_ms} ms; the next answer is not disturbed");
    said(
        "page hidden while nothing is written, then killed",
        "its units are gone before",
        measured,
        drained && whole && room.interruptions().is_empty(),
    )
}

/// A drill.
pub fn hidden_and_needed() -> Row {
    let mut room = room_of(&[5, 5]);
    let victim = peers_in(&room)[0];
    let before = switches(&room).len();
    room.hide(victim, 60_000);
    room.run(30_000);
    room.ask(&PROMPT, TOKENS);
    let whole = next_token_ms(&mut room, 0).is_some();
    let still = switches(&room).len() == before && room.ring().contains(&victim);
    // Somebody comes who can take over.
    room.join(usable_bytes(5));
    let at_ms = room.now_ms;
    let drained = room.run_until(15_000, |room| !room.ring().contains(&victim));
    let measured = format!(
        "nothing moved, the answer was right; drained {} ms after another phone joined",
        room.now_ms - at_ms
    );
    said(
        "page hidden that the others cannot do without",
        "keeps its units until somebody joins",
        measured,
        whole && still && drained,
    )
}

/// A drill.
pub fn hidden_again_and_again() -> Row {
    let mut room = heavy_room();
    let victim = peers_in(&room)[0];
    let begun_ms = room.now_ms;
    for _ in 0..12 {
        room.hide(victim, 5_000);
        room.run(10_000);
    }
    let most = most_switches_a_minute(&room, begun_ms);
    let measured = format!("at most {most} switches in any minute of two");
    let good = (1..=2).contains(&most) && heavy_answer_is_right(&room);
    said(
        "page hidden for 5 s every 10 s",
        "<= 2 switches a minute, same tokens",
        measured,
        good,
    )
}
