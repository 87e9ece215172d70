//! The planner against everything tried, and against the rules of others.

use plan::{
    Problem, check, cost,
    reference::{Rule, by_rule, exhaustive},
    solve,
};

use crate::clock::cpu_ms;
use crate::instances;
use crate::statistics::{Sorted, Table, number, text};

const RULES: [(Rule, &str); 3] = [
    (Rule::EqualSplit, "equal split"),
    (
        Rule::MemoryProportional,
        "in proportion to memory (exo's rule)",
    ),
    (Rule::FastestFirst, "fastest first (Pooled's rule)"),
];

/// How far above the best something is, %.
fn above(objective_ms: f64, best_ms: f64) -> f64 {
    100.0 * (objective_ms / best_ms - 1.0)
}

fn rule_objective_ms(problem: &Problem, rule: Rule) -> Option<f64> {
    let stages = by_rule(problem, rule).unwrap()?;
    let cost = cost(problem, &stages).unwrap();
    let fits = cost.members.iter().all(|member| {
        let mut phones = problem.phones.iter();
        phones.any(|phone| phone.member == member.member && member.bytes <= phone.budget_bytes)
    });
    fits.then_some(cost.objective_ms)
}

pub fn against_everything(instances: u64) -> Table {
    let mut ours = Vec::new();
    let mut gaps = Vec::new();
    let mut rules = RULES.map(|_| Vec::new());
    let mut without = RULES.map(|_| 0_u32);
    let mut plans = 0;
    for seed in 0..instances {
        let phones = 2 + (seed % 5) as u32;
        let problem = instances::room(seed, phones, 4 + (seed / 5 % 6) as usize);
        let Some(best) = exhaustive(&problem).unwrap() else {
            assert_eq!(solve(&problem, 1).unwrap_err().code(), "capacity");
            continue;
        };
        plans += best.plans;
        let plan = solve(&problem, 1).unwrap();
        check(&problem, &plan).unwrap();
        ours.push(above(plan.objective_ms, best.objective_ms));
        let bound = plan::lower_bound(&problem).unwrap();
        assert!(bound.objective_ms <= best.objective_ms, "seed {seed}");
        gaps.push(-above(bound.objective_ms, best.objective_ms));
        for (at, (rule, _)) in RULES.into_iter().enumerate() {
            match rule_objective_ms(&problem, rule) {
                Some(ms) => rules[at].push(above(ms, best.objective_ms)),
                None => without[at] += 1,
            }
        }
    }
    let row = |name: &str, values: Vec<f64>, without: u32| {
        let sorted = Sorted::of(values);
        vec![
            text(name),
            number(sorted.len() as f64, 0),
            number(f64::from(without), 0),
            number(sorted.median(), 2),
            number(sorted.mean(), 2),
            number(sorted.worst(), 2),
        ]
    };
    let mut rows = vec![
        row("the planner", ours, 0),
        row("linear programme's bound, below", gaps, 0),
    ];
    for (((_, name), values), without) in RULES.into_iter().zip(rules).zip(without) {
        rows.push(row(name, values, without));
    }
    Table {
        title: format!(
            "Expected request time above the best of all plans, %, in rooms of 2 to 6 phones ({plans} plans tried)"
        ),
        columns: vec!["placement", "rooms", "no plan", "median", "mean", "worst"],
        rows,
    }
}

/// Rooms too large to try everything: time, and how far the plan may be from the best.
pub fn large_rooms() -> Table {
    let mut rows = Vec::new();
    for (phones, prompt_tokens, requests_in_flight) in [
        (8, 64, 1),
        (8, 2000, 1),
        (8, 64, 4),
        (16, 64, 1),
        (32, 64, 1),
        (32, 2000, 1),
        (32, 64, 4),
    ] {
        let (mut times, mut gaps, mut rules) = (Vec::new(), Vec::new(), RULES.map(|_| Vec::new()));
        for seed in 0..40 {
            let mut problem = instances::room(seed, phones, 126);
            problem.workload.prompt_tokens = prompt_tokens;
            problem.workload.requests_in_flight = requests_in_flight;
            let start_ms = cpu_ms();
            let Ok(plan) = solve(&problem, 1) else {
                continue;
            };
            times.push(cpu_ms() - start_ms);
            gaps.push(100.0 * plan.gap());
            for (at, (rule, _)) in RULES.into_iter().enumerate() {
                if let Some(ms) = rule_objective_ms(&problem, rule) {
                    rules[at].push(above(ms, plan.objective_ms));
                }
            }
        }
        let (times, gaps) = (Sorted::of(times), Sorted::of(gaps));
        let mut row = vec![
            number(f64::from(phones), 0),
            number(f64::from(prompt_tokens), 0),
            number(f64::from(requests_in_flight), 0),
            number(times.median(), 1),
            number(times.worst(), 1),
            number(gaps.median(), 4),
            number(gaps.worst(), 4),
        ];
        row.extend(rules.map(|values| number(Sorted::of(values).median(), 0)));
        rows.push(row);
    }
    Table {
        title: "Rooms of 128 units: planning time (CPU ms on this machine), certified gap, and what the rules take longer than the plan (medians)"
            .to_owned(),
        columns: vec![
            "phones",
            "prompt tokens",
            "requests in flight",
            "median ms",
            "worst ms",
            "median gap %",
            "worst gap %",
            "equal split +%",
            "exo's rule +%",
            "Pooled's rule +%",
        ],
        rows,
    }
}
