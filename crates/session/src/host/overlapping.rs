//! Spare memory is spent on units that a move would bring: in idle time phones fetch what `Plan::held` gives them besides their own.
//!
//! One unit at a time, so that a question waits for no more than that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::UnitRange;
use plan::{MemberId, Plan};
use proto::Control;

use super::{Doing, Host};
use crate::seam::Job;

/// The room counts as idle so long after a plan was loaded or an answer ended, ms.
const IDLE_MS: u64 = 5_000;

/// What is still to be fetched besides the plan in force.
#[derive(Debug, Default)]
pub(crate) struct Overlapping {
    epoch: u32,
    idle_since_ms: u64,
    wanted: BTreeMap<MemberId, VecDeque<UnitRange>>,
    fetching: BTreeSet<MemberId>,
}

impl Overlapping {
    /// Of a plan that everyone has loaded just now.
    pub fn of(plan: &Plan, now_ms: u64) -> Self {
        let beside_stages = |member: MemberId, units: UnitRange| {
            let units = (units.start..units.end).filter(move |unit| {
                let mut own = plan.stages.iter().filter(|stage| stage.member == member);
                own.all(|stage| !stage.units.contains(*unit))
            });
            units.map(|unit| UnitRange {
                start: unit,
                end: unit + 1,
            })
        };
        let wanted = plan.held.iter().map(|held| {
            let units = beside_stages(held.member, held.units);
            (held.member, units.collect())
        });
        Self {
            epoch: plan.epoch,
            idle_since_ms: now_ms,
            wanted: wanted.collect(),
            fetching: BTreeSet::new(),
        }
    }

    /// Something is going on.
    pub fn wait(&mut self, now_ms: u64) {
        self.idle_since_ms = now_ms;
    }

    /// A phone that is gone fetches nothing.
    pub fn forget(&mut self, member: MemberId) {
        self.wanted.remove(&member);
        self.fetching.remove(&member);
    }

    fn is_waited_for(&self, member: MemberId) -> bool {
        let left = self.wanted.get(&member);
        left.is_some_and(|left| !left.is_empty()) && !self.fetching.contains(&member)
    }

    /// The next unit of every phone that fetches none.
    fn next(&mut self) -> Vec<(MemberId, UnitRange)> {
        let mut next = Vec::new();
        for (member, left) in &mut self.wanted {
            if self.fetching.contains(member) {
                continue;
            }
            if let Some(unit) = left.pop_front() {
                self.fetching.insert(*member);
                next.push((*member, unit));
            }
        }
        next
    }
}

impl Host {
    /// When phones fetch on, if nothing happens until then.
    pub(super) fn overlap_due_ms(&self) -> Option<u64> {
        let overlapping = &self.overlapping;
        let mut members = overlapping.wanted.keys();
        let idle = self.is_idle() && self.moving.is_none();
        let any = idle && members.any(|member| overlapping.is_waited_for(*member));
        any.then_some(overlapping.idle_since_ms + IDLE_MS)
    }

    pub(super) fn fetch_overlap(&mut self) {
        if !self.is_due(self.overlap_due_ms()) {
            return;
        }
        let epoch = self.overlapping.epoch;
        for (member, unit) in self.overlapping.next() {
            self.fetch(member, epoch, vec![unit]);
        }
    }

    /// Has a phone bring units into storage for a plan.
    pub(super) fn fetch(&mut self, member: MemberId, epoch: u32, units: Vec<UnitRange>) {
        if member == MemberId::HOST {
            let job = self.outbox.compute(Job::Fetch { stages: units });
            self.jobs.insert(job, Doing::Fetch { epoch });
        } else {
            self.outbox
                .control(member, &Control::Prepare { epoch, units });
        }
    }

    /// What a phone fetched is in storage.
    pub(super) fn on_prepared(&mut self, from: MemberId, epoch: u32) {
        if epoch == self.overlapping.epoch {
            self.overlapping.fetching.remove(&from);
        }
        self.on_prepared_to_move(from, epoch);
    }
}
