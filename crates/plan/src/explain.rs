//! Why a plan is as it is, in numbers a person can use. All of them come from planning again.

use crate::cost::{self, Cost};
use crate::error::PlanError;
use crate::ground::{Ground, Phone};
use crate::problem::Problem;
use crate::profile::{MemberId, Plan};
use crate::solve::{best_stages, best_through, spared};
use serde::{Deserialize, Serialize};

/// What "more memory" means.
const MORE_BYTES: u64 = 1 << 30;

/// What each phone is good for. Times are per generated token, the prompt's share included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// In the order of the problem's phones that can compute, the host first.
    pub phones: Vec<PhoneRole>,
    /// What the host alone would do.
    pub alone: Alone,
}

/// What one phone is good for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
    /// It gets nothing, because its page is hidden and may be stopped.
    Hidden,
    /// It cannot hold a single unit.
    TooSmall,
}

/// The host without the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
    let mut explainer = Explainer::new(problem.clone(), plan.clone());
    loop {
        if let Some(explanation) = explainer.explain_next()? {
            return Ok(explanation);
        }
    }
}

/// An explanation in steps: each plans again a few times, and between them its owner may have something more urgent to do.
#[derive(Debug, Clone)]
pub struct Explainer {
    problem: Problem,
    plan: Plan,
    phones: Vec<PhoneRole>,
}

impl Explainer {
    /// Computes nothing yet.
    pub const fn new(problem: Problem, plan: Plan) -> Self {
        Self {
            problem,
            plan,
            phones: Vec::new(),
        }
    }

    /// Finds out about one more phone; the last step gives the explanation.
    ///
    /// # Errors
    /// As [`explain`].
    pub fn explain_next(&mut self) -> Result<Option<Explanation>, PlanError> {
        let alternatives = Alternatives::new(&self.problem, &self.plan)?;
        let known = self.phones.len();
        if let Some(member) = alternatives.members().nth(known) {
            self.phones.push(alternatives.role_of(member)?);
            return Ok(None);
        }
        Ok(Some(Explanation {
            phones: core::mem::take(&mut self.phones),
            alone: alternatives.alone()?,
        }))
    }
}

/// What else the room could do, beside its plan.
struct Alternatives<'a> {
    ground: Ground<'a>,
    plan: &'a Plan,
    cost: Cost,
}

impl<'a> Alternatives<'a> {
    fn new(problem: &'a Problem, plan: &'a Plan) -> Result<Self, PlanError> {
        let ground = Ground::new(problem)?;
        let cost = cost::of_stages(&ground, &plan.stages)?;
        Ok(Self { ground, plan, cost })
    }

    fn members(&self) -> impl Iterator<Item = MemberId> {
        core::iter::once(&self.ground.host)
            .chain(&self.ground.peers)
            .map(|phone| phone.member)
    }

    /// Per token; an older plan may be worse than what planning again gives.
    fn longer_ms(&self, objective_ms: f64) -> f64 {
        (self.per_token(objective_ms) - self.per_token(self.cost.objective_ms)).max(0.0)
    }

    fn shorter_ms(&self, objective_ms: f64) -> f64 {
        (self.per_token(self.cost.objective_ms) - self.per_token(objective_ms)).max(0.0)
    }

    fn per_token(&self, objective_ms: f64) -> f64 {
        objective_ms / f64::from(self.ground.problem.workload.output_tokens)
    }

    fn role_of(&self, member: MemberId) -> Result<PhoneRole, PlanError> {
        let own = self.cost.members.iter().find(|own| own.member == member);
        let role = if member == MemberId::HOST {
            Role::Host
        } else if own.is_some() {
            self.used(member)?
        } else if self.is_peer(member, |peer| peer.hidden) {
            Role::Hidden
        } else if self.is_peer(member, |peer| peer.may_go) {
            Role::Spared
        } else {
            self.unused(member)?
        };
        let roomier = best_stages(&self.ground.with_more_memory(member, MORE_BYTES))?;
        Ok(PhoneRole {
            member,
            role,
            more_memory_saves_ms: self.shorter_ms(roomier.objective_ms),
            busy_ms: own.map_or(0.0, |own| own.busy_ms),
        })
    }

    fn used(&self, member: MemberId) -> Result<Role, PlanError> {
        match best_stages(&self.ground.without(&[member])) {
            Ok(without) => Ok(Role::Saves {
                ms: self.longer_ms(without.objective_ms),
            }),
            Err(PlanError::Capacity { .. }) => Ok(Role::Needed),
            Err(error) => Err(error),
        }
    }

    fn unused(&self, member: MemberId) -> Result<Role, PlanError> {
        let unspared = self.ground.without(&spared(&self.ground)?);
        Ok(match best_through(&unspared, Some(member))? {
            None => Role::TooSmall,
            Some(with) => Role::WouldSlow {
                ms: self.longer_ms(with.objective_ms),
            },
        })
    }

    fn is_peer(&self, member: MemberId, such: impl Fn(&Phone) -> bool) -> bool {
        let mut peers = self.ground.peers.iter();
        peers.any(|peer| peer.member == member && such(peer))
    }

    fn alone(&self) -> Result<Alone, PlanError> {
        if self.plan.stages.len() == 1 {
            let mut rings = Vec::new();
            for peer in &self.ground.peers {
                rings.extend(best_through(&self.ground, Some(peer.member))?);
            }
            let best = rings.iter().map(|ring| ring.objective_ms);
            return Ok(Alone::IsThePlan {
                saves_ms: best.reduce(f64::min).map(|best_ms| self.longer_ms(best_ms)),
            });
        }
        let others: Vec<_> = self.members().skip(1).collect();
        match best_stages(&self.ground.without(&others)) {
            Ok(alone) => Ok(Alone::Slower {
                ms: self.longer_ms(alone.objective_ms),
            }),
            Err(PlanError::Capacity { short_bytes, .. }) => Ok(Alone::DoesNotFit { short_bytes }),
            Err(error) => Err(error),
        }
    }
}
