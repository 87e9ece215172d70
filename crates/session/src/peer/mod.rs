//! The session of a page that joined: it holds a segment, or waits.

mod asking;
mod receiving;
mod segment;

use std::collections::BTreeMap;

use model::{EngineKind, NumericClass, UnitKind, UnitRange};
use plan::{EngineProfile, MemberId, Power};
use proto::{Assembler, Control, Fault, ModelReference};

use crate::error::SessionError;
use crate::history::History;
use crate::outbox::Outbox;
use crate::pulse::Pulse;
use crate::seam::{Command, Computed, EngineChoice, Event, Input, Job, JobId, Output};
use crate::watch::Watch;
use segment::Segment;

/// What a page joins with.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// Number the host gave it.
    pub me: MemberId,
    /// Name shown to the others.
    pub name: String,
    /// Weights, KV and scratch this page may hold, bytes.
    pub budget_bytes: u64,
    /// Its downloads cost: it wants none that the plan does not need.
    pub metered: bool,
    /// Executors this page allows.
    pub engine: EngineChoice,
    /// Tells this tab from all others, also after it was loaded again; random, and known to the room's host only.
    pub client: Option<String>,
}

/// After the host was lost: how long the segment stays loaded, and how long the host is looked for, ms.
const KEEP_MS: u64 = 6_000;
const SEEK_MS: u64 = 30_000;

/// A connection to another member.
struct Link {
    pulse: Pulse,
    assembler: Assembler,
}

/// What the host said about the room.
struct RoomFacts {
    hidden_width: u32,
    class: NumericClass,
}

/// What the engine of this page works on, besides forward calls.
#[derive(Clone, Copy)]
enum Doing {
    Measure,
    Fetch { epoch: u32 },
    Load { epoch: u32 },
}

/// The session of a page that joined.
pub struct Peer {
    config: PeerConfig,
    outbox: Outbox,
    now_ms: u64,
    links: BTreeMap<MemberId, Link>,
    room: Option<RoomFacts>,
    jobs: BTreeMap<JobId, Doing>,
    segment: Option<Segment>,
    history: History,
    /// The engine holds a segment of this class, or loads one.
    holds: Option<NumericClass>,
    /// What is being measured, and what was.
    measuring: Option<ModelReference>,
    measured: Option<(ModelReference, Vec<EngineProfile>)>,
    watch: Watch,
    /// The host was lost then, and is looked for.
    seeking_since_ms: Option<u64>,
    /// Epoch of the latest plan, whether or not this page is in it.
    epoch: u32,
    /// Requests being answered, and the slots of their KV.
    live: BTreeMap<u32, u32>,
    /// Questions of this page that the host has, and when they were asked.
    asked: BTreeMap<u32, u64>,
    /// The latest request that the host announced, or ended; others up to this one are stale.
    newest_request: u32,
    /// This page is behind others.
    hidden: bool,
    power: Power,
    over: bool,
}

impl Peer {
    /// Waits for the channels to the host to open.
    pub fn new(config: PeerConfig) -> Self {
        Self {
            config,
            outbox: Outbox::default(),
            now_ms: 0,
            links: BTreeMap::new(),
            room: None,
            jobs: BTreeMap::new(),
            segment: None,
            history: History::default(),
            holds: None,
            measuring: None,
            measured: None,
            watch: Watch::default(),
            seeking_since_ms: None,
            epoch: 0,
            live: BTreeMap::new(),
            asked: BTreeMap::new(),
            newest_request: 0,
            hidden: false,
            power: Power::Unknown,
            over: false,
        }
    }

    /// The number the host gave it.
    pub const fn me(&self) -> MemberId {
        self.config.me
    }

    /// The host was lost and is looked for.
    pub(crate) const fn is_seeking(&self) -> bool {
        self.seeking_since_ms.is_some()
    }

    /// Tells it something. `now_ms` never runs backwards.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        if self.over {
            return;
        }
        if let Some(due_ms) = self.poll_timeout() {
            self.sleep_through(now_ms.saturating_sub(due_ms));
        }
        self.now_ms = now_ms;
        // Nothing woke it while nothing was owed.
        if !self.engine_owes() {
            self.watch.heard(now_ms);
        }
        match input {
            Input::Timeout => {}
            Input::Connected { member } => self.on_connected(member),
            Input::Disconnected { member } => self.lose(member),
            Input::Readmitted { me } => self.config.me = me,
            Input::Hidden { hidden } => {
                self.hidden = hidden;
                self.tell_host(&Control::Hidden { hidden });
            }
            Input::Power { power } => {
                self.power = power;
                self.tell_host(&Control::Power { power });
            }
            Input::Received {
                from,
                channel,
                bytes,
            } => self.on_received(from, channel, &bytes),
            Input::LocalSignal { to, payload } => self.tell_host(&Control::Signal {
                from: self.config.me,
                to,
                payload,
            }),
            Input::Computed { job, result } => {
                self.watch.heard(now_ms);
                self.on_computed(job, result);
            }
            Input::Command(Command::Leave) => self.leave(),
            Input::Command(Command::Ask { question, payload }) => self.ask(question, payload),
            Input::Command(Command::Stop { question }) => self.stop(question),
            Input::Command(_) => self.outbox.fail(SessionError::HostOnly),
        }
        self.keep_time();
    }

    /// What it wants done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    /// When it wants to be told the time, ms.
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.over {
            return None;
        }
        let pulses = self.links.values().map(|link| link.pulse.due_ms());
        let engine = self.engine_owes().then(|| self.watch.due_ms());
        let seeking = self.seeking_since_ms.map(|since_ms| match self.holds {
            Some(_) => since_ms + KEEP_MS,
            None => since_ms + SEEK_MS,
        });
        pulses.chain(engine).chain(seeking).min()
    }

    fn engine_owes(&self) -> bool {
        let loads = self
            .jobs
            .values()
            .any(|doing| matches!(doing, Doing::Load { .. }));
        loads || self.segment.as_ref().is_some_and(Segment::runs)
    }

    fn on_connected(&mut self, member: MemberId) {
        if self.is_seeking() && member != MemberId::HOST {
            // It is in no room now; the host introduces it again, under a new number.
            return self.outbox.push(Output::Disconnect { member });
        }
        let link = Link {
            pulse: Pulse::new(self.now_ms),
            assembler: Assembler::default(),
        };
        if self.links.insert(member, link).is_none() && member == MemberId::HOST {
            self.seeking_since_ms = None;
            self.tell_host(&Control::Hello {
                name: self.config.name.clone(),
                budget_bytes: self.config.budget_bytes,
                metered: self.config.metered,
                client: self.config.client.clone(),
            });
            if self.hidden {
                self.tell_host(&Control::Hidden { hidden: true });
            }
            if self.power != Power::Unknown {
                self.tell_host(&Control::Power { power: self.power });
            }
        }
    }

    /// Without the host there is no room; without another peer, the host relays.
    fn lose(&mut self, member: MemberId) {
        if self.links.remove(&member).is_none() {
            return;
        }
        match member {
            MemberId::HOST => self.seek_host(),
            _ => self.tell_round_trips(),
        }
    }

    /// The host may be back soon, or this page was away itself: it asks to be let in again, and for a while keeps what it holds.
    fn seek_host(&mut self) {
        self.outbox.push(Output::Disconnect {
            member: MemberId::HOST,
        });
        for member in core::mem::take(&mut self.links).into_keys() {
            self.outbox.push(Output::Disconnect { member });
        }
        self.room = None;
        self.segment = None;
        self.jobs
            .retain(|_, doing| !matches!(doing, Doing::Load { .. }));
        self.epoch = 0;
        self.live.clear();
        self.refuse_all();
        self.newest_request = 0;
        self.seeking_since_ms = Some(self.now_ms);
        let fault = SessionError::HostLost.into();
        self.outbox.event(Event::Interrupted { fault });
        self.outbox.push(Output::Rejoin);
    }

    /// What is held goes after a while without the host, then hope.
    fn keep_seeking(&mut self) {
        let Some(since_ms) = self.seeking_since_ms else {
            return;
        };
        if self.now_ms >= since_ms + KEEP_MS {
            self.free();
        }
        if self.now_ms >= since_ms + SEEK_MS {
            self.end_for(SessionError::HostLost);
        }
    }

    fn end_for(&mut self, why: impl Into<Fault>) {
        self.free();
        self.over = true;
        self.outbox.fail_for_good(why);
    }

    fn leave(&mut self) {
        for member in self.links.keys() {
            self.outbox.control(*member, &Control::Bye);
        }
        self.free();
        self.over = true;
        self.outbox.event(Event::Left);
    }

    fn on_welcome(&mut self, model: ModelReference, room: RoomFacts) {
        let class = room.class;
        self.room = Some(room);
        self.outbox.event(Event::Joined {
            member: self.config.me,
        });
        if let Some((_, engines)) = self.measured.as_ref().filter(|(of, _)| *of == model) {
            let engines = engines.clone();
            return self.tell_host(&Control::Measured { engines });
        }
        self.measured = None;
        let job = self.outbox.compute(Job::Measure {
            model: model.clone(),
            class,
            only: self.config.engine.only(),
        });
        self.jobs.insert(job, Doing::Measure);
        self.measuring = Some(model);
    }

    fn on_assign(&mut self, plan: plan::Plan, unit_kinds: Vec<UnitKind>) {
        let Some(room) = &self.room else { return };
        self.epoch = plan.epoch;
        self.jobs
            .retain(|_, doing| !matches!(doing, Doing::Load { .. }));
        self.segment = Segment::new(&plan, self.config.me, room.hidden_width);
        self.outbox.event(Event::Planned {
            plan: plan.clone(),
            unit_kinds,
        });
        match self.segment.as_ref().map(|segment| segment.stage) {
            Some(stage) => {
                let job = self.load(vec![stage.units], stage.engine, plan.class, plan.slots);
                self.jobs.insert(job, Doing::Load { epoch: plan.epoch });
            }
            None => self.free(),
        }
    }

    fn load(
        &mut self,
        stages: Vec<UnitRange>,
        engine: EngineKind,
        class: NumericClass,
        slots: u32,
    ) -> JobId {
        self.holds = Some(class).filter(|_| !stages.is_empty());
        self.outbox.compute(Job::Load {
            stages,
            engine,
            class,
            slots,
        })
    }

    /// What is not needed any more is given back; nobody waits for the answer.
    fn free(&mut self) {
        if let Some(class) = self.holds {
            self.load(Vec::new(), EngineKind::Cpu, class, 1);
        }
    }

    fn on_computed(&mut self, job: JobId, result: Computed) {
        if let Some(segment) = self
            .segment
            .as_mut()
            .filter(|segment| segment.is_running(job))
        {
            let done = segment.on_ran(result, &mut self.history, &self.links, &mut self.outbox);
            let done = done.and_then(|()| self.run_segment().map_err(Fault::from));
            if let Err(fault) = done {
                self.fail_plan(fault);
            }
            return;
        }
        let Some(doing) = self.jobs.get(&job).copied() else {
            return;
        };
        match (doing, result) {
            (Doing::Load { epoch }, Computed::LoadProgress(progress)) => {
                return self.tell_host(&Control::LoadProgress { epoch, progress });
            }
            (Doing::Load { epoch }, Computed::Loaded { cached_columns, .. }) => {
                let cached = cached_columns.first().map_or(&[][..], Vec::as_slice);
                let cut = self.segment.as_ref().map(|segment| segment.stage.units.end);
                let held = self.history.held(cached, cut.unwrap_or(0));
                self.tell_host(&Control::Loaded { epoch, held });
            }
            (Doing::Fetch { epoch }, Computed::Fetched | Computed::Failed(_)) => {
                self.tell_host(&Control::Prepared { epoch });
            }
            (Doing::Measure, Computed::Measured { engines }) => {
                self.measured = self.measuring.take().map(|model| (model, engines.clone()));
                self.tell_host(&Control::Measured { engines });
            }
            (Doing::Measure, Computed::Failed(fault)) => {
                self.outbox.fail(fault.clone());
                self.tell_host(&Control::Failed { epoch: 0, fault });
                self.tell_host(&Control::Measured {
                    engines: Vec::new(),
                });
            }
            (Doing::Load { .. }, Computed::Failed(fault)) => self.fail_plan(fault),
            _ => self.fail_plan(SessionError::Engine {
                detail: "an answer to another kind of job",
            }),
        }
        self.jobs.remove(&job);
    }

    /// This page cannot do its part of the plan.
    fn fail_plan(&mut self, why: impl Into<Fault>) {
        let fault = why.into();
        self.segment = None;
        self.outbox.fail(fault.clone());
        self.tell_host(&Control::Failed {
            epoch: self.epoch,
            fault,
        });
    }

    fn on_engine_silent(&mut self) {
        self.jobs
            .retain(|_, doing| !matches!(doing, Doing::Load { .. }));
        self.fail_plan(SessionError::EngineSilent);
    }

    /// Time for which this page was late is nobody's silence: whatever others said is still in the queue.
    fn sleep_through(&mut self, ms: u64) {
        self.watch.slept(ms);
        for link in self.links.values_mut() {
            link.pulse.slept(ms);
        }
    }

    fn keep_time(&mut self) {
        if self.over {
            return;
        }
        self.keep_seeking();
        if self.over {
            return;
        }
        if self.engine_owes() && self.watch.is_silent(self.now_ms) {
            self.on_engine_silent();
        }
        let links = self.links.iter();
        let silent: Vec<_> = links
            .filter(|(_, link)| link.pulse.is_silent(self.now_ms))
            .map(|(id, _)| *id)
            .collect();
        for member in silent {
            self.outbox.push(Output::Disconnect { member });
            self.lose(member);
        }
        if self.over {
            return;
        }
        for (id, link) in &mut self.links {
            link.pulse.beat(self.now_ms, *id, &mut self.outbox);
        }
    }

    fn tell_round_trips(&mut self) {
        let peers = self.links.iter().filter(|(id, _)| **id != MemberId::HOST);
        let ms = peers.filter_map(|(id, link)| Some((*id, link.pulse.rtt_ms()?)));
        let ms = ms.collect();
        self.tell_host(&Control::RoundTrips { ms });
    }

    fn tell_host(&mut self, message: &Control) {
        if self.links.contains_key(&MemberId::HOST) {
            self.outbox.control(MemberId::HOST, message);
        }
    }
}
