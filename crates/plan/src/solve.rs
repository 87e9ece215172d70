//! The plan: host alone or the cheapest ring, whichever is faster.

use model::UnitRange;

use crate::bound;
use crate::capacity;
use crate::cost;
use crate::error::PlanError;
use crate::ground::{Ground, Speed};
use crate::problem::Problem;
use crate::profile::{Plan, Stage};
use crate::ring::{self, Freedom};
use crate::rounding;

/// Peers up to which every subset in every order is tried.
const EXACT_PEERS: usize = 6;

/// The plan with the least expected request time: certified by exhaustive search up to six peers, improved from the linear programme's
/// order beyond. A phone that makes a request slower is left out unless its memory is needed.
pub fn solve(problem: &Problem, epoch: u32) -> Result<Plan, PlanError> {
    let ground = Ground::new(problem)?;
    let capacity = capacity::of_ground(&ground)?;
    if capacity.short_bytes > 0 {
        return Err(PlanError::Capacity {
            short_bytes: capacity.short_bytes,
            needed_bytes: capacity.needed_bytes,
            offered_bytes: capacity.offered_bytes,
        });
    }
    let stages = cheapest_stages(&ground)?;
    Ok(Plan {
        epoch,
        predicted_ms_per_token: cost::of_stages(&ground, &stages)?.ms_per_token,
        lower_bound_ms_per_token: bound::relax(&ground, bound::Measure::token())?.bound_ms,
        stages,
        class: problem.class,
    })
}

fn cheapest_stages(ground: &Ground) -> Result<Vec<Stage>, PlanError> {
    let mut best: Option<(f64, Vec<Stage>)> = None;
    for host in &ground.host.speeds {
        if let Some(stages) = host_alone(ground, host) {
            let request_ms = cost::of_stages(ground, &stages)?.request_ms;
            if best
                .as_ref()
                .is_none_or(|(best_ms, _)| request_ms < *best_ms)
            {
                best = Some((request_ms, stages));
            }
        }
    }
    for host in &ground.host.speeds {
        let below_ms = best.as_ref().map_or(f64::INFINITY, |(best_ms, _)| *best_ms);
        let ring = if ground.peers.len() <= EXACT_PEERS {
            ring::cheapest(ground, host, Freedom::AnyOrder, below_ms)?
        } else {
            rounding::improve(ground, host, below_ms)?
        };
        if let Some(ring) = ring {
            best = Some((ring.request_ms, ring.stages));
        }
    }
    best.map(|(_, stages)| stages)
        .ok_or_else(|| PlanError::Invalid {
            detail: "the phones suffice and no ring was found".to_owned(),
        })
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
