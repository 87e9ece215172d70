//! Why a plan is as it is, in numbers a person can use. All of them come from planning again.

use crate::cost;
use crate::error::PlanError;
use crate::ground::Ground;
use crate::problem::Problem;
use crate::profile::{MemberId, Plan};
use crate::solve::{best_stages, best_through, spared};

/// What "more memory" means.
const MORE_BYTES: u64 = 1 << 30;

/// What each phone is good for. Times are per generated token, the prompt's share included.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// In the order of the problem's phones that can compute, the host first.
    pub phones: Vec<PhoneRole>,
    /// What the host alone would do.
    pub alone: Alone,
}

/// What one phone is good for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhoneRole {
    /// Who.
    pub member: MemberId,
    /// Its part.
    pub role: Role,
    /// With one more GiB on it a token would take so much less, ms; 0: more memory does not help.
    pub more_memory_saves_ms: f64,
    /// Computes so long for one request, ms.
    pub busy_ms: f64,
}

/// The part of a phone in a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// It started the room; nothing goes without it.
    Host,
    /// Without it the others cannot hold the model.
    Needed,
    /// Without it a token would take so much longer, ms.
    Saves {
        /// Per token.
        ms: f64,
    },
    /// It gets nothing: with it a token would take so much longer, ms.
    WouldSlow {
        /// Per token.
        ms: f64,
    },
    /// It gets nothing, because its battery is low.
    Spared,
    /// It cannot hold a single unit.
    TooSmall,
}

/// The host without the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Alone {
    /// That is the plan, and faster than the best ring by so much per token, ms; `None`: there is nobody else.
    IsThePlan {
        /// Per token.
        saves_ms: Option<f64>,
    },
    /// It would take so much longer per token, ms.
    Slower {
        /// Per token.
        ms: f64,
    },
    /// It cannot hold the model.
    DoesNotFit {
        /// Bytes missing.
        short_bytes: u64,
    },
}

/// Plans again without each phone, with each that was left out, and with more memory on each.
///
/// # Errors
/// The problem has no plan, or its numbers cannot be used.
pub fn explain(problem: &Problem, plan: &Plan) -> Result<Explanation, PlanError> {
    let ground = Ground::new(problem)?;
    let cost = cost::of_stages(&ground, &plan.stages)?;
    let per_token = 1.0 / f64::from(problem.workload.output_tokens);
    // An older plan may be worse than what planning again gives.
    let longer_ms = |objective_ms: f64| ((objective_ms - cost.objective_ms) * per_token).max(0.0);
    let shorter_ms = |objective_ms: f64| ((cost.objective_ms - objective_ms) * per_token).max(0.0);
    let unspared = ground.without(&spared(&ground)?);
    let mut phones = Vec::new();
    for phone in core::iter::once(&ground.host).chain(&ground.peers) {
        let member = phone.member;
        let own = cost.members.iter().find(|own| own.member == member);
        let role = if member == MemberId::HOST {
            Role::Host
        } else if own.is_some() {
            match best_stages(&ground.without(&[member])) {
                Ok(without) => Role::Saves {
                    ms: longer_ms(without.objective_ms),
                },
                Err(PlanError::Capacity { .. }) => Role::Needed,
                Err(error) => return Err(error),
            }
        } else if phone.power.is_low() {
            Role::Spared
        } else {
            match best_through(&unspared, Some(member))? {
                None => Role::TooSmall,
                Some(with) => Role::WouldSlow {
                    ms: longer_ms(with.objective_ms),
                },
            }
        };
        let roomier = best_stages(&ground.with_more_memory(member, MORE_BYTES))?;
        phones.push(PhoneRole {
            member,
            role,
            more_memory_saves_ms: shorter_ms(roomier.objective_ms),
            busy_ms: own.map_or(0.0, |own| own.busy_ms),
        });
    }
    Ok(Explanation {
        phones,
        alone: alone(&ground, plan, longer_ms)?,
    })
}

fn alone(ground: &Ground, plan: &Plan, longer_ms: impl Fn(f64) -> f64) -> Result<Alone, PlanError> {
    if plan.stages.len() == 1 {
        let mut rings = Vec::new();
        for peer in &ground.peers {
            rings.extend(best_through(ground, Some(peer.member))?);
        }
        let best = rings.iter().map(|ring| ring.objective_ms);
        return Ok(Alone::IsThePlan {
            saves_ms: best.reduce(f64::min).map(longer_ms),
        });
    }
    let others: Vec<_> = ground.peers.iter().map(|peer| peer.member).collect();
    match best_stages(&ground.without(&others)) {
        Ok(alone) => Ok(Alone::Slower {
            ms: longer_ms(alone.objective_ms),
        }),
        Err(PlanError::Capacity { short_bytes, .. }) => Ok(Alone::DoesNotFit { short_bytes }),
        Err(error) => Err(error),
    }
}
