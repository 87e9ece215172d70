//! The session of a page that joined: it holds a segment, or waits.

mod receiving;
mod segment;

use std::collections::BTreeMap;

use model::{NumericClass, UnitKind};
use plan::MemberId;
use proto::{Assembler, Control, Fault};

use crate::error::SessionError;
use crate::outbox::Outbox;
use crate::pulse::{self, Pulse};
use crate::seam::{Command, Computed, EngineChoice, Event, Input, Job, JobId, Output};
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
    /// Executors this page allows.
    pub engine: EngineChoice,
}

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
    /// Epoch of the latest plan, whether or not this page is in it.
    epoch: u32,
    /// Requests up to this one are stale.
    ended_request: u32,
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
            epoch: 0,
            ended_request: 0,
            over: false,
        }
    }

    /// The number the host gave it.
    pub const fn me(&self) -> MemberId {
        self.config.me
    }

    /// Tells it something. `now_ms` never runs backwards.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        if self.over {
            return;
        }
        if pulse::slept(self.now_ms, now_ms) {
            self.forgive_silence(now_ms);
        }
        self.now_ms = now_ms;
        match input {
            Input::Timeout => {}
            Input::Connected { member } => self.on_connected(member),
            Input::Disconnected { member } => self.lose(member),
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
            Input::Computed { job, result } => self.on_computed(job, result),
            Input::Command(Command::Leave) => self.leave(),
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
        self.links.values().map(|link| link.pulse.due_ms()).min()
    }

    fn on_connected(&mut self, member: MemberId) {
        let link = Link {
            pulse: Pulse::new(self.now_ms),
            assembler: Assembler::default(),
        };
        if self.links.insert(member, link).is_none() && member == MemberId::HOST {
            self.tell_host(&Control::Hello {
                name: self.config.name.clone(),
                budget_bytes: self.config.budget_bytes,
            });
        }
    }

    /// Without the host there is no room; without another peer, the host relays.
    fn lose(&mut self, member: MemberId) {
        if self.links.remove(&member).is_none() {
            return;
        }
        match member {
            MemberId::HOST => self.end_for(SessionError::HostLost),
            _ => self.tell_round_trips(),
        }
    }

    fn end_for(&mut self, why: impl Into<Fault>) {
        self.over = true;
        self.outbox.fail_for_good(why);
    }

    fn leave(&mut self) {
        for member in self.links.keys() {
            self.outbox.control(*member, &Control::Bye);
        }
        self.over = true;
        self.outbox.event(Event::Left);
    }

    fn on_welcome(&mut self, model: crate::seam::ModelReference, room: RoomFacts) {
        let job = self.outbox.compute(Job::Measure {
            model,
            class: room.class,
            only: self.config.engine.only(),
        });
        self.jobs.insert(job, Doing::Measure);
        self.room = Some(room);
        self.outbox.event(Event::Joined {
            member: self.config.me,
        });
    }

    fn on_assign(&mut self, plan: plan::Plan, unit_kinds: Vec<UnitKind>) {
        let Some(room) = &self.room else { return };
        self.epoch = plan.epoch;
        self.jobs.retain(|_, doing| matches!(doing, Doing::Measure));
        self.segment = Segment::new(&plan, self.config.me, room.hidden_width);
        self.outbox.event(Event::Planned {
            plan: plan.clone(),
            unit_kinds,
        });
        if let Some(segment) = &self.segment {
            let stage = segment.stage;
            let job = self.outbox.compute(Job::Load {
                stages: vec![stage.units],
                engine: stage.engine,
                class: plan.class,
            });
            self.jobs.insert(job, Doing::Load { epoch: plan.epoch });
        }
    }

    fn on_computed(&mut self, job: JobId, result: Computed) {
        if let Some(segment) = self
            .segment
            .as_mut()
            .filter(|segment| segment.is_running(job))
        {
            let done = segment.on_ran(result, &self.links, &mut self.outbox);
            if let Err(fault) = done {
                self.fail_plan(fault);
            }
            return;
        }
        let Some(doing) = self.jobs.get(&job).copied() else {
            return;
        };
        match (doing, result) {
            (
                Doing::Load { epoch },
                Computed::LoadProgress {
                    bytes_done,
                    bytes_total,
                    bytes_fetched,
                },
            ) => {
                return self.tell_host(&Control::LoadProgress {
                    epoch,
                    bytes_done,
                    bytes_total,
                    bytes_fetched,
                });
            }
            (Doing::Load { epoch }, Computed::Loaded { .. }) => {
                self.tell_host(&Control::Loaded { epoch });
            }
            (Doing::Measure, Computed::Measured { engines }) => {
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

    /// Whatever others said in the meantime is still in the queue.
    fn forgive_silence(&mut self, now_ms: u64) {
        for link in self.links.values_mut() {
            link.pulse.heard(now_ms);
        }
    }

    fn keep_time(&mut self) {
        if self.over {
            return;
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
