//! From measurements to a plan that every member has loaded.

use std::collections::{BTreeMap, BTreeSet};

use model::{UnitRange, segment, wire};
use plan::{
    EngineProfile, HopMatrix, MemberId, PhoneProfile, Plan, PlanError, Power, Problem, Stage,
    UnitNeed, Wishes, Workload,
};
use proto::{Cached, Control, Fault, Progress};

use super::overlapping::Overlapping;
use super::reloaded::Return;
use super::{Doing, Host};
use crate::error::SessionError;
use crate::pulse::Pulse;
use crate::ring::Ring;
use crate::seam::{Event, Job};
use crate::turns::Turns;

/// Round trip assumed until the first beat was answered, ms.
const UNMEASURED_RTT_MS: f64 = 20.0;

/// What codes of failures begin with that are a phone's own: of its engine, and of its copy of the model.
const OWN: [&str; 2] = ["engine.", "model."];

/// What the room is to be given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wish {
    /// What it has is enough.
    Nothing,
    /// A first plan, once every phone has been measured.
    Plan,
    /// Another plan, from the phones that have been measured, as soon as these can hold the model.
    Mend {
        /// Why there was none so far, as the page was told.
        told: Option<Fault>,
    },
    /// The plan it had before the host's page was loaded again, once everyone is back.
    Return(Return),
}

/// A plan in force.
pub(crate) struct Placed {
    pub ring: Ring,
    /// When its members were told.
    pub told_ms: u64,
    /// Members that still load.
    pub loading: BTreeSet<MemberId>,
    /// What the others still have of the requests being answered.
    pub held: BTreeMap<MemberId, Vec<Cached>>,
}

impl Host {
    pub(super) fn begin(&mut self) -> Result<(), SessionError> {
        if !self.is_idle() {
            return Err(SessionError::Busy);
        }
        self.wish = Wish::Plan;
        self.fulfil_wish();
        Ok(())
    }

    /// Makes the plan that is waited for, if that is possible now.
    pub(super) fn fulfil_wish(&mut self) {
        match &self.wish {
            Wish::Nothing => {}
            Wish::Plan if !self.all_measured() => {}
            Wish::Plan => {
                self.wish = Wish::Nothing;
                if let Err(error) = self.place() {
                    self.outbox.fail(error);
                }
            }
            Wish::Mend { told } => {
                let told = told.clone();
                match self.place() {
                    Ok(()) => self.wish = Wish::Nothing,
                    Err(error) => self.wait_for_phones(told, error.into()),
                }
            }
            Wish::Return(awaited) => {
                let awaited = awaited.clone();
                self.take_back(&awaited);
            }
        }
    }

    fn wait_for_phones(&mut self, told: Option<Fault>, why: Fault) {
        if told.as_ref() != Some(&why) {
            self.outbox.event(Event::Interrupted { fault: why.clone() });
        }
        self.wish = Wish::Mend { told: Some(why) };
    }

    fn all_measured(&self) -> bool {
        self.members.values().all(|member| member.engines.is_some())
    }

    fn place(&mut self) -> Result<(), SessionError> {
        let problem = self.problem();
        let plan = plan::solve_for_several(&problem, self.epoch + 1)?;
        let slots = plan.slots;
        plan::check(&Problem { slots, ..problem }, &plan)?;
        self.install(plan);
        Ok(())
    }

    /// The same for stages that were in force before.
    pub(super) fn place_again(
        &mut self,
        stages: Vec<Stage>,
        slots: u32,
    ) -> Result<(), SessionError> {
        let problem = Problem {
            slots,
            ..self.problem()
        };
        let plan = plan::priced(&problem, stages, self.epoch + 1)?;
        plan::check(&problem, &plan)?;
        self.install(plan);
        Ok(())
    }

    /// Has everyone load a checked plan; it is in force once they have.
    pub(super) fn install(&mut self, plan: Plan) {
        self.epoch = plan.epoch;
        self.interrupt_answers();
        self.moving = None;
        self.overlapping = Overlapping::default();
        self.explaining = None;
        self.jobs
            .retain(|_, doing| matches!(doing, Doing::Measure | Doing::Fetch { .. }));
        let units = &self.config.graph.units;
        let unit_kinds: Vec<_> = units.iter().map(|unit| unit.kind).collect();
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
            member.progress = Progress::default();
            member.ms_per_token = None;
            member.progress.bytes_total = segment::weight_bytes(&self.config.graph, &ranges);
        }
        self.load_own(&ring);
        let loading = ring.plan.stages.iter().map(|stage| stage.member).collect();
        let held = BTreeMap::new();
        self.placed = Some(Placed {
            ring,
            told_ms: self.now_ms,
            loading,
            held,
        });
        self.changed = true;
    }

    /// Somebody who comes later learns what the others do, and keeps nothing for it.
    pub(super) fn tell_plan(&mut self, to: MemberId) {
        let Some(placed) = &self.placed else { return };
        let plan = placed.ring.plan.clone();
        let epoch = plan.epoch;
        let unit_kinds = self
            .config
            .graph
            .units
            .iter()
            .map(|unit| unit.kind)
            .collect();
        let assign = Control::Assign { plan, unit_kinds };
        self.outbox.control(to, &assign);
        if placed.loading.is_empty() {
            let resume = Vec::new();
            self.outbox.control(to, &Control::Ready { epoch, resume });
        }
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
            slots: ring.plan.slots,
        });
        let epoch = ring.plan.epoch;
        self.jobs.insert(job, Doing::Load { epoch });
    }

    pub(super) fn on_progress(&mut self, from: MemberId, epoch: u32, progress: Progress) {
        let Some(member) = self.members.get_mut(&from).filter(|_| epoch == self.epoch) else {
            return;
        };
        let done = progress.bytes_done.min(progress.bytes_total);
        let fetched = progress.bytes_fetched.min(done);
        member.progress = Progress {
            bytes_done: done,
            bytes_fetched: fetched,
            bytes_from_room: progress.bytes_from_room.min(done - fetched),
            ..progress
        };
        self.changed = true;
    }

    pub(super) fn on_own_loaded(&mut self, epoch: u32, cached_columns: &[Vec<u32>]) {
        let ring = self.placed.as_ref().map(|placed| &placed.ring);
        let cut = ring
            .and_then(|ring| ring.stage(0))
            .map_or(0, |stage| stage.units.end);
        let cached = cached_columns.first().map_or(&[][..], Vec::as_slice);
        let held = self.history.held(cached, cut);
        self.on_loaded(MemberId::HOST, epoch, held);
    }

    pub(super) fn on_loaded(&mut self, from: MemberId, epoch: u32, held: Vec<Cached>) {
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
        placed.held.insert(from, held);
        let everyone = placed.loading.is_empty();
        if everyone {
            self.overlapping = Overlapping::of(&placed.ring.plan, self.now_ms);
        }
        if let Some(member) = self.members.get_mut(&from) {
            member.progress.bytes_done = member.progress.bytes_total;
        }
        self.changed = true;
        if everyone {
            self.was_ready = true;
            // Whoever hears that all are ready knows who holds what.
            self.tell_due_ms = self.now_ms;
            self.tell_members();
            self.put_back_slotless();
            let resume = self.resume_points();
            self.broadcast_to_greeted(&Control::Ready {
                epoch,
                resume: resume.clone(),
            });
            self.outbox.event(Event::Ready { epoch });
            self.explain_plan();
            for resume in resume {
                self.resume(resume);
            }
            self.admit();
        }
    }

    /// Measuring, loading or running failed on a peer.
    pub(super) fn on_peer_failed(&mut self, from: MemberId, epoch: u32, fault: Fault) {
        let current = self
            .placed
            .as_ref()
            .is_some_and(|placed| placed.ring.plan.epoch == epoch && placed.ring.contains(from));
        let own = OWN.iter().any(|own| fault.code.starts_with(own));
        match current {
            true if own => self.on_failed(from, fault),
            true => self.interrupt(fault),
            false => self.outbox.fail(fault),
        }
    }

    /// A member's engine failed: it is tried again, and then not any more. Without the host there is no plan.
    pub(super) fn on_failed(&mut self, member: MemberId, fault: Fault) {
        let now_ms = self.now_ms;
        let Some(failing) = self.members.get_mut(&member) else {
            return;
        };
        failing.strike(now_ms, &fault);
        match member == MemberId::HOST && failing.is_out() {
            true => self.give_up(fault),
            false => self.interrupt(fault),
        }
    }

    /// The plan cannot be used any more: another one takes its place, and the answers go on with that.
    pub(super) fn interrupt(&mut self, why: impl Into<Fault>) {
        self.drop_plan();
        self.outbox.event(Event::Interrupted { fault: why.into() });
        self.wish = Wish::Mend { told: None };
        self.fulfil_wish();
    }

    fn give_up(&mut self, why: Fault) {
        self.end_all_requests(&why);
        self.drop_plan();
        self.wish = Wish::Nothing;
        self.outbox.fail(why);
    }

    /// What is on its way will not come back: answers go on from what they have.
    fn interrupt_answers(&mut self) {
        self.turns = Turns::default();
        for answer in self.answers.values_mut() {
            answer.rewind();
        }
    }

    fn drop_plan(&mut self) {
        self.interrupt_answers();
        self.placed = None;
        self.moving = None;
        self.overlapping = Overlapping::default();
        self.explaining = None;
        self.jobs
            .retain(|_, doing| matches!(doing, Doing::Measure | Doing::Fetch { .. }));
        self.changed = true;
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
            hidden: false,
            metered: false,
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
                    hidden: false,
                    metered: false,
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

    /// The room as its phones were measured.
    pub(super) fn problem(&self) -> Problem {
        let phones = self.members.iter().map(|(id, member)| PhoneProfile {
            member: *id,
            budget_bytes: member.share_bytes(),
            engines: member.engines.clone().unwrap_or_default(),
            power: member.power,
            download_bytes_per_ms: None,
            hidden: member.may_be_stopped(self.now_ms),
            metered: member.metered,
        });
        let graph = &self.config.graph;
        Problem {
            units: self.units(),
            phones: phones.collect(),
            hops: self.hops(),
            column_bytes: wire::bytes_per_column(self.config.class.wire, graph.hidden_width),
            slots: self
                .placed
                .as_ref()
                .map_or(1, |placed| placed.ring.plan.slots),
            scratch_bytes: self.scratch_bytes(),
            class: self.config.class,
            workload: Workload {
                requests_in_flight: u32::try_from(self.answers.len()).unwrap_or(1).max(1),
                ..Workload::default()
            },
            wishes: Wishes::default(),
            forced_engines: BTreeMap::new(),
        }
    }

    /// The same, with phones as fast as their last laps were.
    pub(super) fn problem_now(&self) -> Problem {
        let mut problem = self.problem();
        self.drift.apply(&mut problem);
        problem
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
