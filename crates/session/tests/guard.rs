//! The door of a session: what reaches it, what leaves it, and when.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::collections::VecDeque;

use door::{Credentials, Fingerprint, Fingerprints, HOST_RANDOM_BYTES, HostKeys, Invitation};
use plan::MemberId;
use session::{Channel, Event, Guarded, Input, Output, Session};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOST: MemberId = MemberId::HOST;
const GUEST: MemberId = MemberId(1);
const HELLO: &[u8] = b"hello";

/// Says hello to whoever it is connected to, and remembers what it was told.
struct Recorder {
    me: MemberId,
    told: Vec<&'static str>,
    outputs: VecDeque<Output>,
}

impl Session for Recorder {
    fn me(&self) -> MemberId {
        self.me
    }

    fn handle(&mut self, _now_ms: u64, input: Input) {
        self.told.push(match input {
            Input::Connected { member } => {
                self.outputs.push_back(hello(member));
                "connected"
            }
            Input::Disconnected { .. } => "disconnected",
            Input::Received { .. } => "received",
            _ => "other",
        });
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<u64> {
        None
    }
}

fn hello(to: MemberId) -> Output {
    Output::Send {
        to,
        channel: Channel::Activation,
        bytes: HELLO.to_vec(),
    }
}

type Page = Guarded<Recorder>;

fn keys() -> HostKeys {
    HostKeys::new(&[1; HOST_RANDOM_BYTES])
}

fn page(me: MemberId) -> Page {
    let credentials = match me {
        HOST => Credentials::Host(keys()),
        _ => Invitation::new("room", &keys()).credentials(),
    };
    let recorder = Recorder {
        me,
        told: Vec::new(),
        outputs: VecDeque::new(),
    };
    Guarded::new(recorder, credentials)
}

fn connect(page: &mut Page, to: MemberId, mine: u8, theirs: u8) {
    let fingerprints = Fingerprints {
        mine: Fingerprint([mine; 32]),
        theirs: Fingerprint([theirs; 32]),
    };
    page.connected(0, to, fingerprints, [mine; 32]);
}

fn outputs(page: &mut Page) -> Vec<Output> {
    std::iter::from_fn(|| page.poll_output()).collect()
}

/// Carries messages to and fro until nobody says anything; what else the pages wanted.
fn talk(now_ms: u64, host: &mut Page, guest: &mut Page) -> Vec<Output> {
    let mut rest = Vec::new();
    loop {
        let mut said = false;
        for from_id in [HOST, GUEST] {
            let (from, to) = match from_id {
                HOST => (&mut *host, &mut *guest),
                _ => (&mut *guest, &mut *host),
            };
            for output in outputs(from) {
                match output {
                    Output::Send { channel, bytes, .. } => {
                        said = true;
                        let from = from_id;
                        let input = Input::Received {
                            from,
                            channel,
                            bytes,
                        };
                        to.handle(now_ms, input);
                    }
                    other => rest.push(other),
                }
            }
        }
        if !said {
            return rest;
        }
    }
}

fn told(page: &mut Page) -> &[&'static str] {
    &page.session().told
}

/// Who proved itself, of outputs that tell nothing else.
fn proven(outputs: Vec<Output>) -> Vec<MemberId> {
    let members = outputs.into_iter().map(|output| match output {
        Output::Proven { member } => member,
        other => panic!("{other:?}"),
    });
    let mut members: Vec<_> = members.collect();
    members.sort_unstable();
    members
}

/// Codes of failures, and whether they were the end.
fn failed(outputs: &[Output]) -> Vec<(&str, bool)> {
    let failed = outputs.iter().filter_map(|output| match output {
        Output::Event(Event::Failed { fault, fatal }) => Some((fault.code.as_str(), *fatal)),
        _ => None,
    });
    failed.collect()
}

#[test]
fn both_sessions_hear_of_a_proven_connection_and_then_talk() {
    let (mut host, mut guest) = (page(HOST), page(GUEST));
    connect(&mut host, GUEST, 10, 20);
    connect(&mut guest, HOST, 20, 10);
    assert_eq!(proven(talk(0, &mut host, &mut guest)), [HOST, GUEST]);
    assert_eq!(told(&mut host), ["connected", "received"]);
    assert_eq!(told(&mut guest), ["connected", "received"]);
    assert_eq!(host.poll_timeout(), None);
}

#[test]
fn a_greeting_may_come_before_this_page_knows_of_the_connection() {
    let (mut host, mut guest) = (page(HOST), page(GUEST));
    connect(&mut guest, HOST, 20, 10);
    assert_eq!(talk(0, &mut host, &mut guest), []);
    connect(&mut host, GUEST, 10, 20);
    assert_eq!(proven(talk(0, &mut host, &mut guest)), [HOST, GUEST]);
    assert_eq!(told(&mut host), ["connected", "received"]);
}

#[test]
fn the_driver_cannot_leave_out_the_proof() {
    let mut host = page(HOST);
    host.handle(0, Input::Connected { member: GUEST });
    for channel in [Channel::Control, Channel::Activation] {
        host.handle(
            0,
            Input::Received {
                from: GUEST,
                channel,
                bytes: HELLO.to_vec(),
            },
        );
    }
    assert!(told(&mut host).is_empty());
}

#[test]
fn nothing_leaves_over_a_connection_that_is_not_proven() {
    let mut host = page(HOST);
    host.session().outputs.push_back(hello(GUEST));
    assert_eq!(outputs(&mut host), []);
    connect(&mut host, GUEST, 10, 20);
    host.session().outputs.push_back(hello(GUEST));
    let said = outputs(&mut host);
    let [Output::Send { bytes, .. }] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_ne!(bytes, HELLO);
}

#[test]
fn a_relayed_connection_is_refused_at_both_ends_and_closed_a_little_later() {
    let (mut host, mut guest) = (page(HOST), page(GUEST));
    connect(&mut host, GUEST, 10, 66);
    connect(&mut guest, HOST, 20, 66);
    let rest = talk(0, &mut host, &mut guest);
    let mut codes = failed(&rest);
    codes.sort_unstable();
    assert_eq!(
        codes,
        [("door.intercepted", false), ("door.intercepted", true)]
    );
    assert!(told(&mut host).is_empty() && told(&mut guest).is_empty());
    let is_proof = |output: &Output| matches!(output, Output::Proven { .. });
    assert!(!rest.iter().any(is_proof), "{rest:?}");
    let due_ms = host.poll_timeout().unwrap();
    assert_eq!(guest.poll_timeout(), None);
    host.handle(due_ms - 1, Input::Timeout);
    assert_eq!(outputs(&mut host), []);
    host.handle(due_ms, Input::Timeout);
    assert_eq!(outputs(&mut host), [Output::Disconnect { member: GUEST }]);
}

#[test]
fn who_says_nothing_is_refused_in_time() {
    let mut host = page(HOST);
    connect(&mut host, GUEST, 10, 20);
    outputs(&mut host);
    let due_ms = host.poll_timeout().unwrap();
    assert!(due_ms <= 5_000);
    host.handle(due_ms, Input::Timeout);
    assert_eq!(failed(&outputs(&mut host)), [("door.silent", false)]);
    let close_ms = host.poll_timeout().unwrap();
    host.handle(close_ms, Input::Timeout);
    assert_eq!(outputs(&mut host), [Output::Disconnect { member: GUEST }]);
    assert!(told(&mut host).contains(&"other"), "the time is told");
    assert!(!told(&mut host).contains(&"connected"));
}

#[test]
fn a_connection_that_ends_before_the_proof_is_named_so() {
    for (me, other, fatal) in [(HOST, GUEST, false), (GUEST, HOST, true)] {
        let mut page = page(me);
        connect(&mut page, other, 10, 20);
        outputs(&mut page);
        page.handle(0, Input::Disconnected { member: other });
        assert_eq!(failed(&outputs(&mut page)), [("door.closed", fatal)]);
        assert!(told(&mut page).is_empty());
    }
}

#[test]
fn hidden_states_before_the_proof_are_refused() {
    let mut host = page(HOST);
    connect(&mut host, GUEST, 10, 20);
    outputs(&mut host);
    host.handle(
        0,
        Input::Received {
            from: GUEST,
            channel: Channel::Activation,
            bytes: HELLO.to_vec(),
        },
    );
    assert_eq!(failed(&outputs(&mut host)), [("door.out_of_turn", false)]);
    assert!(told(&mut host).is_empty());
}

#[test]
fn channels_may_overtake_each_other_once_the_other_end_is_proven() {
    let (mut host, mut guest) = (page(HOST), page(GUEST));
    connect(&mut host, GUEST, 10, 20);
    connect(&mut guest, HOST, 20, 10);
    let pass = |from: &mut Page, to: &mut Page, from_id| {
        for output in outputs(from) {
            let (channel, bytes) = match output {
                Output::Send { channel, bytes, .. } => (channel, bytes),
                Output::Proven { .. } => continue,
                other => panic!("{other:?}"),
            };
            to.handle(
                0,
                Input::Received {
                    from: from_id,
                    channel,
                    bytes,
                },
            );
        }
    };
    // Greetings, proofs.
    pass(&mut host, &mut guest, HOST);
    pass(&mut guest, &mut host, GUEST);
    pass(&mut host, &mut guest, HOST);
    // The guest's last word of the handshake is on its way when its hello arrives.
    host.handle(
        0,
        Input::Received {
            from: GUEST,
            channel: Channel::Activation,
            bytes: HELLO.to_vec(),
        },
    );
    assert_eq!(told(&mut host), ["connected", "received"]);
    // And then that word arrives, and one more hello.
    pass(&mut guest, &mut host, GUEST);
    assert_eq!(told(&mut host), ["connected", "received", "received"]);
    assert_eq!(proven(talk(0, &mut host, &mut guest)), [GUEST]);
    assert_eq!(told(&mut guest), ["connected", "received"]);
}

#[test]
fn a_new_connection_takes_the_place_of_the_old_one() {
    let (mut host, mut guest) = (page(HOST), page(GUEST));
    for certificates in [10, 30] {
        connect(&mut host, GUEST, certificates, certificates + 1);
        connect(&mut guest, HOST, certificates + 1, certificates);
        assert_eq!(proven(talk(0, &mut host, &mut guest)), [HOST, GUEST]);
    }
    assert_eq!(
        told(&mut host),
        [
            "connected",
            "received",
            "disconnected",
            "connected",
            "received"
        ]
    );
}
