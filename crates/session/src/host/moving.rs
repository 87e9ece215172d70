//! Moving units while an answer is written: measure, decide at token boundaries, prepare beside the plan in force, switch.
//!
//! Until the switch the old plan goes on; from then on it is an ordinary change of plan, as after a fault. So there is always one whole
//! plan, and the tokens are those of an undisturbed run.

use std::collections::BTreeSet;

use model::UnitRange;
use plan::{Decision, MemberId, Plan, Stage};

use super::Host;
use crate::error::SessionError;
use crate::ring::Ring;

/// A move that is not prepared in this time is given up, ms.
const PREPARE_MS: u64 = 120_000;

/// A plan that will come into force.
#[derive(Debug)]
pub(crate) struct Moving {
    plan: Plan,
    /// Members that still fetch weights for it.
    fetching: BTreeSet<MemberId>,
    begun_ms: u64,
}

impl Host {
    /// A decode lap went round: how fast the phones are now.
    pub(super) fn observe_lap(&mut self, lap_ms: u64, timings: &[f32], alone: bool) {
        let Some(placed) = &self.placed else { return };
        let claimed: Vec<f64> = timings.iter().map(|ms| f64::from(*ms)).collect();
        let (problem, plan) = (self.problem(), &placed.ring.plan);
        // Numbers that cannot be used change nothing.
        let _ = self
            .drift
            .observe_lap(self.now_ms, &problem, plan, lap_ms as f64, &claimed, alone);
    }

    /// Between two tokens of an answer: whether the room goes on with another plan.
    pub(super) fn consider_move(&mut self) -> bool {
        if self.moving.is_none() {
            self.balance();
            return false;
        }
        self.is_prepared() && self.switch()
    }

    /// Has a better plan prepared, if there is one that is worth it.
    pub(super) fn balance(&mut self) {
        let Some(placed) = &self.placed else { return };
        let problem = self.problem_now();
        let answers = || self.answers.values();
        let columns = answers().map(|answer| answer.progress.entered).sum();
        let tokens_left = answers()
            .map(|answer| answer.max_tokens.saturating_sub(answer.generated()))
            .fold(0, u32::saturating_add);
        let decision = self.balancer.decide(
            self.now_ms,
            &problem,
            &placed.ring.plan,
            columns,
            tokens_left,
        );
        if let Ok(Decision::Move(to)) = decision {
            self.prepare(to.plan);
        }
    }

    /// Somebody wants the units elsewhere.
    pub(super) fn move_to(&mut self, stages: Vec<Stage>) -> Result<(), SessionError> {
        let ready = self
            .placed
            .as_ref()
            .is_some_and(|placed| placed.loading.is_empty());
        if !ready {
            return Err(SessionError::NotReady);
        }
        let problem = self.problem();
        let plan = plan::priced(&problem, stages, self.epoch + 1)?;
        plan::check(&problem, &plan)?;
        self.prepare(plan);
        Ok(())
    }

    /// Everyone who gets units fetches them, beside the plan in force.
    fn prepare(&mut self, plan: Plan) {
        let Some(placed) = &self.placed else { return };
        let ring = Ring::new(plan, self.config.graph.hidden_width);
        let gains = |member: MemberId| {
            let gained = ring.stages_of(member).map(|stage| stage.units);
            let held = |units: &UnitRange| {
                placed
                    .ring
                    .stages_of(member)
                    .any(|stage| stage.units.start <= units.start && units.end <= stage.units.end)
            };
            gained.filter(|units| !held(units)).collect::<Vec<_>>()
        };
        let wanted: Vec<_> = self
            .members
            .keys()
            .map(|member| (*member, gains(*member)))
            .collect();
        let mut fetching = BTreeSet::new();
        for (member, units) in wanted.into_iter().filter(|(_, units)| !units.is_empty()) {
            fetching.insert(member);
            self.fetch(member, ring.plan.epoch, units);
        }
        self.moving = Some(Moving {
            plan: ring.plan,
            fetching,
            begun_ms: self.now_ms,
        });
    }

    pub(super) fn on_prepared_to_move(&mut self, from: MemberId, epoch: u32) {
        let moving = self.moving.as_mut();
        let Some(moving) = moving.filter(|moving| moving.plan.epoch == epoch) else {
            return;
        };
        moving.fetching.remove(&from);
    }

    /// A member is gone: it gets nothing.
    pub(super) fn move_without(&mut self, member: MemberId) {
        let uses = |moving: &Moving| {
            let mut stages = moving.plan.stages.iter();
            stages.any(|stage| stage.member == member)
        };
        self.moving = self.moving.take().filter(|moving| !uses(moving));
    }

    fn is_prepared(&self) -> bool {
        let moving = self.moving.as_ref();
        moving.is_some_and(|moving| moving.fetching.is_empty())
    }

    /// When a move that is not prepared is given up.
    pub(super) fn give_up_due_ms(&self) -> Option<u64> {
        let moving = self.moving.as_ref()?;
        (!moving.fetching.is_empty()).then_some(moving.begun_ms + PREPARE_MS)
    }

    /// Where nothing is being written, a plan comes into force as soon as it is prepared.
    pub(super) fn mind_move(&mut self) {
        if self.is_due(self.give_up_due_ms()) {
            self.moving = None;
        }
        if self.answers.is_empty() && self.is_prepared() {
            self.switch();
        }
    }

    /// The prepared plan comes into force, unless the room changed so that it cannot.
    fn switch(&mut self) -> bool {
        let Some(Moving { plan, .. }) = self.moving.take() else {
            return false;
        };
        // Links and phones are not those of when it was made.
        let problem = self.problem();
        let plan = plan::priced(&problem, plan.stages, self.epoch + 1);
        let Some(plan) = plan.ok().filter(|plan| plan::check(&problem, plan).is_ok()) else {
            return false;
        };
        self.balancer.switched(self.now_ms);
        self.install(plan);
        true
    }
}
