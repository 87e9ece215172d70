//! Whether units should move now. Asked at token boundaries; says keep, or move to a given plan.
//!
//! A move is worth it only if the better plan has looked better for a while (hysteresis), the last switch is some time ago (cooldown), the
//! gain is not small, and what is left of the answer earns back what the move costs. Or if it takes units from a phone that may be gone
//! soon: that is worth it whatever it costs, and does not wait. Whatever happens, there are at most two switches a minute, except when
//! the plan in force cannot go on at all.

use std::collections::VecDeque;

use crate::check;
use crate::cost;
use crate::error::PlanError;
use crate::migration::{Migration, migration};
use crate::problem::Problem;
use crate::profile::{MemberId, Plan};
use crate::solve::solve;

/// Numbers of the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Planning is not repeated within, ms.
    pub think_ms: u64,
    /// A better plan has to stay better for so long, ms.
    pub hold_ms: u64,
    /// After a switch nothing moves for so long, ms.
    pub cooldown_ms: u64,
    /// Share of the objective that a move has to save.
    pub least_gain: f64,
    /// Switches within [`Self::window_ms`] at most.
    pub most_switches: usize,
    /// ms.
    pub window_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            think_ms: 500,
            hold_ms: 3000,
            cooldown_ms: 10_000,
            least_gain: 0.08,
            most_switches: 2,
            window_ms: 60_000,
        }
    }
}

/// What to do at a token boundary.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Go on.
    Keep(Reason),
    /// Go to this plan; its epoch follows that of the plan in force.
    Move(Box<Move>),
}

/// A move that is worth it.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// Where to.
    pub plan: Plan,
    /// What it takes.
    pub migration: Migration,
    /// Of the objective, per token, ms; 0 if the plan in force cannot go on, and below if it is left for the sake of safety.
    pub saves_ms_per_token: f64,
}

/// Why nothing moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Asked again too soon.
    JustPlanned,
    /// The plan in force is the best.
    Best,
    /// Another is hardly better.
    LittleGain,
    /// What is left of the answer does not earn back the move.
    TooDear,
    /// Another is better, but not for long enough yet.
    Waiting,
    /// The last switch was just now, or there were too many.
    Cooldown,
}

/// Decides, and remembers what it needs for that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Balancer {
    policy: Policy,
    /// Times of the last switches, ms.
    switches: VecDeque<u64>,
    better_since_ms: Option<u64>,
    planned_ms: Option<u64>,
}

impl Balancer {
    /// With numbers of its own.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Asks with the phones as they are now ([`crate::Drift::apply`]). `columns` are cached, `tokens_left` are still to come.
    ///
    /// # Errors
    /// No plan is possible any more, or the numbers cannot be used.
    pub fn decide(
        &mut self,
        now_ms: u64,
        problem: &Problem,
        in_force: &Plan,
        columns: u32,
        tokens_left: u32,
    ) -> Result<Decision, PlanError> {
        let too_soon = |&planned_ms: &u64| now_ms < planned_ms + self.policy.think_ms;
        if self.planned_ms.filter(too_soon).is_some() {
            return Ok(Decision::Keep(Reason::JustPlanned));
        }
        self.planned_ms = Some(now_ms);
        let plan = solve(problem, in_force.epoch.saturating_add(1))?;
        if !can_go_on(problem, in_force) {
            return self.moved(problem, in_force, plan, columns, 0.0);
        }
        let now = cost::cost(problem, &in_force.stages)?;
        let tokens = f64::from(problem.workload.output_tokens);
        let saves_ms = (now.objective_ms - plan.objective_ms) / tokens;
        if going(problem, &plan) < going(problem, in_force) {
            return match self.switched_often(now_ms) {
                true => Ok(Decision::Keep(Reason::Cooldown)),
                false => self.moved(problem, in_force, plan, columns, saves_ms),
            };
        }
        let reason = if in_force.stages == plan.stages {
            Some(Reason::Best)
        } else if saves_ms * tokens < self.policy.least_gain * now.objective_ms {
            Some(Reason::LittleGain)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.better_since_ms = None;
            return Ok(Decision::Keep(reason));
        }
        let since_ms = *self.better_since_ms.get_or_insert(now_ms);
        if self.cools_down(now_ms) {
            return Ok(Decision::Keep(Reason::Cooldown));
        }
        if now_ms < since_ms + self.policy.hold_ms {
            return Ok(Decision::Keep(Reason::Waiting));
        }
        let migration = migration(problem, in_force, &plan, columns)?;
        let tokens_while_loading = migration.load_ms / now.ms_per_token.max(f64::MIN_POSITIVE);
        let tokens_after = f64::from(tokens_left) - tokens_while_loading;
        if tokens_after * saves_ms <= migration.pause_ms {
            return Ok(Decision::Keep(Reason::TooDear));
        }
        self.moved(problem, in_force, plan, columns, saves_ms)
    }

    /// A plan came into force, by a move or for another reason.
    pub fn switched(&mut self, now_ms: u64) {
        self.switches.push_back(now_ms);
        if self.switches.len() > self.policy.most_switches {
            self.switches.pop_front();
        }
        self.better_since_ms = None;
    }

    fn moved(
        &self,
        problem: &Problem,
        in_force: &Plan,
        plan: Plan,
        columns: u32,
        saves_ms_per_token: f64,
    ) -> Result<Decision, PlanError> {
        Ok(Decision::Move(Box::new(Move {
            migration: migration(problem, in_force, &plan, columns)?,
            plan,
            saves_ms_per_token,
        })))
    }

    fn cools_down(&self, now_ms: u64) -> bool {
        let last = self.switches.back();
        last.is_some_and(|at| now_ms < at + self.policy.cooldown_ms) || self.switched_often(now_ms)
    }

    fn switched_often(&self, now_ms: u64) -> bool {
        let recent = |&&at: &&u64| now_ms < at + self.policy.window_ms;
        self.switches.iter().filter(recent).count() >= self.policy.most_switches
    }
}

/// Phones that have units and may be gone soon.
fn going(problem: &Problem, plan: &Plan) -> usize {
    let mut phones: Vec<_> = problem.phones.iter().collect();
    phones.retain(|phone| {
        let mut stages = plan.stages.iter();
        phone.may_go()
            && phone.member != MemberId::HOST
            && stages.any(|stage| stage.member == phone.member)
    });
    phones.len()
}

/// Whether everyone is still there and has the memory.
fn can_go_on(problem: &Problem, in_force: &Plan) -> bool {
    let Ok(cost) = cost::cost(problem, &in_force.stages) else {
        return false;
    };
    let mut again = in_force.clone();
    again.predict(&cost);
    again.hold_only_stages();
    check::check(problem, &again).is_ok()
}
