//! Who is let into a simulated room, and who is not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use model::{NumericClass, WireDtype};
use plan::MemberId;
use session::Event;
use tests::{Model, ModelFile, Room, interceptor::Attack, network::Network};

const CLASS: NumericClass = NumericClass {
    wire: WireDtype::F32,
    chunk_columns: 8,
    context_columns: 64,
};

fn room(seed: u64) -> Room {
    let model = Model::Real(ModelFile::tiny_llama());
    Room::open(model, CLASS, &[1 << 30], Network::new(seed, 10))
}

/// Codes of what failed on a phone's page, and whether that was the end for it.
fn codes(room: &Room, member: MemberId) -> Vec<(&str, bool)> {
    let faults = room.faults(member).into_iter();
    faults
        .map(|(fault, fatal)| (fault.code.as_str(), fatal))
        .collect()
}

/// Application bytes that anyone's session was given.
fn delivered_bytes(room: &mut Room) -> u64 {
    let phones = room.phones.values_mut();
    phones.map(|phone| phone.delivered_bytes()).sum()
}

#[test]
fn malicious_signaling_100_of_100_joins_refused_and_no_application_byte_delivered() {
    let mut room = room(11);
    for join in 0..100 {
        let attack = *Attack::ALL.get(join % Attack::ALL.len()).unwrap();
        room.intercept(attack);
        let guest = room.join(1 << 30);
        room.run(7_000);
        let heard = &room.interceptor.as_ref().unwrap().heard;
        for (from, to) in [(MemberId::HOST, guest), (guest, MemberId::HOST)] {
            let words = heard
                .iter()
                .filter(|word| (word.from, word.to) == (from, to));
            assert!(words.count() > 0, "the attack took effect");
        }
        let [(code, true)] = codes(&room, guest)[..] else {
            panic!("{attack:?}: {:?}", codes(&room, guest));
        };
        let expected = match attack {
            Attack::Relay => "door.intercepted",
            Attack::Rewrite | Attack::Pose | Attack::Reflect => "door.wrong_host",
            Attack::Barge => "door.out_of_turn",
        };
        assert_eq!(code, expected, "{attack:?}");
        assert_eq!(codes(&room, MemberId::HOST).len(), join + 1);
    }
    assert_eq!(delivered_bytes(&mut room), 0);
    let joined = |event: &Event| matches!(event, Event::Joined { .. });
    let members: Vec<_> = room.phones.keys().copied().collect();
    assert!(
        members
            .iter()
            .all(|member| !room.events(*member).any(joined))
    );
    assert!(codes(&room, MemberId::HOST).iter().all(|(_, fatal)| !fatal));

    room.interceptor = None;
    let guest = room.join(1 << 30);
    room.run(1_000);
    assert_eq!(codes(&room, guest), []);
    assert!(
        delivered_bytes(&mut room) > 0,
        "without the attack, phones talk"
    );
}

#[test]
fn a_guest_is_told_its_number() {
    let mut room = room(12);
    for _ in 0..3 {
        let guest = room.join(1 << 30);
        room.run(1_000);
        let joined = Event::Joined { member: guest };
        assert!(room.events(guest).any(|event| *event == joined));
    }
}
