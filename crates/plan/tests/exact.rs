//! The planner against trying everything, on small rooms of every sort.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod rooms;

use std::collections::BTreeMap;

use model::{EngineKind, UnitKind};
use plan::{
    Lap, MemberId, Plan, PlanError, Power, Problem, capacity, check, cost, lower_bound,
    reference::exhaustive, solve,
};
use proptest::prelude::*;
use rooms::{MIB, Room, engine};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Least objective and least ms per token of all plans that fit.
fn best_of_every_plan(problem: &Problem) -> Option<(f64, f64)> {
    let best = exhaustive(problem).unwrap()?;
    Some((best.objective_ms, best.ms_per_token))
}

#[derive(Debug, Clone)]
struct Draw {
    blocks: usize,
    /// Weight MiB of each block, cycled.
    block_mib: Vec<u64>,
    phones: Vec<DrawnPhone>,
    hops: Vec<f64>,
    prompt_tokens: u32,
    output_tokens: u32,
    requests_in_flight: u32,
    /// Columns and tokens.
    lap: (u32, f64),
    /// Bytes per ms of each link, cycled.
    rates: Vec<f64>,
    energy_weight: f64,
}

/// Budget MiB, ms of attention and MLP, whether there is a GPU and how much faster it is at each.
type DrawnPhone = (u64, f64, f64, Option<(f64, f64)>);

fn draws(most_phones: usize) -> impl Strategy<Value = Draw> {
    let ms = 0.01..20.0_f64;
    let gpu = proptest::option::of((0.05..4.0_f64, 0.05..4.0_f64));
    let phone = (20..70_u64, ms.clone(), ms, gpu);
    (
        0..5_usize,
        prop::collection::vec(1..25_u64, 5),
        prop::collection::vec(phone, 1..=most_phones),
        prop::collection::vec(0.0..15.0_f64, 16),
        (1..600_u32, 1..200_u32, prop_oneof![Just(1_u32), 1..6_u32]),
        prop_oneof![
            Just((1, 1.0)),
            (2..9_u32, 0.0..1.0_f64)
                .prop_map(|(columns, share)| (columns, 1.0 + share * f64::from(columns - 1)))
        ],
        prop::collection::vec(20.0..5000.0_f64, 7),
    )
        .prop_map(
            |(blocks, block_mib, phones, hops, (prompt, output, in_flight), lap, rates)| Draw {
                blocks,
                block_mib,
                phones,
                hops,
                prompt_tokens: prompt,
                output_tokens: output,
                requests_in_flight: in_flight,
                lap,
                rates,
                energy_weight: 0.0,
            },
        )
}

fn problem(draw: &Draw) -> Problem {
    let mut problem = Room::of_blocks(draw.blocks).build();
    for (unit, &mib) in problem.units.iter_mut().skip(1).zip(&draw.block_mib) {
        if !matches!(unit.kind, UnitKind::Head) {
            unit.weight_bytes = mib * MIB;
        }
    }
    for (member, &(budget_mib, attention_ms, mlp_ms, gpu)) in (0..).zip(&draw.phones) {
        let mut engines = vec![engine(EngineKind::Cpu, attention_ms, mlp_ms)];
        engines.extend(gpu.map(|(a, m)| engine(EngineKind::Gpu, attention_ms * a, mlp_ms * m)));
        problem
            .phones
            .push(rooms::profile(member, budget_mib * MIB, engines));
    }
    let (mut hops, mut rates) = (draw.hops.iter().cycle(), draw.rates.iter().cycle());
    for a in 0..draw.phones.len() as u32 {
        for b in 0..a {
            let (a, b) = (MemberId(a), MemberId(b));
            problem.hops.set(a, b, *hops.next().unwrap());
            problem.hops.set_rate(a, b, *rates.next().unwrap());
        }
    }
    problem.workload.prompt_tokens = draw.prompt_tokens;
    problem.workload.output_tokens = draw.output_tokens;
    problem.workload.requests_in_flight = draw.requests_in_flight;
    let (columns, tokens) = draw.lap;
    problem.workload.lap = Lap { columns, tokens };
    problem.wishes.energy_weight = draw.energy_weight;
    problem
}

/// One more phone that can hold `usable_bytes`.
fn with_helper(problem: &Problem, usable_bytes: u64) -> Problem {
    let mut helped = problem.clone();
    let member = MemberId(99);
    let engines = vec![engine(EngineKind::Cpu, 1.0, 1.0)];
    let budget_bytes = usable_bytes + problem.scratch_bytes;
    helped
        .phones
        .push(rooms::profile(member.0, budget_bytes, engines));
    helped.hops.set(MemberId::HOST, member, 1.0);
    helped
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(2), ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_plan_is_the_best_of_all_plans(draw in draws(4)) {
        let problem = problem(&draw);
        let best = best_of_every_plan(&problem);
        match solve(&problem, 3) {
            Ok(plan) => {
                let (objective_ms, ms_per_token) = best.unwrap();
                check(&problem, &plan).unwrap();
                prop_assert!((plan.objective_ms - objective_ms).abs() <= 1e-9 * objective_ms, "{} {objective_ms} {plan:?}", plan.objective_ms);
                let bound = lower_bound(&problem).unwrap();
                prop_assert!(bound.objective_ms <= objective_ms && bound.ms_per_token <= ms_per_token, "{bound:?} {best:?}");
                prop_assert!(plan.lower_bound_objective_ms <= objective_ms && plan.gap() <= 1e-6, "{plan:?}");
                prop_assert_eq!(plan.lower_bound_ms_per_token, bound.ms_per_token);
                prop_assert_eq!(capacity(&problem).unwrap().short_bytes, 0);
                prop_assert_eq!(solve(&problem, 3).unwrap(), plan);
            }
            Err(PlanError::Capacity { short_bytes, needed_bytes, offered_bytes }) => {
                prop_assert!(best.is_none());
                prop_assert!(short_bytes > 0 && short_bytes <= needed_bytes && needed_bytes - short_bytes <= offered_bytes);
                prop_assert!(best_of_every_plan(&with_helper(&problem, short_bytes)).is_some());
                prop_assert!(best_of_every_plan(&with_helper(&problem, short_bytes - 1)).is_none());
            }
            Err(PlanError::HostCapacity { short_bytes, needed_bytes, offered_bytes }) => {
                prop_assert!(best.is_none());
                prop_assert_eq!(offered_bytes + short_bytes, needed_bytes);
                prop_assert!(best_of_every_plan(&with_helper(&problem, 1 << 39)).is_none());
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn phones_in_another_order_give_the_same_plan(draw in draws(4)) {
        let problem = problem(&draw);
        let mut reversed = problem.clone();
        reversed.phones.reverse();
        prop_assert_eq!(solve(&problem, 1), solve(&reversed, 1));
    }

    #[test]
    fn a_room_of_many_phones_gets_a_plan_exactly_when_it_can_hold_the_model(draw in draws(11), blocks in 5..20_usize) {
        let problem = problem(&Draw { blocks, ..draw });
        match solve(&problem, 1) {
            Ok(plan) => {
                check(&problem, &plan).unwrap();
                prop_assert!(plan.lower_bound_ms_per_token <= plan.predicted_ms_per_token);
            }
            Err(PlanError::Capacity { short_bytes, .. }) => {
                let helped = with_helper(&problem, short_bytes);
                check(&helped, &solve(&helped, 1).unwrap()).unwrap();
                let still_short = solve(&with_helper(&problem, short_bytes - 1), 1);
                prop_assert!(matches!(still_short, Err(PlanError::Capacity { .. })), "{still_short:?}");
            }
            Err(PlanError::HostCapacity { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn a_forced_engine_is_obeyed(draw in draws(3), gpu in any::<bool>()) {
        let mut problem = problem(&draw);
        let engine = if gpu { EngineKind::Gpu } else { EngineKind::Cpu };
        problem.forced_engines = BTreeMap::from([(MemberId::HOST, engine)]);
        let measured = problem.phones[0].engines.iter().any(|profile| profile.engine == engine);
        match solve(&problem, 1) {
            Ok(plan) => {
                prop_assert!(measured);
                let on_host = plan.stages.iter().filter(|stage| stage.member == MemberId::HOST);
                prop_assert!(on_host.into_iter().all(|stage| stage.engine == engine));
                let (request_ms, _) = best_of_every_plan(&problem).unwrap();
                prop_assert!((cost(&problem, &plan.stages).unwrap().objective_ms - request_ms).abs() <= 1e-9 * request_ms);
            }
            Err(PlanError::NotMeasured { .. }) => prop_assert!(!measured),
            Err(error) => prop_assert_eq!(error.code(), "capacity"),
        }
    }
}

/// Rooms of up to six phones against everything; the gap of the linear programme's bound to the best plan.
fn compare_with_everything(seeds: std::ops::Range<u64>) {
    let (mut gaps, mut plans, mut worst) = (Vec::new(), 0, 0.0_f64);
    for seed in seeds {
        let peers = (seed % 6) as u32;
        let blocks = 2 + (seed / 6 % 7) as usize;
        let mut problem = Room::of_seed(seed, peers, blocks, 24..70).build();
        problem.workload.prompt_tokens = 1 + (seed % 11 * 60) as u32;
        problem.workload.requests_in_flight = 1 + (seed % 4) as u32;
        let Some(best) = exhaustive(&problem).unwrap() else {
            assert_eq!(solve(&problem, 1).unwrap_err().code(), "capacity", "{seed}");
            continue;
        };
        let plan = solve(&problem, 1).unwrap();
        check(&problem, &plan).unwrap();
        worst = worst.max(plan.objective_ms / best.objective_ms - 1.0);
        assert!(plan.objective_ms <= best.objective_ms * 1.01, "{seed}");
        assert!(plan.lower_bound_objective_ms <= best.objective_ms, "{seed}");
        let bound = lower_bound(&problem).unwrap();
        assert!(bound.objective_ms <= best.objective_ms, "{seed}");
        assert!(bound.ms_per_token <= best.ms_per_token, "{seed}");
        gaps.push(1.0 - bound.objective_ms / best.objective_ms);
        plans += best.plans;
    }
    gaps.sort_by(f64::total_cmp);
    println!(
        "{} rooms, {plans} plans compared; plan above the best by at most {:.2e}; linear programme below it: median {:.2} %, worst {:.2} %",
        gaps.len(),
        worst,
        100.0 * gaps[gaps.len() / 2],
        100.0 * gaps[gaps.len() - 1],
    );
    assert!(gaps.len() > 50);
}

#[test]
fn plans_of_up_to_six_phones_are_the_best_and_the_bound_is_below_them() {
    compare_with_everything(0..150);
}

#[test]
#[ignore = "minutes"]
fn ten_thousand_plans_of_up_to_six_phones_are_the_best() {
    compare_with_everything(0..10_000);
}

/// What computing on battery there is for one request, ms.
fn battery_ms(problem: &Problem, plan: &Plan) -> f64 {
    cost(problem, &plan.stages).unwrap().battery_ms
}

fn spare_batteries(seeds: std::ops::Range<u64>) {
    let mut moved = 0;
    for seed in seeds {
        let mut room = Room::of_seed(seed, (seed % 6) as u32, 14, 60..160);
        for member in 0..=(seed % 6) as u32 {
            if (seed >> member) % 2 == 0 {
                room = room.power(member, Power::Battery { share: 0.5 });
            }
        }
        let mut problem = room.build();
        let mut last_ms = f64::INFINITY;
        let mut first_ms = None;
        for energy_weight in [0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0] {
            problem.wishes.energy_weight = energy_weight;
            let Ok(plan) = solve(&problem, 1) else {
                assert!(first_ms.is_none(), "{seed}: a wish made a room too small");
                break;
            };
            check(&problem, &plan).unwrap();
            let ms = battery_ms(&problem, &plan);
            assert!(
                ms <= last_ms * (1.0 + 1e-6),
                "{seed}: {ms} ms after {last_ms} at {energy_weight}"
            );
            first_ms.get_or_insert(ms);
            last_ms = ms;
        }
        moved += u32::from(first_ms.is_some_and(|first| last_ms < 0.9 * first));
    }
    assert!(moved > 5, "{moved}");
}

#[test]
fn the_more_batteries_weigh_the_less_they_are_used() {
    spare_batteries(0..60);
}

#[test]
#[ignore = "minutes"]
fn the_more_batteries_weigh_the_less_they_are_used_in_many_rooms() {
    spare_batteries(0..3000);
}
