//! The plan: host alone or the best ring, whichever is faster.

use model::UnitRange;

use crate::bound;
use crate::capacity;
use crate::cost;
use crate::error::PlanError;
use crate::ground::{Ground, Speed};
use crate::neighbourhood;
use crate::overlap;
use crate::problem::Problem;
use crate::profile::{MemberId, Plan, Stage};
use crate::search::{self, Ring};
use crate::track::Track;
use crate::walk::Itinerary;

/// Additions of one walk up to which every subset of peers in every order is searched: seven peers and a few thousand units, or ten and 128.
const EXACT_WALK: u64 = 6_000_000;
/// Peers whose subsets are listed at all.
const EXACT_PEERS: usize = 10;
/// Additions for one executor of the host where every order is searched, and where not: tens of ms, the same work on every machine.
const EFFORT: u64 = 16_000_000;
const CLIMB_EFFORT: u64 = 10_000_000;

/// The plan with the least objective: the expected request time and what the room wishes. A phone that makes things worse is left out, and
/// one that may be gone soon too (low on battery, page hidden), unless their memory is needed. Rooms of up to eight phones are searched exhaustively, larger ones from
/// orders that relaxations suggest by moving one phone at a time; [`Plan::gap`] says how much a better plan could save at most.
pub fn solve(problem: &Problem, epoch: u32) -> Result<Plan, PlanError> {
    let ground = Ground::new(problem)?;
    let best = best_stages(&ground)?;
    of_stages(&ground, best.stages, best.bound_ms, epoch)
}

/// Requests that a room answers at the same time if memory allows, the most first.
const SEVERAL_SLOTS: [u32; 3] = [4, 3, 2];
/// A single answer may take so many times as long for it.
const TOLERATED_SLOWDOWN: f64 = 1.05;

/// The plan for as many requests at the same time as memory allows, up to four, without making a single one noticeably slower.
/// `problem.slots` is not looked at; the plan says how many it is for.
///
/// # Errors
/// No plan is possible even for one request.
pub fn solve_for_several(problem: &Problem, epoch: u32) -> Result<Plan, PlanError> {
    let with = |slots| Problem {
        slots,
        ..problem.clone()
    };
    let one = solve(&with(1), epoch)?;
    let most_ms = TOLERATED_SLOWDOWN * one.objective_ms;
    let several = SEVERAL_SLOTS.into_iter().find_map(|slots| {
        let plan = solve(&with(slots), epoch).ok()?;
        (plan.objective_ms <= most_ms).then_some(plan)
    });
    Ok(several.unwrap_or(one))
}

/// A plan of stages that somebody wants, with what the cost model says of them. [`crate::check`] tells whether they can be.
pub fn priced(problem: &Problem, stages: Vec<Stage>, epoch: u32) -> Result<Plan, PlanError> {
    of_stages(&Ground::new(problem)?, stages, 0.0, epoch)
}

fn of_stages(
    ground: &Ground,
    stages: Vec<Stage>,
    bound_ms: f64,
    epoch: u32,
) -> Result<Plan, PlanError> {
    let cost = cost::of_stages(ground, &stages)?;
    let relaxed_ms = bound::objective_ms(ground, &cost)?;
    let mut plan = Plan {
        epoch,
        held: overlap::held(ground, &stages)?,
        class: ground.problem.class,
        slots: ground.problem.slots,
        predicted_ms_per_token: 0.0,
        lower_bound_ms_per_token: bound::token_ms(ground, &cost)?,
        predicted_request_ms: 0.0,
        objective_ms: 0.0,
        lower_bound_objective_ms: relaxed_ms.max(bound_ms).min(cost.objective_ms),
        bytes_per_token: 0,
        stages,
    };
    plan.predict(&cost);
    Ok(plan)
}

/// The best stages known, and what no plan is below as far as the search proved, ms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BestStages {
    pub stages: Vec<Stage>,
    pub objective_ms: f64,
    pub bound_ms: f64,
}

pub(crate) fn best_stages(ground: &Ground) -> Result<BestStages, PlanError> {
    let spared = spared(ground)?;
    let best = best_through(&ground.without(&spared), None)?;
    best.ok_or_else(|| PlanError::Invalid {
        detail: "the phones suffice and no ring was found".to_owned(),
    })
}

/// The best stages that include a peer (`None`: any), if there are any.
pub(crate) fn best_through(
    ground: &Ground,
    must: Option<MemberId>,
) -> Result<Option<BestStages>, PlanError> {
    let must = must
        .map(|member| {
            let at = ground.peers.iter().position(|peer| peer.member == member);
            at.ok_or(PlanError::NoHop { member })
        })
        .transpose()?;
    let mut best = Best::default();
    if must.is_none() {
        for host in &ground.host.speeds {
            if let Some(stages) = host_alone(ground, host) {
                let objective_ms = cost::of_stages(ground, &stages)?.objective_ms;
                best.offer(Some(Ring {
                    objective_ms,
                    stages,
                }));
            }
        }
    }
    let peers = ground.peers.len();
    let exact = (peers <= EXACT_PEERS).then(|| Itinerary::any_order(peers, must));
    let exact = exact.filter(|itinerary| itinerary.effort(ground.end as usize) <= EXACT_WALK);
    let mut bound_ms = f64::INFINITY;
    for host in ground.host.choices() {
        let track = Track::new(ground, host)?;
        match &exact {
            Some(itinerary) => {
                let searched = search::search(&track, itinerary, best.below_ms(), EFFORT)?;
                bound_ms = bound_ms.min(searched.bound_ms);
                best.offer(searched.ring);
            }
            None => {
                let below_ms = best.below_ms();
                let searched = neighbourhood::ring(&track, must, below_ms, CLIMB_EFFORT)?;
                bound_ms = bound_ms.min(searched.bound_ms);
                best.offer(searched.ring);
            }
        }
    }
    Ok(best.ring.map(|ring| BestStages {
        bound_ms: bound_ms.min(ring.objective_ms),
        objective_ms: ring.objective_ms,
        stages: ring.stages,
    }))
}

/// Phones that get nothing: those that may be gone soon, as long as the others suffice. The fullest of those low on battery is needed
/// first, one whose page is hidden last.
pub(crate) fn spared(ground: &Ground) -> Result<Vec<MemberId>, PlanError> {
    let all = capacity::of_ground(ground)?;
    if all.short_bytes > 0 {
        return Err(PlanError::Capacity {
            short_bytes: all.short_bytes,
            needed_bytes: all.needed_bytes,
            offered_bytes: all.offered_bytes,
        });
    }
    let mut going: Vec<_> = ground.peers.iter().filter(|peer| peer.may_go).collect();
    going.sort_by(|a, b| {
        let charge = a.power.share().total_cmp(&b.power.share());
        b.hidden.cmp(&a.hidden).then(charge)
    });
    let mut spared: Vec<_> = going.into_iter().map(|peer| peer.member).collect();
    while !spared.is_empty() && capacity::of_ground(&ground.without(&spared))?.short_bytes > 0 {
        spared.pop();
    }
    Ok(spared)
}

/// The best so far.
#[derive(Default)]
struct Best {
    ring: Option<Ring>,
}

impl Best {
    /// What a ring must be below to be better.
    fn below_ms(&self) -> f64 {
        self.ring
            .as_ref()
            .map_or(f64::INFINITY, |ring| ring.objective_ms)
    }

    fn offer(&mut self, ring: Option<Ring>) {
        self.ring = ring
            .filter(|ring| ring.objective_ms < self.below_ms())
            .or(self.ring.take());
    }
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
