//! What a person expects of a placement, on hand-made rooms.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod rooms;

use model::{EngineKind, UnitRange};
use plan::{MemberId, PlanError, check, cost, solve};
use rooms::{GPU_MS, MIB, Room};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn host_alone_when_it_fits_and_hops_cost_more_than_they_save() {
    let problem = Room::of_blocks(6)
        .phone(0, 100 * MIB, 2.0)
        .phone(1, 100 * MIB, 2.0)
        .hops_ms(5.0)
        .build();
    let plan = solve(&problem, 7).unwrap();
    check(&problem, &plan).unwrap();
    assert_eq!(plan.epoch, 7);
    assert_eq!(plan.stages.len(), 1);
    assert_eq!(plan.stages[0].units, UnitRange { start: 0, end: 8 });
}

#[test]
fn a_much_faster_peer_takes_the_blocks() {
    let problem = Room::of_blocks(6)
        .phone(0, 100 * MIB, 20.0)
        .phone(1, 100 * MIB, 1.0)
        .hops_ms(5.0)
        .build();
    let plan = solve(&problem, 1).unwrap();
    check(&problem, &plan).unwrap();
    assert_eq!(plan.stages.len(), 3);
    assert_eq!(plan.stages[1].member, MemberId(1));
    assert_eq!(plan.stages[1].units, UnitRange { start: 1, end: 7 });
}

#[test]
fn a_slow_peer_is_used_only_where_its_memory_is_needed() {
    // 6 blocks of 10 MiB; host and first peer hold 2 and 3 of them: the slow one gets exactly what is left.
    let problem = Room::of_blocks(6)
        .phone(0, 44 * MIB, 1.0)
        .phone(1, 32 * MIB, 1.0)
        .phone(2, 90 * MIB, 50.0)
        .hops_ms(1.0)
        .build();
    let plan = solve(&problem, 1).unwrap();
    check(&problem, &plan).unwrap();
    let slow = plan
        .stages
        .iter()
        .find(|stage| stage.member == MemberId(2))
        .unwrap();
    assert_eq!(slow.units.len(), 1);
}

#[test]
fn each_phone_uses_its_faster_engine_unless_told() {
    let room = || {
        Room::of_blocks(4)
            .phone(0, 25 * MIB, 1.0)
            .phone(1, 90 * MIB, 1.0)
            .gpu(1, GPU_MS)
            .hops_ms(1.0)
    };
    let free = solve(&room().build(), 1).unwrap();
    assert_eq!(free.stages[1].engine, EngineKind::Gpu);
    let mut problem = room().build();
    problem.forced_engines.insert(MemberId(1), EngineKind::Cpu);
    let forced = solve(&problem, 1).unwrap();
    check(&problem, &forced).unwrap();
    assert_eq!(forced.stages[1].engine, EngineKind::Cpu);
    problem.forced_engines.insert(MemberId(0), EngineKind::Gpu);
    assert!(matches!(
        solve(&problem, 1),
        Err(PlanError::NotMeasured { .. })
    ));
}

#[test]
fn cost_adds_stages_calls_and_hops_round_the_ring() {
    let problem = Room::of_blocks(4)
        .phone(0, 25 * MIB, 1.0)
        .phone(1, 90 * MIB, 2.0)
        .hops_ms(3.0)
        .build();
    let plan = solve(&problem, 1).unwrap();
    let cost = cost(&problem, &plan.stages).unwrap();
    // Host: embedding 0.1, call 0.5, no block fits; peer: 4 blocks of 2 ms, call 0.5; head 1 ms, call 0.5; two hops.
    assert!(
        (cost.ms_per_token - (0.1 + 0.5 + 8.0 + 0.5 + 1.0 + 0.5 + 6.0)).abs() < 1e-9,
        "{cost:?}"
    );
    // 64 prompt columns are two chunks; a block's chunk takes 4x a column: 0.4 + 0.5 | 32 + 0.5 | head once; the peer is the slowest.
    assert!(
        (cost.prefill_ms - (0.9 + 32.5 + 1.5 + 6.0 + 32.5)).abs() < 1e-9,
        "{cost:?}"
    );
    assert!(plan.lower_bound_ms_per_token <= plan.predicted_ms_per_token);
    assert!(
        plan.lower_bound_ms_per_token > 0.9 * plan.predicted_ms_per_token,
        "{plan:?}"
    );
}
