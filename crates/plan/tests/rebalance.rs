//! Rooms whose phones change their speed while an answer is being written, in virtual time: compute times and links are made up.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod rooms;

use plan::{
    Balancer, Decision, Drift, Held, KvRoute, MemberId, Plan, Power, Problem, Reason, check, cost,
    migration, solve,
};
use rooms::{MIB, Room};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Three phones that could each hold most of the model, 20 blocks.
fn room() -> Problem {
    let mut problem = Room::of_blocks(20)
        .phone(0, 120 * MIB, 6.0)
        .phone(1, 120 * MIB, 5.0)
        .phone(2, 120 * MIB, 7.0)
        .hops_ms(3.0)
        .build();
    for a in 0..3 {
        for b in 0..a {
            problem.hops.set_rate(MemberId(a), MemberId(b), 5000.0);
        }
    }
    problem
}

/// The room with one phone `factor` times slower than it says.
fn slowed(problem: &Problem, member: MemberId, factor: f64) -> Problem {
    let mut slowed = problem.clone();
    let phone = slowed
        .phones
        .iter_mut()
        .find(|phone| phone.member == member);
    for engine in &mut phone.unwrap().engines {
        engine.ms_per_call *= factor;
        for ms in engine.decode_ms_per_unit.values_mut() {
            *ms *= factor;
        }
        for ms in engine.chunk_ms_per_unit.values_mut() {
            *ms *= factor;
        }
    }
    slowed
}

/// An answer without end while phones change.
struct Answer {
    problem: Problem,
    plan: Plan,
    drift: Drift,
    balancer: Balancer,
    now_ms: f64,
    switches_ms: Vec<f64>,
    jitter: u64,
}

impl Answer {
    fn new(problem: Problem) -> Self {
        Self {
            plan: solve(&problem, 1).unwrap(),
            problem,
            drift: Drift::default(),
            balancer: Balancer::default(),
            now_ms: 0.0,
            switches_ms: Vec::new(),
            jitter: 1,
        }
    }

    /// Up to 10 % more or less.
    fn jitter(&mut self) -> f64 {
        self.jitter = self
            .jitter
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        0.9 + 0.2 * (self.jitter >> 40) as f64 / f64::from(1 << 24)
    }

    /// One token in a room as it really is, then the question whether to move.
    fn token(&mut self, really: &Problem) {
        let cost = cost(really, &self.plan.stages).unwrap();
        let jitter = self.jitter();
        let claimed: Vec<f64> = cost
            .stages
            .iter()
            .map(|stage| stage.lap_ms * jitter)
            .collect();
        let hops: f64 = cost.stages.iter().map(|stage| stage.hop_ms).sum();
        let lap_ms = claimed.iter().sum::<f64>() + hops;
        self.now_ms += lap_ms;
        let now_ms = self.now_ms as u64;
        self.drift
            .observe_lap(now_ms, &self.problem, &self.plan, lap_ms, &claimed, true)
            .unwrap();
        let mut fresh = self.problem.clone();
        self.drift.apply(&mut fresh);
        let decision = self.balancer.decide(now_ms, &fresh, &self.plan, 200, 2000);
        if let Decision::Move(step) = decision.unwrap() {
            check(&fresh, &step.plan).unwrap();
            assert_eq!(step.plan.epoch, self.plan.epoch + 1);
            self.now_ms += step.migration.load_ms + step.migration.pause_ms;
            self.switches_ms.push(self.now_ms);
            self.balancer.switched(self.now_ms as u64);
            self.plan = step.plan;
        }
    }

    fn until(&mut self, ms: f64, really: &Problem) {
        while self.now_ms < ms {
            self.token(really);
        }
    }
}

#[test]
fn a_phone_that_flaps_causes_at_most_two_switches_a_minute() {
    let fast = room();
    for member in [0, 1, 2].map(MemberId) {
        let slow = slowed(&fast, member, 4.0);
        let mut answer = Answer::new(fast.clone());
        for half_period in 1..=48_u32 {
            let really = if half_period % 2 == 0 { &slow } else { &fast };
            answer.until(f64::from(half_period) * 5000.0, really);
        }
        for (at, first_ms) in answer.switches_ms.iter().enumerate() {
            let within = answer.switches_ms[at..]
                .iter()
                .filter(|&&ms| ms < first_ms + 60_000.0);
            assert!(within.count() <= 2, "{:?}", answer.switches_ms);
        }
    }
}

#[test]
fn ten_seconds_after_a_slow_down_the_room_is_nearly_as_fast_as_it_can_be() {
    let fast = room();
    for member in [0, 1, 2].map(MemberId) {
        let slow = slowed(&fast, member, 4.0);
        let mut answer = Answer::new(fast.clone());
        answer.until(30_000.0, &fast);
        assert!(answer.switches_ms.is_empty(), "{:?}", answer.switches_ms);
        answer.until(40_000.0, &slow);
        let now_ms = cost(&slow, &answer.plan.stages).unwrap().ms_per_token;
        let best_ms = solve(&slow, 1).unwrap().predicted_ms_per_token;
        let before_ms = cost(&slow, &solve(&fast, 1).unwrap().stages)
            .unwrap()
            .ms_per_token;
        assert!(
            best_ms / now_ms >= 0.9,
            "{member:?}: {now_ms} ms, best {best_ms}, unmoved {before_ms}"
        );
    }
}

#[test]
fn steady_phones_stay_where_they_are() {
    let problem = room();
    let mut answer = Answer::new(problem.clone());
    answer.until(120_000.0, &problem);
    assert!(answer.switches_ms.is_empty());
    assert!((0.9..1.1).contains(&answer.drift.factor(MemberId(1))));
}

#[test]
fn what_a_phone_claims_is_bounded_by_the_hosts_clock() {
    let problem = room();
    let plan = solve(&problem, 1).unwrap();
    let honest = cost(&problem, &plan.stages).unwrap();
    let hops: f64 = honest.stages.iter().map(|stage| stage.hop_ms).sum();
    let laps: Vec<f64> = honest.stages.iter().map(|stage| stage.lap_ms).collect();
    let peer = plan.stages[1].member;
    let factor_after = |lap_ms: f64, claims: &[f64]| {
        let mut drift = Drift::default();
        for now_ms in (0..20_000).step_by(500) {
            drift
                .observe_lap(now_ms, &problem, &plan, lap_ms, claims, true)
                .unwrap();
        }
        drift.factor(peer)
    };
    let lap_ms = laps.iter().sum::<f64>() + hops;
    let claim = |ms: f64| {
        let mut claims = laps.clone();
        claims[1] = ms;
        claims
    };
    assert!((factor_after(lap_ms, &laps) - 1.0).abs() < 1e-6);
    // It cannot have computed longer than the lap took.
    let boastful = factor_after(lap_ms, &claim(1e9));
    assert!(boastful * laps[1] <= lap_ms, "{boastful}");
    // A phone that is slow and says it is quick is charged what nobody claims.
    let secretly_slow = factor_after(lap_ms + 3.0 * laps[1], &claim(0.0));
    assert!(secretly_slow > 1.5, "{secretly_slow}");
    for nonsense in [f64::NAN, f64::NEG_INFINITY, -5.0] {
        assert!(factor_after(lap_ms, &claim(nonsense)) <= 1.0 + 1e-9);
    }
    assert!(factor_after(f64::NAN, &laps).is_finite());
    assert!(factor_after(f64::INFINITY, &laps).is_finite());
    assert!(factor_after(lap_ms, &[]).is_finite());
}

#[test]
fn a_phone_that_can_not_go_on_is_left_at_once() {
    let problem = room();
    let plan = solve(&problem, 1).unwrap();
    let peer = plan.stages[1].member;
    let mut drained = problem.clone();
    let phone = drained.phones.iter_mut().find(|phone| phone.member == peer);
    phone.unwrap().budget_bytes = 0;
    let mut balancer = Balancer::default();
    balancer.switched(999);
    balancer.switched(1000);
    let Decision::Move(step) = balancer.decide(1001, &drained, &plan, 10, 100).unwrap() else {
        panic!("it stayed");
    };
    assert!(step.plan.stages.iter().all(|stage| stage.member != peer));
    assert!(
        step.migration
            .moves
            .iter()
            .all(|step| step.from == peer || step.to != peer)
    );
}

#[test]
fn a_nearly_finished_answer_is_left_alone() {
    let problem = room();
    let plan = solve(&problem, 1).unwrap();
    let slow = slowed(&problem, plan.stages[1].member, 4.0);
    let decide = |tokens_left| {
        let mut balancer = Balancer::default();
        balancer.decide(0, &slow, &plan, 400, tokens_left).unwrap();
        balancer
            .decide(5000, &slow, &plan, 400, tokens_left)
            .unwrap()
    };
    assert_eq!(decide(1), Decision::Keep(Reason::TooDear));
    assert!(matches!(decide(1000), Decision::Move(_)));
}

#[test]
fn caches_take_the_faster_way() {
    let problem = room();
    let from = solve(&problem, 1).unwrap();
    let slow = slowed(&problem, from.stages[1].member, 4.0);
    let to = solve(&slow, 2).unwrap();
    let by_link = migration(&problem, &from, &to, 400).unwrap();
    assert_eq!(by_link.kv, KvRoute::Transfer);
    assert!(!by_link.moves.is_empty());
    let mut thin = problem.clone();
    for a in 0..3 {
        for b in 0..a {
            thin.hops.set_rate(MemberId(a), MemberId(b), 0.01);
        }
    }
    let by_prefill = migration(&thin, &from, &to, 400).unwrap();
    assert_eq!(by_prefill.kv, KvRoute::Prefill);
    assert!(by_prefill.pause_ms > by_link.pause_ms);
    let nothing = migration(&problem, &from, &from, 400).unwrap();
    assert!(nothing.moves.is_empty() && nothing.load_ms == 0.0);
}

#[test]
fn likely_moves_need_no_download() {
    let problem = room();
    let plan = solve(&problem, 1).unwrap();
    check(&problem, &plan).unwrap();
    let extra = |held: &Held| {
        let mut stages = plan.stages.iter();
        stages.all(|stage| (stage.member, stage.units) != (held.member, held.units))
    };
    assert!(plan.held.iter().any(extra), "{plan:?}");
    // The host and the phone of the ring are full; the third phone waits with what the ring's would lose.
    let to = solve(&slowed(&problem, plan.stages[1].member, 4.0), 2).unwrap();
    let step = migration(&problem, &plan, &to, 100).unwrap();
    assert!(!step.moves.is_empty());
    assert_eq!(step.load_ms, 0.0, "{:?} {step:?}", plan.held);
    let mut tight = problem.clone();
    for phone in &mut tight.phones {
        phone.budget_bytes = phone.budget_bytes * 7 / 10;
    }
    let plan = solve(&tight, 1).unwrap();
    check(&tight, &plan).unwrap();
}

#[test]
fn boundaries_between_phones_with_spare_memory_move_without_a_download() {
    let mut problem = room();
    problem.workload.requests_in_flight = 3;
    for phone in &mut problem.phones {
        phone.budget_bytes = 400 * MIB;
    }
    let plan = solve(&problem, 1).unwrap();
    check(&problem, &plan).unwrap();
    assert_eq!(plan.stages.len(), 4);
    for stage in &plan.stages[..3] {
        let to = solve(&slowed(&problem, stage.member, 1.5), 2).unwrap();
        let step = migration(&problem, &plan, &to, 100).unwrap();
        assert!(!step.moves.is_empty());
        assert_eq!(step.load_ms, 0.0, "{:?} {step:?}", plan.held);
    }
}

#[test]
fn a_phone_whose_downloads_cost_keeps_its_stage_alone() {
    let mut problem = room();
    problem.workload.requests_in_flight = 3;
    for phone in &mut problem.phones {
        phone.budget_bytes = 400 * MIB;
    }
    let free = solve(&problem, 1).unwrap();
    let held_by = |plan: &plan::Plan, member| plan.held_by(member).collect::<Vec<_>>();
    let stages_of = |plan: &plan::Plan, member| {
        let own = plan.stages.iter().filter(|stage| stage.member == member);
        own.map(|stage| stage.units).collect::<Vec<_>>()
    };
    for metered in 0..problem.phones.len() {
        let mut problem = problem.clone();
        problem.phones[metered].metered = true;
        let plan = solve(&problem, 1).unwrap();
        check(&problem, &plan).unwrap();
        assert_eq!(
            plan.stages, free.stages,
            "what it computes is another matter"
        );
        let member = problem.phones[metered].member;
        assert_ne!(held_by(&free, member), stages_of(&free, member));
        assert_eq!(held_by(&plan, member), stages_of(&plan, member));
    }
}

/// The room, and what the planner does with a phone that is about to go.
fn room_and_plan() -> (Problem, Plan) {
    let problem = room();
    let plan = solve(&problem, 1).unwrap();
    assert!(uses(&plan, 1), "{plan:?}");
    (problem, plan)
}

fn uses(plan: &Plan, member: u32) -> bool {
    let mut stages = plan.stages.iter();
    stages.any(|stage| stage.member == MemberId(member))
}

fn hidden(problem: &Problem, members: &[usize]) -> Problem {
    let mut hidden = problem.clone();
    for &member in members {
        hidden.phones[member].hidden = true;
    }
    hidden
}

#[test]
fn a_hidden_phone_is_drained_at_once_whatever_it_costs() {
    let (problem, plan) = room_and_plan();
    let mut balancer = Balancer::default();
    let hidden = hidden(&problem, &[1]);
    // Nothing is left to write that could earn the move back.
    let Ok(Decision::Move(to)) = balancer.decide(0, &hidden, &plan, 500, 0) else {
        panic!("it stays where it is");
    };
    check(&hidden, &to.plan).unwrap();
    assert!(!uses(&to.plan, 1) && to.saves_ms_per_token < 0.0);
    balancer.switched(0);
    // It stays away while it is hidden, and comes back after.
    let stays = balancer.decide(20_000, &hidden, &to.plan, 500, 4000);
    assert_eq!(stays, Ok(Decision::Keep(Reason::Best)));
    let back = (20_500..30_000).step_by(500).find_map(|now_ms| {
        match balancer.decide(now_ms, &problem, &to.plan, 500, 4000) {
            Ok(Decision::Move(back)) => Some(back.plan),
            _ => None,
        }
    });
    assert!(uses(&back.unwrap(), 1));
}

#[test]
fn pages_that_come_and_go_do_not_move_units_more_than_twice_a_minute() {
    let (problem, mut plan) = room_and_plan();
    let away = hidden(&problem, &[1]);
    let mut balancer = Balancer::default();
    let mut switches = Vec::new();
    for now_ms in (0..240_000).step_by(500) {
        let now = if now_ms / 15_000 % 2 == 0 {
            &away
        } else {
            &problem
        };
        if let Ok(Decision::Move(to)) = balancer.decide(now_ms, now, &plan, 500, 4000) {
            plan = to.plan;
            balancer.switched(now_ms);
            switches.push(now_ms);
        }
    }
    let within = |from: &u64| {
        let minute = *from..from + 60_000;
        switches.iter().filter(|ms| minute.contains(ms)).count()
    };
    assert_eq!(switches.iter().map(within).max(), Some(2), "{switches:?}");
}

#[test]
fn a_hidden_phone_that_is_needed_stays_and_of_two_only_one_goes() {
    let memory = |mib: [u64; 3]| {
        let mut problem = room();
        for (phone, mib) in problem.phones.iter_mut().zip(mib) {
            phone.budget_bytes = mib * MIB;
        }
        problem
    };
    let needed = memory([120, 120, 30]);
    let plan = solve(&needed, 1).unwrap();
    let mut balancer = Balancer::default();
    let kept = balancer.decide(0, &hidden(&needed, &[1]), &plan, 500, 4000);
    assert_eq!(kept, Ok(Decision::Keep(Reason::Best)));
    let either = memory([120, 120, 120]);
    let plan = solve(&hidden(&either, &[1, 2]), 1).unwrap();
    check(&either, &plan).unwrap();
    assert!(uses(&plan, 1) != uses(&plan, 2), "{plan:?}");
}

#[test]
fn batteries_that_are_low_are_spared_unless_needed() {
    let low = Power::Battery { share: 0.1 };
    let room = |host_mib| {
        Room::of_blocks(6)
            .phone(0, host_mib * MIB, 9.0)
            .phone(1, 90 * MIB, 1.0)
            .power(1, low)
            .phone(2, 32 * MIB, 9.0)
            .hops_ms(1.0)
            .build()
    };
    let uses_low = |problem: &Problem| {
        let plan = solve(problem, 1).unwrap();
        check(problem, &plan).unwrap();
        plan.stages.iter().any(|stage| stage.member == MemberId(1))
    };
    assert!(!uses_low(&room(90)));
    assert!(uses_low(&room(32)));
}
