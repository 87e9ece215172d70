//! Control messages: round trips, limits, and whatever a stranger may send instead.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use std::collections::BTreeMap;

use model::{EngineKind, NumericClass, UnitKind, UnitRange, WireDtype};
use plan::{EngineProfile, Held, MemberId, Plan, Power, Stage};
use proptest::prelude::*;
use proto::control::MAX_CONTROL_BYTES;
use proto::{
    Cached, Control, Ending, Fault, MemberView, ModelReference, PROTOCOL, Progress, ProtoError,
    Resume, Start, Summary,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn profile() -> EngineProfile {
    EngineProfile {
        engine: EngineKind::Gpu,
        variant: "adapter".to_owned(),
        decode_ms_per_unit: BTreeMap::from([(UnitKind::Mlp, 0.25)]),
        verify_ms_per_unit: BTreeMap::from([(UnitKind::Mlp, 0.5)]),
        chunk_ms_per_unit: BTreeMap::from([(UnitKind::Attention, 3.5)]),
        attention_ms_per_cached_column: 0.001,
        ms_per_call: 0.5,
    }
}

fn class() -> NumericClass {
    NumericClass {
        wire: WireDtype::F16Scaled,
        chunk_columns: 32,
        context_columns: 1024,
    }
}

fn fault() -> Fault {
    Fault {
        code: "gpu.lost".to_owned(),
        message: "The GPU is gone.".to_owned(),
        remedy: "Reload.".to_owned(),
    }
}

fn plan() -> Plan {
    Plan {
        epoch: 4,
        stages: vec![Stage {
            member: MemberId::HOST,
            units: UnitRange { start: 0, end: 9 },
            engine: EngineKind::Cpu,
        }],
        class: class(),
        held: vec![Held {
            member: MemberId::HOST,
            units: UnitRange { start: 0, end: 9 },
        }],
        slots: 2,
        predicted_ms_per_token: 12.5,
        lower_bound_ms_per_token: 11.0,
        predicted_request_ms: 1250.0,
        objective_ms: 1250.0,
        lower_bound_objective_ms: 1100.0,
        bytes_per_token: 0,
    }
}

/// One of each.
fn messages() -> Vec<Control> {
    let member = MemberId(3);
    vec![
        Control::Hello {
            name: "Änne's phone".to_owned(),
            budget_bytes: 1 << 30,
            metered: true,
            client: Some("tab".to_owned()),
        },
        Control::Welcome {
            model: ModelReference {
                id: "id".to_owned(),
                file: Some("/models/a.gguf".to_owned()),
                manifest: None,
            },
            hidden_width: 576,
            class: class(),
        },
        Control::Measured {
            engines: vec![profile()],
        },
        Control::RoundTrips {
            ms: vec![(member, 3.5)],
        },
        Control::Hidden { hidden: true },
        Control::Power {
            power: Power::Battery { share: 0.5 },
        },
        Control::Connect {
            member,
            offer: true,
        },
        Control::Signal {
            from: member,
            to: MemberId(4),
            payload: "v=0".to_owned(),
        },
        Control::Members {
            members: vec![MemberView {
                member,
                name: "phone".to_owned(),
                engine: Some(EngineKind::Gpu),
                measured: vec![profile()],
                budget_bytes: 5,
                units: vec![UnitRange { start: 1, end: 2 }],
                ms_per_token: Some(4.5),
                hidden: true,
                low_battery: false,
                rtt_ms: None,
                loaded_bytes: 1,
                assigned_bytes: 2,
                fetched_bytes: 3,
                from_room_bytes: 4,
                failed_sources: 5,
            }],
        },
        Control::Assign {
            plan: plan(),
            unit_kinds: vec![UnitKind::Embedding, UnitKind::Head],
        },
        Control::Prepare {
            epoch: 5,
            units: vec![UnitRange { start: 3, end: 4 }],
        },
        Control::Prepared { epoch: 5 },
        Control::Passed {
            epoch: 4,
            request: 2,
            position: 64,
        },
        Control::LoadProgress {
            epoch: 4,
            progress: Progress {
                bytes_done: 4,
                bytes_total: 5,
                bytes_fetched: 1,
                bytes_from_room: 2,
                failed_sources: 3,
            },
        },
        Control::Loaded {
            epoch: 4,
            held: vec![Cached {
                request: 2,
                columns: 7,
                kept: Some((0, 7)),
            }],
        },
        Control::Ready {
            epoch: 4,
            resume: vec![Resume {
                request: 2,
                slot: 1,
                prompt_columns: 5,
                position: 7,
                starts: vec![Start {
                    from: 7,
                    resend: true,
                }],
            }],
        },
        Control::BeginRequest {
            request: 9,
            slot: 3,
        },
        Control::EndRequest { request: 9 },
        Control::Ask {
            question: 3,
            payload: "왜?".to_owned(),
        },
        Control::StopAnswer { question: 3 },
        Control::Said {
            question: 3,
            id: 12,
            text: " because".to_owned(),
        },
        Control::Answered {
            question: 3,
            rest: String::new(),
            summary: Summary {
                prompt_tokens: 4,
                tokens: 7,
                reason: Ending::Cancelled,
                ms_to_first_token: 12.0,
                tok_per_s: 3.5,
                start_log_likelihood: -1.5,
            },
        },
        Control::Refused {
            question: 3,
            fault: fault(),
        },
        Control::Ping { sent_ms: u64::MAX },
        Control::Pong { sent_ms: 0 },
        Control::Failed {
            epoch: 4,
            fault: fault(),
        },
        Control::Bye,
    ]
}

#[test]
fn every_message_comes_back() {
    for message in messages() {
        let bytes = message.encode().unwrap();
        assert_eq!(Control::decode(&bytes), Ok(message));
    }
}

#[test]
fn another_protocol_is_named() {
    let mut bytes = Control::Bye.encode().unwrap();
    bytes[0] = PROTOCOL + 1;
    let error = Control::decode(&bytes).unwrap_err();
    assert_eq!(
        error,
        ProtoError::Version {
            theirs: PROTOCOL + 1,
            ours: PROTOCOL
        }
    );
    assert_eq!(error.code(), "proto.version");
}

#[test]
fn nothing_may_follow_a_message_and_nothing_may_be_missing() {
    for message in messages() {
        let bytes = message.encode().unwrap();
        for end in 0..bytes.len() {
            assert!(Control::decode(&bytes[..end]).is_err(), "{message:?} {end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Control::decode(&longer), Err(ProtoError::Control));
    }
}

#[test]
fn long_messages_are_neither_sent_nor_read() {
    let payload = "x".repeat(MAX_CONTROL_BYTES);
    let message = Control::Signal {
        from: MemberId(1),
        to: MemberId(2),
        payload,
    };
    assert_eq!(message.encode().unwrap_err().code(), "proto.too_long");
    let bytes = vec![PROTOCOL; MAX_CONTROL_BYTES + 1];
    assert_eq!(
        Control::decode(&bytes).unwrap_err().code(),
        "proto.too_long"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(3), ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0..20_u8) {
        let _ = Control::decode(&bytes);
        bytes.splice(0..0, [PROTOCOL, kind]);
        if let Ok(message) = Control::decode(&bytes) {
            // NaN differs from itself, its bytes do not.
            let again = Control::decode(&message.encode().unwrap()).unwrap();
            prop_assert_eq!(format!("{again:?}"), format!("{message:?}"));
        }
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(which in 0..17_usize, at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = messages()[which].encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = Control::decode(&bytes);
    }
}
