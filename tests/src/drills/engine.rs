//! Engines and storage that fail.

use super::{
    HOST, PROMPT, Row, TOKENS, answering, answering_in, next_token_after, next_token_ms, peers_in,
    row, said, spare_in,
};
use crate::{
    Room,
    compute::{
        Storage,
        adding::{UNIT_BYTES, room_of, usable_bytes},
    },
};

/// A drill.
pub fn out_of_memory() -> Row {
    let mut room = answering(&[4, 6, 6, 6]);
    let spare = spare_in(&room);
    room.phone_mut(spare).ailment.broken_loads = 1;
    let lost = peers_in(&room)[0];
    drop(room.close_tab(lost));
    let next_ms = next_token_after(&mut room, "engine.gpu_limit");
    // With half of its share it and the host are not enough.
    let is_reduced = peers_in(&room).iter().any(|peer| *peer != spare);
    row(
        "the GPU is out of memory while it loads",
        "share reduced, planned anew <= 10 s",
        10_000,
        vec![next_ms.filter(|_| is_reduced)],
    )
}

/// A drill.
pub fn kv_out_of_memory() -> Row {
    let mut times = Vec::new();
    for place in 0..2 {
        let mut room = answering(&[4, 4, 4, 8]);
        let victim = peers_in(&room)[place % peers_in(&room).len()];
        let units = |room: &Room| {
            let stages = room.plan().into_iter().flat_map(|plan| &plan.stages);
            let own = stages.filter(|stage| stage.member == victim);
            own.map(|stage| stage.units.len()).sum::<u32>()
        };
        let before = units(&room);
        room.phone_mut(victim).ailment.starved_runs = 1;
        let next_ms = next_token_after(&mut room, "engine.out_of_memory");
        times.push(next_ms.filter(|_| units(&room) < before));
    }
    row(
        "out of memory when the KV of an answer grows",
        "share reduced, planned anew <= 10 s",
        10_000,
        times,
    )
}

/// A drill.
pub fn weights_damaged() -> Row {
    let mut room = answering(&[4, 4, 4, 4]);
    let spare = spare_in(&room);
    room.phone_mut(spare).ailment.damaged_loads = u32::MAX;
    let lost = peers_in(&room)[0];
    let at_ms = room.now_ms;
    drop(room.close_tab(lost));
    room.run(5_000);
    let told = room.interruptions();
    let tries = told.iter().filter(|code| **code == "model.chunk_hash");
    let given_up = tries.count() == 3 && told.last() == Some(&"capacity");
    room.join(usable_bytes(4));
    let next_ms = next_token_ms(&mut room, at_ms);
    let left_out = !room.ring().contains(&spare);
    row(
        "weights of a phone arrive damaged, also when fetched again",
        "typed error; left out after three tries; goes on when a phone joins",
        15_000,
        vec![next_ms.filter(|_| given_up && left_out)],
    )
}

/// A drill.
pub fn crash_while_loading() -> Row {
    let mut room = answering(&[4, 24, 24]);
    let spare = spare_in(&room);
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
        let next_ms = next_token_after(&mut room, "engine.device_lost");
        let from_storage = room.phone(victim).storage.borrow().fetched_bytes == fetched;
        times.push(next_ms.filter(|_| from_storage));
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
    let next_ms = next_token_after(&mut room, "engine.silent");
    row(
        "an engine that never answers",
        "noticed and replaced <= 25 s",
        25_000,
        vec![next_ms],
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
