//! Numbers a lying phone may claim: whatever passes the checks must not break the solvers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod rooms;

use model::{EngineKind, UnitKind};
use plan::{EngineProfile, Lap, MemberId, PhoneProfile, Power, check, solve};
use proptest::prelude::*;
use rooms::Room;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn ms() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(f64::MIN_POSITIVE),
        Just(3.6e6),
        (-300.0..6.5_f64).prop_map(|exponent| 10_f64.powf(exponent)),
        0.001..100.0_f64,
    ]
}

fn bytes() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(1 << 39),
        (0..39_u32).prop_map(|bits| 1 << bits),
        0..1_u64 << 30
    ]
}

fn profile(engine: EngineKind) -> impl Strategy<Value = EngineProfile> {
    (prop::collection::vec(ms(), 13), ms()).prop_map(move |(ms, ms_per_call)| {
        let kinds = [
            UnitKind::Embedding,
            UnitKind::Attention,
            UnitKind::Mlp,
            UnitKind::Head,
        ];
        EngineProfile {
            engine,
            variant: String::new(),
            decode_ms_per_unit: kinds.into_iter().zip(ms[..4].iter().copied()).collect(),
            chunk_ms_per_unit: kinds.into_iter().zip(ms[4..8].iter().copied()).collect(),
            verify_ms_per_unit: kinds.into_iter().zip(ms[8..12].iter().copied()).collect(),
            attention_ms_per_cached_column: ms[12],
            ms_per_call,
        }
    })
}

/// The number of the phone is its place in the room.
fn phone() -> impl Strategy<Value = PhoneProfile> {
    let engines = (
        profile(EngineKind::Cpu),
        prop::option::of(profile(EngineKind::Gpu)),
    );
    let power = prop_oneof![
        Just(Power::Unknown),
        Just(Power::Charging),
        (0.0..=1.0).prop_map(|share| Power::Battery { share }),
    ];
    (bytes(), engines, power, any::<(bool, bool)>()).prop_map(
        |(budget_bytes, (cpu, gpu), power, (hidden, metered))| PhoneProfile {
            hidden,
            metered,
            power,
            ..rooms::profile(0, budget_bytes, core::iter::once(cpu).chain(gpu).collect())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(5), ..ProptestConfig::with_cases(400) })]

    #[test]
    fn extreme_measurements_give_a_plan_or_a_typed_error(
        blocks in 0..9_usize,
        phones in prop::collection::vec(phone(), 1..9),
        hops in prop::collection::vec(ms(), 28),
        units in prop::collection::vec((bytes(), bytes()), 11),
        scratch_bytes in bytes(),
        (prompt_tokens, output_tokens) in (any::<u32>(), 1..u32::MAX),
        (requests_in_flight, lap_columns, energy_weight) in (1..1025_u32, 1..9_u32, prop_oneof![Just(0.0), Just(1e6), 0.0..10.0_f64]),
    ) {
        let mut problem = Room::of_blocks(blocks).build();
        problem.phones = phones;
        for (member, phone) in (0..).zip(&mut problem.phones) {
            phone.member = MemberId(member);
        }
        let pairs = (0..8).flat_map(|a| (0..a).map(move |b| (MemberId(a), MemberId(b))));
        for ((a, b), ms) in pairs.zip(hops) {
            problem.hops.set(a, b, ms);
        }
        for (unit, (weight_bytes, kv_bytes)) in problem.units.iter_mut().zip(units) {
            (unit.weight_bytes, unit.kv_bytes) = (weight_bytes.max(1), kv_bytes);
        }
        problem.scratch_bytes = scratch_bytes;
        problem.workload.prompt_tokens = prompt_tokens;
        problem.workload.output_tokens = output_tokens;
        problem.workload.requests_in_flight = requests_in_flight;
        problem.workload.lap = Lap { columns: lap_columns, tokens: f64::from(lap_columns) };
        problem.wishes.energy_weight = energy_weight;
        match solve(&problem, 1) {
            Ok(plan) => {
                check(&problem, &plan).unwrap();
                prop_assert!(plan.lower_bound_ms_per_token <= plan.predicted_ms_per_token, "{plan:?}");
                prop_assert!((0.0..=1.0).contains(&plan.gap()), "{plan:?}");
            }
            Err(error) => prop_assert_eq!(error.code(), "capacity", "{}", error),
        }
    }
}
