//! Networks that lose, delay or say something else.

use session::{Channel, Event};

use super::{HOST, Row, answering, next_token_ms, peers_in, row, said, token_times};
use crate::{
    compute::adding::{room_of, usable_bytes},
    room::{Message, Mischief},
};

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
    let mut calm = answering(&[4, 4, 4]);
    let _ = next_token_ms(&mut calm, 0);
    let mut room = answering(&[4, 4, 4]);
    room.server_up_at_ms = room.now_ms + 5_000;
    let whole = next_token_ms(&mut room, 0).is_some();
    let undelayed = token_times(&calm) == token_times(&room);
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
