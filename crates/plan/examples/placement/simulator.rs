//! A ring of phones in virtual time: discrete events, phones and links that do one thing after the other in order of arrival.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use plan::{MemberId, Problem, Stage, cost};

/// Times in whole nanoseconds: events have a total order.
type Nanos = u64;

fn nanos(ms: f64) -> Nanos {
    (ms * 1e6).round() as Nanos
}

/// What arrives at a stage: a prefill chunk or a lap of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    request: u32,
    /// Chunks left behind this one; 0 for the last chunk and for laps.
    chunks_left: u32,
    /// Laps left behind this one.
    laps_left: u32,
    prefill: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives { stage: usize, work: Work },
    Computed { stage: usize, work: Work },
    Sent { stage: usize, work: Work },
}

struct Ring<'a> {
    stages: &'a [Stage],
    lap: Vec<Nanos>,
    chunk: Vec<Nanos>,
    latency: Vec<Nanos>,
    lap_transfer: Vec<Nanos>,
    chunk_transfer: Vec<Nanos>,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    count: u64,
    busy: BTreeMap<MemberId, bool>,
    waiting: BTreeMap<MemberId, VecDeque<(usize, Work)>>,
    link_free: BTreeMap<(MemberId, MemberId), Nanos>,
}

/// ms until `requests` of the problem's workload are answered, `in_flight` of them at a time.
pub fn serve_ms(problem: &Problem, stages: &[Stage], requests: u32, in_flight: u32) -> f64 {
    let workload = &problem.workload;
    let chunks = workload
        .prompt_tokens
        .div_ceil(problem.class.chunk_columns)
        .max(1);
    let laps = (f64::from(workload.output_tokens) / workload.lap.tokens).ceil() as u32;
    let mut ring = Ring::new(problem, stages);
    let (mut started, mut answered) = (0, 0);
    while started < requests.min(in_flight) {
        ring.prompt(0, started, chunks, laps);
        started += 1;
    }
    let mut now = 0;
    while let Some(Reverse((at, _, event))) = ring.events.pop() {
        now = at;
        if let Some(work) = ring.happen(now, event) {
            if work.laps_left > 0 {
                ring.push(
                    now,
                    Event::Arrives {
                        stage: 0,
                        work: Work {
                            laps_left: work.laps_left - 1,
                            prefill: false,
                            ..work
                        },
                    },
                );
            } else {
                answered += 1;
                if started < requests {
                    ring.prompt(now, started, chunks, laps);
                    started += 1;
                }
            }
        }
    }
    assert_eq!(answered, requests);
    now as f64 / 1e6
}

impl<'a> Ring<'a> {
    fn new(problem: &Problem, stages: &'a [Stage]) -> Self {
        let cost = cost(problem, stages).unwrap();
        let followers = stages.iter().skip(1).chain(stages.first());
        let mut transfers = Vec::new();
        let mut latency = Vec::new();
        for (stage, follower) in stages.iter().zip(followers) {
            let (from, to) = (stage.member, follower.member);
            let to_head = follower.units.start + 1 == problem.units.len() as u32;
            let columns = |columns: u32| {
                let bytes = problem.column_bytes * u64::from(columns);
                nanos(problem.hops.transfer_ms(from, to, bytes).unwrap())
            };
            let chunk_columns = if to_head {
                1
            } else {
                problem.class.chunk_columns
            };
            transfers.push((
                columns(problem.workload.lap.columns),
                columns(chunk_columns),
            ));
            latency.push(nanos(problem.hops.ms(from, to).unwrap()));
        }
        let members = stages.iter().map(|stage| stage.member);
        Self {
            stages,
            lap: cost
                .stages
                .iter()
                .map(|stage| nanos(stage.lap_ms))
                .collect(),
            chunk: cost
                .stages
                .iter()
                .map(|stage| nanos(stage.chunk_ms))
                .collect(),
            latency,
            lap_transfer: transfers.iter().map(|(lap, _)| *lap).collect(),
            chunk_transfer: transfers.iter().map(|(_, chunk)| *chunk).collect(),
            events: BinaryHeap::new(),
            count: 0,
            busy: members.clone().map(|member| (member, false)).collect(),
            waiting: members.map(|member| (member, VecDeque::new())).collect(),
            link_free: BTreeMap::new(),
        }
    }

    fn push(&mut self, at: Nanos, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, event)));
    }

    fn prompt(&mut self, now: Nanos, request: u32, chunks: u32, laps: u32) {
        for chunks_left in (0..chunks).rev() {
            let work = Work {
                request,
                chunks_left,
                laps_left: laps,
                prefill: true,
            };
            self.push(now, Event::Arrives { stage: 0, work });
        }
    }

    /// Returns work that has gone round the ring: the last chunk, or a lap.
    fn happen(&mut self, now: Nanos, event: Event) -> Option<Work> {
        match event {
            Event::Arrives { stage, work } => {
                let member = self.stages[stage].member;
                self.waiting
                    .get_mut(&member)
                    .unwrap()
                    .push_back((stage, work));
                self.start_next(now, member);
                None
            }
            Event::Computed { stage, work } => {
                let member = self.stages[stage].member;
                *self.busy.get_mut(&member).unwrap() = false;
                let done = self.pass_on(now, stage, work);
                self.start_next(now, member);
                done
            }
            Event::Sent { stage, work } => {
                let latency = self.latency[stage];
                let stage = stage + 1;
                self.push(now + latency, Event::Arrives { stage, work });
                None
            }
        }
    }

    fn start_next(&mut self, now: Nanos, member: MemberId) {
        if self.busy[&member] {
            return;
        }
        let Some((stage, work)) = self.waiting.get_mut(&member).unwrap().pop_front() else {
            return;
        };
        *self.busy.get_mut(&member).unwrap() = true;
        let took = if work.prefill {
            self.chunk[stage]
        } else {
            self.lap[stage]
        };
        self.push(now + took, Event::Computed { stage, work });
    }

    /// To the next stage, over a link that sends one thing after the other.
    fn pass_on(&mut self, now: Nanos, stage: usize, work: Work) -> Option<Work> {
        let last = self.stages.len() - 1;
        // The head sees the last column of the last chunk only.
        if stage + 1 >= last && work.chunks_left > 0 {
            return None;
        }
        if stage == last {
            return Some(work);
        }
        let pair = (self.stages[stage].member, self.stages[stage + 1].member);
        let transfer = match work.prefill {
            true => self.chunk_transfer[stage],
            false => self.lap_transfer[stage],
        };
        let free = self.link_free.entry(pair).or_insert(0);
        *free = now.max(*free) + transfer;
        let sent = *free;
        self.push(sent, Event::Sent { stage, work });
        None
    }
}
