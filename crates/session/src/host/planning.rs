//! From measurements to a plan that every member has loaded.

use std::collections::{BTreeMap, BTreeSet};

use model::{UnitRange, segment, wire};
use plan::{
    EngineProfile, HopMatrix, MemberId, PhoneProfile, PlanError, Power, Problem, UnitNeed, Wishes,
    Workload,
};
use proto::{Control, Fault};

use super::{Doing, Host};
use crate::error::SessionError;
use crate::pulse::Pulse;
use crate::ring::Ring;
use crate::seam::{Event, Job};

/// Round trip assumed until the first beat was answered, ms.
const UNMEASURED_RTT_MS: f64 = 20.0;

/// A plan in force.
pub(crate) struct Placed {
    pub ring: Ring,
    /// Members that still load.
    pub loading: BTreeSet<MemberId>,
}

impl Host {
    pub(super) fn begin(&mut self) -> Result<(), SessionError> {
        if self.answer.is_some() {
            return Err(SessionError::Busy);
        }
        self.begun = true;
        self.plan_when_measured();
        Ok(())
    }

    /// Plans once every member has been measured, if that was asked for.
    pub(super) fn plan_when_measured(&mut self) {
        if !self.begun || !self.all_measured() {
            return;
        }
        self.begun = false;
        if let Err(error) = self.place() {
            self.outbox.fail(error);
        }
    }

    fn all_measured(&self) -> bool {
        self.members.values().all(|member| member.engines.is_some())
    }

    fn place(&mut self) -> Result<(), SessionError> {
        let problem = self.problem();
        let plan = plan::solve(&problem, self.epoch + 1)?;
        plan::check(&problem, &plan)?;
        self.epoch = plan.epoch;
        self.jobs.retain(|_, doing| matches!(doing, Doing::Measure));
        let unit_kinds: Vec<_> = problem.units.iter().map(|unit| unit.kind).collect();
        self.broadcast_to_greeted(&Control::Assign {
            plan: plan.clone(),
            unit_kinds: unit_kinds.clone(),
        });
        self.outbox.event(Event::Planned {
            plan: plan.clone(),
            unit_kinds,
        });
        let ring = Ring::new(plan, self.config.graph.hidden_width);
        for (id, member) in &mut self.members {
            let ranges: Vec<UnitRange> = ring.stages_of(*id).map(|stage| stage.units).collect();
            member.loaded_bytes = 0;
            member.fetched_bytes = 0;
            member.ms_per_token = None;
            member.assigned_bytes = segment::weight_bytes(&self.config.graph, &ranges);
        }
        self.load_own(&ring);
        let loading = ring.plan.stages.iter().map(|stage| stage.member).collect();
        self.placed = Some(Placed { ring, loading });
        self.changed = true;
        Ok(())
    }

    fn load_own(&mut self, ring: &Ring) {
        let Some(engine) = ring.stage(0).map(|stage| stage.engine) else {
            return;
        };
        let stages = ring.stages_of(MemberId::HOST).map(|stage| stage.units);
        let job = self.outbox.compute(Job::Load {
            stages: stages.collect(),
            engine,
            class: ring.plan.class,
        });
        let epoch = ring.plan.epoch;
        self.jobs.insert(job, Doing::Load { epoch });
    }

    /// `[done, total, fetched]` weight bytes.
    pub(super) fn on_progress(&mut self, from: MemberId, epoch: u32, bytes: [u64; 3]) {
        let Some(member) = self.members.get_mut(&from).filter(|_| epoch == self.epoch) else {
            return;
        };
        let [done, total, fetched] = bytes;
        member.assigned_bytes = total;
        member.loaded_bytes = done.min(total);
        member.fetched_bytes = fetched.min(done);
        self.changed = true;
    }

    pub(super) fn on_loaded(&mut self, from: MemberId, epoch: u32) {
        let Some(placed) = self
            .placed
            .as_mut()
            .filter(|placed| placed.ring.plan.epoch == epoch)
        else {
            return;
        };
        if !placed.loading.remove(&from) {
            return;
        }
        let everyone = placed.loading.is_empty();
        if let Some(member) = self.members.get_mut(&from) {
            member.loaded_bytes = member.assigned_bytes;
        }
        self.changed = true;
        if everyone {
            self.broadcast_to_greeted(&Control::Ready { epoch });
            self.outbox.event(Event::Ready { epoch });
        }
    }

    /// Measuring, loading or running failed on a peer.
    pub(super) fn on_peer_failed(&mut self, from: MemberId, epoch: u32, fault: Fault) {
        let current = self
            .placed
            .as_ref()
            .is_some_and(|placed| placed.ring.plan.epoch == epoch && placed.ring.contains(from));
        match current {
            true => self.drop_plan(fault),
            false => self.outbox.fail(fault),
        }
    }

    /// The plan cannot be used any more, nor the answer being written with it.
    pub(super) fn drop_plan(&mut self, why: impl Into<Fault>) {
        self.end_request();
        self.placed = None;
        self.jobs.retain(|_, doing| matches!(doing, Doing::Measure));
        self.changed = true;
        self.outbox.fail(why);
    }

    /// Tells the page when what the phones can hold changed.
    pub(super) fn update_capacity(&mut self) {
        let needed: u64 = self
            .units()
            .iter()
            .map(|unit| unit.weight_bytes + unit.kv_bytes)
            .sum();
        let scratch_bytes = self.scratch_bytes();
        let able = self.members.values().filter(|member| {
            member
                .engines
                .as_ref()
                .is_some_and(|engines| !engines.is_empty())
        });
        let offered = able.map(|member| member.budget_bytes.saturating_sub(scratch_bytes));
        let capacity = Event::Capacity {
            needed_bytes: needed,
            offered_bytes: offered.fold(0, u64::saturating_add),
            measured: self.all_measured(),
        };
        if self.capacity.as_ref() != Some(&capacity) {
            self.outbox.event(capacity.clone());
            self.capacity = Some(capacity);
        }
    }

    /// Whether the planner can use what was measured on a phone, by its own rules.
    pub(super) fn check_measured(
        &self,
        from: MemberId,
        engines: &[EngineProfile],
    ) -> Result<(), SessionError> {
        let host = self
            .members
            .get(&MemberId::HOST)
            .and_then(|host| host.engines.clone());
        let alone = |member| PhoneProfile {
            member,
            budget_bytes: self
                .members
                .get(&from)
                .map_or(0, |member| member.budget_bytes),
            engines: engines.to_vec(),
            power: Power::Unknown,
            download_bytes_per_ms: None,
        };
        let mut problem = self.problem();
        problem.phones = match host {
            Some(engines) if from != MemberId::HOST => {
                let host = PhoneProfile {
                    member: MemberId::HOST,
                    budget_bytes: self.config.budget_bytes,
                    engines,
                    power: Power::Unknown,
                    download_bytes_per_ms: None,
                };
                vec![host, alone(from)]
            }
            _ => vec![alone(MemberId::HOST)],
        };
        match plan::capacity(&problem) {
            Err(error @ PlanError::Numbers { .. }) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn problem(&self) -> Problem {
        let phones = self.members.iter().map(|(id, member)| PhoneProfile {
            member: *id,
            budget_bytes: member.budget_bytes,
            engines: member.engines.clone().unwrap_or_default(),
            power: Power::Unknown,
            download_bytes_per_ms: None,
        });
        let graph = &self.config.graph;
        Problem {
            units: self.units(),
            phones: phones.collect(),
            hops: self.hops(),
            column_bytes: wire::bytes_per_column(self.config.class.wire, graph.hidden_width),
            scratch_bytes: self.scratch_bytes(),
            class: self.config.class,
            workload: Workload::default(),
            wishes: Wishes::default(),
            forced_engines: BTreeMap::new(),
        }
    }

    fn units(&self) -> Vec<UnitNeed> {
        let graph = &self.config.graph;
        let weights = segment::unit_weight_bytes(graph);
        let units = (0..).zip(&graph.units).zip(weights);
        units
            .map(|((index, unit), weight_bytes)| UnitNeed {
                kind: unit.kind,
                weight_bytes,
                kv_bytes: segment::kv_bytes(
                    graph,
                    &[UnitRange {
                        start: index,
                        end: index + 1,
                    }],
                    self.config.class.context_columns,
                ),
            })
            .collect()
    }

    fn scratch_bytes(&self) -> u64 {
        segment::scratch_bytes(&self.config.graph, self.config.class.chunk_columns)
    }

    /// Half a round trip; two peers without a connection of their own are relayed by the host.
    fn hops(&self) -> HopMatrix {
        let mut hops = HopMatrix::default();
        for (id, member) in &self.members {
            if let Some(pulse) = &member.pulse {
                let rtt_ms = Pulse::rtt_ms(pulse).unwrap_or(UNMEASURED_RTT_MS);
                hops.set(MemberId::HOST, *id, rtt_ms / 2.0);
            }
            for (other, rtt_ms) in &member.round_trips {
                hops.set(*id, *other, rtt_ms / 2.0);
            }
        }
        hops
    }

    fn broadcast_to_greeted(&mut self, message: &Control) {
        let peers: Vec<_> = self.greeted_peers().collect();
        for peer in peers {
            self.outbox.control(peer, message);
        }
    }
}
