//! The planner against trying everything, on small rooms of every sort.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod rooms;

use std::collections::BTreeMap;

use model::{EngineKind, UnitKind, UnitRange};
use plan::{MemberId, PlanError, Problem, Stage, capacity, check, cost, lower_bound, solve};
use proptest::prelude::*;
use rooms::{MIB, Room, engine};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Every ring and engine choice that a person could write down, valid or not in memory.
fn every_plan(problem: &Problem) -> Vec<Vec<Stage>> {
    let end = problem.units.len() as u32;
    let engines = |member: MemberId| {
        let phone = problem
            .phones
            .iter()
            .find(|phone| phone.member == member)
            .unwrap();
        let forced = problem.forced_engines.get(&member);
        let engines = phone.engines.iter().map(|measured| measured.engine);
        engines
            .filter(|engine| forced.is_none_or(|forced| forced == engine))
            .collect::<Vec<_>>()
    };
    let mut plans = Vec::new();
    for host in engines(MemberId::HOST) {
        let stage = |member, start, end, engine| Stage {
            member,
            units: UnitRange { start, end },
            engine,
        };
        plans.push(vec![stage(MemberId::HOST, 0, end, host)]);
        let mut partial: Vec<Vec<Stage>> = (1..end - 1)
            .map(|cut| vec![stage(MemberId::HOST, 0, cut, host)])
            .collect();
        while let Some(stages) = partial.pop() {
            let placed = stages.last().unwrap().units.end;
            if placed == end - 1 {
                plans.push([stages, vec![stage(MemberId::HOST, end - 1, end, host)]].concat());
                continue;
            }
            for phone in &problem.phones {
                if stages.iter().any(|stage| stage.member == phone.member) {
                    continue;
                }
                for engine in engines(phone.member) {
                    for cut in placed + 1..end {
                        partial.push(
                            [
                                stages.clone(),
                                vec![stage(phone.member, placed, cut, engine)],
                            ]
                            .concat(),
                        );
                    }
                }
            }
        }
    }
    plans
}

/// Least request ms and least ms per token of all plans that fit.
fn best_of_every_plan(problem: &Problem) -> Option<(f64, f64)> {
    let budget = |member| {
        problem
            .phones
            .iter()
            .find(|phone| phone.member == member)
            .unwrap()
            .budget_bytes
    };
    let plans = every_plan(problem);
    let costs = plans
        .iter()
        .filter(|plan| plan.len() != 2)
        .map(|plan| cost(problem, plan).unwrap());
    let fitting = costs.filter(|cost| {
        cost.members
            .iter()
            .all(|need| need.bytes <= budget(need.member))
    });
    fitting
        .map(|cost| (cost.request_ms, cost.ms_per_token))
        .reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))
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
        1..200_u32,
        1..200_u32,
    )
        .prop_map(
            |(blocks, block_mib, phones, hops, prompt_tokens, output_tokens)| Draw {
                blocks,
                block_mib,
                phones,
                hops,
                prompt_tokens,
                output_tokens,
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
    let mut hops = draw.hops.iter().cycle();
    for a in 0..draw.phones.len() as u32 {
        for b in 0..a {
            problem
                .hops
                .set(MemberId(a), MemberId(b), *hops.next().unwrap());
        }
    }
    problem.workload.prompt_tokens = draw.prompt_tokens;
    problem.workload.output_tokens = draw.output_tokens;
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
                let (request_ms, ms_per_token) = best.unwrap();
                check(&problem, &plan).unwrap();
                let found_ms = cost(&problem, &plan.stages).unwrap().request_ms;
                prop_assert!((found_ms - request_ms).abs() <= 1e-9 * request_ms, "{found_ms} {request_ms} {plan:?}");
                let bound = lower_bound(&problem).unwrap();
                prop_assert!(bound.objective_ms <= request_ms && bound.ms_per_token <= ms_per_token, "{bound:?} {best:?}");
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
                prop_assert!((cost(&problem, &plan.stages).unwrap().request_ms - request_ms).abs() <= 1e-9 * request_ms);
            }
            Err(PlanError::NotMeasured { .. }) => prop_assert!(!measured),
            Err(error) => prop_assert_eq!(error.code(), "capacity"),
        }
    }
}
