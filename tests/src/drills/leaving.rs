//! Phones that vanish, freeze or come and go.

use plan::MemberId;
use session::{Command, Event};

use super::{
    HOST, PATIENCE_MS, PROMPT, Row, TOKENS, answering, moving::fetched_bytes, next_token_ms,
    peers_in, roster_is_right, row, said,
};
use crate::{
    Room,
    compute::adding::{answer_to, room_of, usable_bytes},
    reload::Begun,
};

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
pub fn host_reloaded() -> Row {
    let mut times = Vec::new();
    // Sooner than the peers notice by themselves, and after they gave back what they held.
    for away_ms in [200, 1_000, 9_000] {
        let mut room = answering(&[4, 4, 4]);
        let (fetched, at_ms, plan) = (fetched_bytes(&room), room.now_ms, room.plan().cloned());
        let written_ids = room.answer();
        let begun = Begun {
            question: room.question,
            prompt_ids: PROMPT.to_vec(),
            written_ids: written_ids.clone(),
            max_tokens: TOKENS,
        };
        room.reload_host(away_ms, vec![begun]);
        let ended = room.run_until(PATIENCE_MS, |room| room.answers() > 0);
        let whole = [written_ids.clone(), room.answer()].concat();
        let as_before = plan.is_some_and(|before| {
            let units = |plan: &plan::Plan| plan.stages.iter().map(|stage| stage.units).collect();
            let after: Option<Vec<_>> = room.plan().map(units);
            after == Some(units(&before))
        });
        let mut tokens = room.phone(HOST).events.iter();
        let next = tokens.find(|(_, event)| matches!(event, Event::Token { .. }));
        let next = next.map(|(token_ms, _)| token_ms - at_ms);
        let good = ended
            && whole == answer_to(&PROMPT, TOKENS as usize)
            && room.resumed_ids(room.question) == Some(written_ids)
            && as_before
            && fetched_bytes(&room) == fetched;
        times.push(next.filter(|_| good && roster_is_right(&mut room)));
    }
    row(
        "the host's page loaded again, up to 9 s away",
        "goes on <= 15 s behind the tokens shown; no weight fetched again",
        15_000,
        times,
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
