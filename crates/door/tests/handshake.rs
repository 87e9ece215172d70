//! Two ends of a connection, and everything that may stand between them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use door::{
    Credentials, DoorError, Fingerprint, Fingerprints, HOST_RANDOM_BYTES, Handshake, HostKeys,
    Invitation, Step,
};
use plan::MemberId;
use proptest::prelude::*;
use proto::handshake::{Handshake as Message, HostProof, Statement};
use proto::{PROTOCOL, ProtoError};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOST: MemberId = MemberId::HOST;
const GUEST: MemberId = MemberId(1);
const OTHER: MemberId = MemberId(2);

fn keys(of: u8) -> HostKeys {
    HostKeys::new(&[of; HOST_RANDOM_BYTES])
}

fn invited(keys: &HostKeys) -> Credentials {
    Invitation::new("room", keys).credentials()
}

fn certificate(of: u8) -> Fingerprint {
    Fingerprint::of_certificate(&[of])
}

/// One end: who it is, whom it expects, and which certificates it sees.
struct End {
    handshake: Handshake,
    inbox: Vec<Vec<u8>>,
}

fn end(
    credentials: Credentials,
    me: MemberId,
    other: MemberId,
    mine: u8,
    theirs: u8,
) -> (End, Vec<u8>) {
    let fingerprints = Fingerprints {
        mine: certificate(mine),
        theirs: certificate(theirs),
    };
    let nonce = [mine; 32];
    let (handshake, greeting) =
        Handshake::new(credentials, me, other, fingerprints, nonce).unwrap();
    (
        End {
            handshake,
            inbox: Vec::new(),
        },
        greeting,
    )
}

/// Whatever is on its way may be changed: (from the first end, message) -> message.
type Tamper<'a> = &'a dyn Fn(bool, Message) -> Message;

const UNTOUCHED: Tamper<'static> = &|_, message| message;

/// Runs both ends to the end; how each of them ended.
fn meet(
    (mut a, from_a): (End, Vec<u8>),
    (mut b, from_b): (End, Vec<u8>),
    tamper: Tamper<'_>,
) -> [Result<(), DoorError>; 2] {
    b.inbox.push(from_a);
    a.inbox.push(from_b);
    let mut ended = [Err(DoorError::Closed), Err(DoorError::Closed)];
    let mut over = [false; 2];
    for _ in 0..8 {
        for (index, first) in [(0, true), (1, false)] {
            let (end, other) = if first {
                (&mut a, &mut b)
            } else {
                (&mut b, &mut a)
            };
            let messages = std::mem::take(&mut end.inbox);
            for bytes in messages {
                if *over.get(index).unwrap() {
                    continue;
                }
                let message = tamper(!first, Message::decode(&bytes).unwrap());
                let step = end.handshake.receive(&message.encode().unwrap());
                let failed = step.is_err();
                match step {
                    Ok(Step { send, open }) => {
                        other.inbox.extend(send);
                        if open {
                            *ended.get_mut(index).unwrap() = Ok(());
                        }
                    }
                    Err(error) => *ended.get_mut(index).unwrap() = Err(error),
                }
                *over.get_mut(index).unwrap() = failed;
            }
        }
    }
    ended
}

fn host(keys: &HostKeys, mine: u8, theirs: u8) -> (End, Vec<u8>) {
    end(Credentials::Host(keys.clone()), HOST, GUEST, mine, theirs)
}

fn guest(keys: &HostKeys, mine: u8, theirs: u8) -> (End, Vec<u8>) {
    end(invited(keys), GUEST, HOST, mine, theirs)
}

#[test]
fn host_and_guest_open() {
    let keys = keys(1);
    let ended = meet(host(&keys, 10, 20), guest(&keys, 20, 10), UNTOUCHED);
    assert_eq!(ended, [Ok(()), Ok(())]);
}

#[test]
fn two_guests_open() {
    let invited = invited(&keys(1));
    let a = end(invited.clone(), GUEST, OTHER, 10, 20);
    let b = end(invited, OTHER, GUEST, 20, 10);
    assert_eq!(meet(a, b, UNTOUCHED), [Ok(()), Ok(())]);
}

#[test]
fn another_secret_is_refused_by_both() {
    // The guest knows the host's key, and a wrong secret.
    let (right, wrong) = (keys(1), keys(2));
    let text = Invitation::new("room", &right).to_string();
    let parts: Vec<&str> = text.split('.').collect();
    let other = Invitation::new("room", &wrong).to_string();
    let secret = other.split('.').nth(1).unwrap().to_owned();
    let link = [*parts.first().unwrap(), &secret, *parts.last().unwrap()].join(".");
    let credentials = Invitation::parse(&link).unwrap().credentials();
    let ended = meet(
        host(&right, 10, 20),
        end(credentials, GUEST, HOST, 20, 10),
        UNTOUCHED,
    );
    assert_eq!(
        ended,
        [Err(DoorError::WrongSecret), Err(DoorError::WrongSecret)]
    );
}

#[test]
fn a_host_that_did_not_make_the_invitation_is_refused() {
    let [_, guest] = meet(host(&keys(2), 10, 20), guest(&keys(1), 20, 10), UNTOUCHED);
    assert_eq!(guest, Err(DoorError::WrongHost));
}

#[test]
fn a_member_cannot_pose_as_the_host() {
    // It has the invitation, and with it the secret and the key's hash, and what the host once proved to it.
    let keys = keys(1);
    let posing = || end(invited(&keys), HOST, GUEST, 10, 20);
    let [_, silent] = meet(posing(), guest(&keys, 20, 10), UNTOUCHED);
    assert_eq!(silent, Err(DoorError::WrongHost));

    let seen = std::cell::Cell::new(None);
    let record = |from_host: bool, message: Message| {
        if let (true, Message::Proof(proof)) = (from_host, &message) {
            seen.set(proof.host);
        }
        message
    };
    let member = end(invited(&keys), OTHER, HOST, 20, 10);
    let real = end(Credentials::Host(keys.clone()), HOST, OTHER, 10, 20);
    assert_eq!(meet(real, member, &record), [Ok(()), Ok(())]);
    let old = seen.get().unwrap();
    let replay = |from_host: bool, message: Message| match message {
        Message::Proof(mut proof) if from_host => {
            proof.host = Some(old);
            Message::Proof(proof)
        }
        other => other,
    };
    let [_, replayed] = meet(posing(), guest(&keys, 20, 10), &replay);
    assert_eq!(replayed, Err(DoorError::WrongHost));
}

/// Both ends see certificate 66 of whoever sits between them; it passes everything on.
#[test]
fn whoever_relays_between_two_certificates_is_noticed_by_both() {
    let keys = keys(1);
    let ended = meet(host(&keys, 10, 66), guest(&keys, 20, 66), UNTOUCHED);
    assert_eq!(
        ended,
        [Err(DoorError::Intercepted), Err(DoorError::Intercepted)]
    );
    let invited = invited(&keys);
    let ended = meet(
        end(invited.clone(), GUEST, OTHER, 10, 66),
        end(invited, OTHER, GUEST, 20, 66),
        UNTOUCHED,
    );
    assert_eq!(
        ended,
        [Err(DoorError::Intercepted), Err(DoorError::Intercepted)]
    );
}

#[test]
fn correcting_the_statement_breaks_its_proof() {
    let keys = keys(1);
    let correct = |to: Statement| {
        move |_, message| match message {
            Message::Proof(mut proof) => {
                proof.statement = to;
                Message::Proof(proof)
            }
            other => other,
        }
    };
    let end = |member, of: u8| proto::handshake::End {
        member,
        fingerprint: certificate(of).0,
        nonce: [of; 32],
    };
    // What the guest sees: the host behind certificate 66.
    let mut seen = Statement {
        ends: [end(HOST, 66), end(GUEST, 20)],
    };
    seen.ends.first_mut().unwrap().nonce = [10; 32];
    let [_, guest_ended] = meet(host(&keys, 10, 66), guest(&keys, 20, 66), &correct(seen));
    assert_eq!(guest_ended, Err(DoorError::WrongHost));
    let mut seen = Statement {
        ends: [end(HOST, 10), end(GUEST, 66)],
    };
    seen.ends.last_mut().unwrap().nonce = [20; 32];
    let [host_ended, _] = meet(host(&keys, 10, 66), guest(&keys, 20, 66), &correct(seen));
    assert_eq!(host_ended, Err(DoorError::WrongSecret));
}

#[test]
fn every_changed_bit_of_a_proof_is_refused() {
    let keys = keys(1);
    let (mut host, from_host) = host(&keys, 10, 20);
    let (mut guest, from_guest) = guest(&keys, 20, 10);
    let proof_of_host = host.handshake.receive(&from_guest).unwrap().send.unwrap();
    guest.handshake.receive(&from_host).unwrap();
    for bit in 0..proof_of_host.len() * 8 {
        let mut changed = proof_of_host.clone();
        *changed.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        let (mut guest, _) = self::guest(&keys, 20, 10);
        guest.handshake.receive(&from_host).unwrap();
        assert!(guest.handshake.receive(&changed).is_err(), "bit {bit}");
    }
    assert!(guest.handshake.receive(&proof_of_host).is_ok());
}

#[test]
fn what_an_end_said_itself_proves_nothing() {
    let keys = keys(1);
    for credentials in [Credentials::Host(keys.clone()), invited(&keys)] {
        let (me, other) = match credentials {
            Credentials::Host(_) => (HOST, GUEST),
            Credentials::Guest { .. } => (GUEST, OTHER),
        };
        let (mut end, greeting) = end(credentials, me, other, 10, 20);
        let proof = end.handshake.receive(&greeting).unwrap().send.unwrap();
        assert!(end.handshake.receive(&proof).is_err());
    }
}

#[test]
fn another_number_is_noticed() {
    // A server that told the guest a wrong number.
    let keys = keys(1);
    let ended = meet(
        host(&keys, 10, 20),
        end(invited(&keys), OTHER, HOST, 20, 10),
        UNTOUCHED,
    );
    assert_eq!(
        ended,
        [Err(DoorError::WrongSecret), Err(DoorError::Intercepted)]
    );
}

#[test]
fn a_guest_with_a_proof_of_the_host_is_refused() {
    let invited = invited(&keys(1));
    let add = |_, message| match message {
        Message::Proof(mut proof) => {
            proof.host = Some(HostProof {
                key: [0; 32],
                signature: [[0; 32]; 2],
            });
            Message::Proof(proof)
        }
        other => other,
    };
    let a = end(invited.clone(), GUEST, OTHER, 10, 20);
    let b = end(invited, OTHER, GUEST, 20, 10);
    assert_eq!(
        meet(a, b, &add),
        [Err(DoorError::OutOfTurn), Err(DoorError::OutOfTurn)]
    );
}

#[test]
fn nothing_is_accepted_out_of_turn() {
    let keys = keys(1);
    let accepted = Message::Accepted.encode().unwrap();
    let (mut first, _) = guest(&keys, 20, 10);
    assert_eq!(
        first.handshake.receive(&accepted),
        Err(DoorError::OutOfTurn)
    );
    let (mut greeted, _) = guest(&keys, 20, 10);
    let (_, from_host) = host(&keys, 10, 20);
    greeted.handshake.receive(&from_host).unwrap();
    assert_eq!(
        greeted.handshake.receive(&from_host),
        Err(DoorError::OutOfTurn)
    );
    assert!(!greeted.handshake.is_convinced());
}

#[test]
fn another_version_is_named() {
    let (mut end, mut greeting) = guest(&keys(1), 20, 10);
    *greeting.first_mut().unwrap() = PROTOCOL + 1;
    let version = ProtoError::Version {
        theirs: PROTOCOL + 1,
        ours: PROTOCOL,
    };
    let error = end.handshake.receive(&greeting).unwrap_err();
    assert_eq!(error, DoorError::Proto(version));
    assert_eq!(error.code(), "proto.version");
    assert!(error.remedy().starts_with("Reload the page"));
}

const SDP: &str = "v=0\r\na=ice-ufrag:x\r\na=fingerprint:sha-256 \
    2C:F2:4D:BA:5F:B0:A3:0E:26:E8:3B:2A:C5:B9:E2:9E:1B:16:1E:5C:1F:A7:42:5E:73:04:33:62:93:8B:98:24\r\nm=application 9\r\n";

#[test]
fn an_sdp_names_exactly_one_certificate() {
    // SHA-256("hello").
    let hello = Fingerprint::of_certificate(b"hello");
    assert_eq!(Fingerprint::of_sdp(SDP), Ok(hello));
    assert_eq!(Fingerprint::of_sdp(&SDP.to_lowercase()), Ok(hello));
    let line = SDP.lines().nth(2).unwrap();
    for bad in [
        String::new(),
        SDP.replace("sha-256", "sha-1"),
        SDP.replace(":24\r", "\r"),
        SDP.replace(":24\r", ":2G\r"),
        format!("{SDP}{line}\r\n"),
        format!("{SDP}a=fingerprint:sha-512 00\r\n"),
    ] {
        assert_eq!(
            Fingerprint::of_sdp(&bad),
            Err(DoorError::NoCertificate),
            "{bad}"
        );
    }
}

#[test]
fn the_negotiated_certificate_must_be_the_named_one() {
    let hello = Fingerprint::of_certificate(b"hello");
    assert_eq!(
        Fingerprint::of_other_end(&[b"hello".to_vec()], SDP),
        Ok(hello)
    );
    assert_eq!(Fingerprint::of_other_end(&[], SDP), Ok(hello));
    let other = Fingerprint::of_other_end(&[b"other".to_vec()], SDP);
    assert_eq!(other, Err(DoorError::NoCertificate));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes_are_refused_or_lead_nowhere(mut bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0..4_u8) {
        let (mut end, _) = guest(&keys(1), 20, 10);
        let _ = end.handshake.receive(&bytes);
        bytes.splice(0..0, [PROTOCOL, kind]);
        if let Ok(step) = end.handshake.receive(&bytes) {
            prop_assert!(!step.open && !end.handshake.is_convinced());
        }
    }
}
