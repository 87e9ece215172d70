//! LinguaLinked's three ratios on the fixed mixes, simulated.

use plan::{
    Balancer, Decision, Drift, MemberId, Plan, Problem, Stage, cost,
    reference::{Rule, by_rule},
    solve,
};

use crate::mixes::{self, EQUAL, MIXES, Mix, SHAPES, Shape};
use crate::simulator::serve_ms;
use crate::statistics::{Cell, Table, number, text};

/// Requests served to compare throughput.
const REQUESTS: u32 = 32;
/// Requests in flight that are tried.
const IN_FLIGHT: [u32; 6] = [1, 2, 3, 4, 6, 8];
/// Tokens of the answer during which a phone slows down.
const LONG_ANSWER_TOKENS: u32 = 600;
const SLOW_DOWN: f64 = 4.0;
/// How much more memory than in the first comparison the phones have.
const ROOMIER: [f64; 4] = [1.0, 1.25, 1.7, 2.5];

fn planned(problem: &Problem, requests_in_flight: u32) -> Plan {
    let mut problem = problem.clone();
    problem.workload.requests_in_flight = requests_in_flight;
    solve(&problem, 1).unwrap()
}

fn equal_split(problem: &Problem) -> Vec<Stage> {
    by_rule(problem, Rule::EqualSplit)
        .unwrap()
        .expect("the model fits")
}

pub fn all() -> Table {
    let mut rows = Vec::new();
    for mix in &MIXES {
        for shape in &SHAPES {
            rows.push(row(mix, shape));
        }
    }
    with_extremes(&mut rows, 2);
    Table {
        title: format!(
            "Simulated throughput against an equal split that answers one request at a time: 64 prompt and 128 generated tokens, {REQUESTS} \
             requests. LinguaLinked's paper: 1.11 to 1.61 with one stream, 1.73 to 2.65 with several samples in flight"
        ),
        columns: vec![
            "mix",
            "model",
            "optimised : equal split, one stream",
            "in flight 1 : equal split",
            "2",
            "3",
            "4",
            "6",
            "8",
            "simulator : cost model",
        ],
        rows,
    }
}

/// Appends the best and the worst of every column from `first` on.
fn with_extremes(rows: &mut Vec<Vec<Cell>>, first: usize) {
    let width = rows.first().map_or(0, Vec::len);
    let column = |at: usize| {
        let numbers = rows.iter().filter_map(move |row| match row.get(at) {
            Some(Cell::Number(value, _)) => Some(*value),
            _ => None,
        });
        numbers.collect::<Vec<_>>()
    };
    let summary = |name: &str, of: fn(f64, f64) -> f64| {
        let mut row = vec![text(name)];
        row.extend((1..first).map(|_| text("")));
        let numbers = (first..width).map(|at| column(at).into_iter().reduce(of));
        row.extend(numbers.map(|value| value.map_or_else(|| text(""), |value| number(value, 2))));
        row
    };
    let extremes = [summary("best", f64::max), summary("worst", f64::min)];
    rows.extend(extremes);
}

/// Balancing on against off, by how much memory the phones have besides the model.
pub fn balancing() -> Table {
    let mut rows = Vec::new();
    for mix in &MIXES {
        for shape in &SHAPES {
            for roomier in ROOMIER {
                let problem = mixes::problem(mix, shape, roomier);
                let best = planned(&problem, 1);
                let mut row = vec![
                    text(mix.name),
                    text(shape.name),
                    number(mixes::SPARE * roomier, 2),
                ];
                for phone in 0..4 {
                    let member = MemberId(phone);
                    row.push(match problem.phones.len() > phone as usize {
                        true => number(
                            long_answer_ms(&problem, &best, member, false)
                                / long_answer_ms(&problem, &best, member, true),
                            2,
                        ),
                        false => text(""),
                    });
                }
                rows.push(row);
            }
        }
    }
    with_extremes(&mut rows, 3);
    Table {
        title: format!(
            "Simulated gain of balancing: one answer of {LONG_ANSWER_TOKENS} tokens, one phone {SLOW_DOWN} times slower after a third of it, \
             time without balancing to time with it. Where memory is just enough nothing can move. LinguaLinked's paper: 1.29 to 1.32"
        ),
        columns: vec![
            "mix",
            "model",
            "memory of all phones : model",
            "phone 0 slows",
            "phone 1",
            "phone 2",
            "phone 3",
        ],
        rows,
    }
}

fn row(mix: &Mix, shape: &Shape) -> Vec<Cell> {
    let problem = mixes::problem(mix, shape, 1.0);
    for phone in 0..problem.phones.len() {
        let mut fewer = problem.clone();
        fewer.phones.remove(phone);
        assert!(solve(&fewer, 1).is_err(), "{} needs all phones", shape.name);
    }
    let best = planned(&problem, 1);
    let equal = equal_split(&problem);
    let one = |stages: &[Stage]| serve_ms(&problem, stages, 1, 1);
    let mut row = vec![
        text(mix.name),
        text(shape.name),
        number(one(&equal) / one(&best.stages), 2),
    ];
    let equal_ms = serve_ms(&problem, &equal, REQUESTS, 1);
    for in_flight in IN_FLIGHT {
        let stages = planned(&problem, in_flight).stages;
        row.push(number(
            equal_ms / serve_ms(&problem, &stages, REQUESTS, in_flight),
            2,
        ));
    }
    row.push(number(one(&best.stages) / best.predicted_request_ms, 3));
    row
}

/// ms of a long answer during which a phone slows down; the balancer works as it does in a session, downloads and pauses included.
fn long_answer_ms(problem: &Problem, best: &Plan, slow: MemberId, balancing: bool) -> f64 {
    let slowed = slowed(problem, slow, SLOW_DOWN);
    let (mut plan, mut drift, mut balancer) = (best.clone(), Drift::default(), Balancer::default());
    let mut next: Option<(f64, f64, Plan)> = None;
    let mut now_ms = 0.0;
    for token in 0..LONG_ANSWER_TOKENS {
        let really = if token < LONG_ANSWER_TOKENS / 3 {
            problem
        } else {
            &slowed
        };
        let cost = cost(really, &plan.stages).unwrap();
        now_ms += cost.ms_per_token;
        if !balancing {
            continue;
        }
        let claimed: Vec<f64> = cost.stages.iter().map(|stage| stage.lap_ms).collect();
        let now = now_ms as u64;
        drift
            .observe_lap(now, problem, &plan, cost.ms_per_token, &claimed, true)
            .unwrap();
        // The old plan goes on until everything is loaded.
        if let Some((ready_ms, pause_ms, better)) = next.take() {
            if now_ms < ready_ms {
                next = Some((ready_ms, pause_ms, better));
            } else {
                now_ms += pause_ms;
                plan = better;
                balancer.switched(now_ms as u64);
            }
            continue;
        }
        let mut fresh = problem.clone();
        drift.apply(&mut fresh);
        let left = LONG_ANSWER_TOKENS - token;
        let decision = balancer.decide(now, &fresh, &plan, 64 + token, left);
        if let Decision::Move(step) = decision.unwrap() {
            let ready_ms = now_ms + step.migration.load_ms;
            next = Some((ready_ms, step.migration.pause_ms, step.plan));
        }
    }
    now_ms
}

fn slowed(problem: &Problem, member: MemberId, factor: f64) -> Problem {
    let mut slowed = problem.clone();
    for phone in slowed
        .phones
        .iter_mut()
        .filter(|phone| phone.member == member)
    {
        let engine = &mut phone.engines[0];
        engine.ms_per_call *= factor;
        let kinds = engine.decode_ms_per_unit.values_mut();
        for ms in kinds.chain(engine.chunk_ms_per_unit.values_mut()) {
            *ms *= factor;
        }
    }
    slowed
}

/// Three equal phones: four requests in flight against one, and a long prompt against one phone.
pub fn pipelining() -> Table {
    let mut rows = Vec::new();
    for shape in &SHAPES {
        let needs_all = mixes::problem(&EQUAL, shape, 1.0);
        let streams = |in_flight| {
            let stages = planned(&needs_all, in_flight).stages;
            serve_ms(&needs_all, &stages, REQUESTS, in_flight)
        };
        let streams = streams(1) / streams(4);
        // One phone alone needs room enough.
        let mut prompt = mixes::problem(&EQUAL, shape, 4.0);
        prompt.workload.prompt_tokens = 512;
        prompt.workload.output_tokens = 1;
        let mut alone = prompt.clone();
        alone.phones.truncate(1);
        let alone = solve(&alone, 1).unwrap().stages;
        let ring = solve(&prompt, 1).unwrap().stages;
        let prefill = serve_ms(&prompt, &alone, 1, 1) / serve_ms(&prompt, &ring, 1, 1);
        rows.push(vec![
            text(shape.name),
            number(streams, 2),
            number(prefill, 2),
            number(f64::from(ring.len() as u32), 0),
        ]);
    }
    Table {
        title: "Three equal phones, simulated: throughput of four requests in flight against one at a time on the same phones, and a prompt of 512 tokens against one phone"
            .to_owned(),
        columns: vec!["model", "4 in flight : 1", "prefill, ring : one phone", "stages of that ring"],
        rows,
    }
}
