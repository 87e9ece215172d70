//! The plan: host alone or the cheapest ring, whichever is faster.

use model::UnitRange;

use crate::bound;
use crate::capacity;
use crate::cost;
use crate::error::PlanError;
use crate::ground::{Ground, Speed};
use crate::problem::Problem;
use crate::profile::{Plan, Stage};
use crate::ring::{Freedom, Ring, Track};
use crate::rounding;

/// Peers up to which every subset in every order is tried.
const EXACT_PEERS: usize = 6;
/// Stages looked at per executor of the host: a third of a second on a laptop's core, and the same work on every machine.
const EFFORT: u64 = 4_000_000;

/// The plan with the least expected request time. Up to six peers the search is exhaustive unless it exceeds its effort (62 units take a
/// tenth of it at most, 162 units may exceed it); beyond, or then, it is the best found by moving phones from the linear programme's order.
/// A phone that makes a request slower is left out unless its memory is needed.
pub fn solve(problem: &Problem, epoch: u32) -> Result<Plan, PlanError> {
    let ground = Ground::new(problem)?;
    let stages = cheapest_stages(&ground)?;
    let ms_per_token = cost::of_stages(&ground, &stages)?.ms_per_token;
    Ok(Plan {
        epoch,
        predicted_ms_per_token: ms_per_token,
        lower_bound_ms_per_token: bound::relax(&ground, bound::Measure::token(), ms_per_token)?
            .bound_ms,
        stages,
        class: problem.class,
    })
}

pub(crate) fn cheapest_stages(ground: &Ground) -> Result<Vec<Stage>, PlanError> {
    let capacity = capacity::of_ground(ground)?;
    if capacity.short_bytes > 0 {
        return Err(PlanError::Capacity {
            short_bytes: capacity.short_bytes,
            needed_bytes: capacity.needed_bytes,
            offered_bytes: capacity.offered_bytes,
        });
    }
    let mut best = Best::default();
    for host in &ground.host.speeds {
        if let Some(stages) = host_alone(ground, host) {
            best.offer(Some(priced(ground, stages)?));
        }
    }
    for host in &ground.host.speeds {
        let mut track = Track::new(ground, host, EFFORT)?;
        if let Some(stages) = rounding::longest_runs(&track) {
            best.offer(Some(priced(ground, stages)?));
        }
        best.offer(rounding::start(&mut track, best.below_ms())?);
        if ground.peers.len() <= EXACT_PEERS {
            best.offer(track.cheapest(Freedom::AnyOrder, best.below_ms(), EFFORT)?);
        } else if let Some(known) = &best.ring {
            let better = rounding::improve(&mut track, known)?;
            best.offer(better);
        }
    }
    best.ring
        .map(|ring| ring.stages)
        .ok_or_else(|| PlanError::Invalid {
            detail: "the phones suffice and no ring was found".to_owned(),
        })
}

/// The cheapest so far.
#[derive(Default)]
struct Best {
    ring: Option<Ring>,
}

impl Best {
    /// What a ring must cost less than to be better.
    fn below_ms(&self) -> f64 {
        self.ring
            .as_ref()
            .map_or(f64::INFINITY, |ring| ring.request_ms)
    }

    fn offer(&mut self, ring: Option<Ring>) {
        self.ring = ring
            .filter(|ring| ring.request_ms < self.below_ms())
            .or(self.ring.take());
    }
}

fn priced(ground: &Ground, stages: Vec<Stage>) -> Result<Ring, PlanError> {
    let request_ms = cost::of_stages(ground, &stages)?.request_ms;
    Ok(Ring { request_ms, stages })
}

fn host_alone(ground: &Ground, host: &Speed) -> Option<Vec<Stage>> {
    let fits = ground.longest_from(1, ground.host_block_bytes()?) == ground.head();
    fits.then(|| {
        vec![Stage {
            member: ground.host.member,
            units: UnitRange {
                start: 0,
                end: ground.end,
            },
            engine: host.engine,
        }]
    })
}
