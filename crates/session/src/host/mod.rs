//! The session of the page that started the room: it owns plan, sampler and prompts.

mod answer;
mod draining;
mod explaining;
mod generation;
mod member;
mod membership;
mod moving;
mod overlapping;
mod planning;
mod questions;
mod receiving;
mod reloaded;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use model::{Graph, NumericClass};
use plan::{Balancer, Drift, MemberId};
use proto::{Control, Fault};

use crate::asker::Asker;
use crate::error::SessionError;
use crate::outbox::Outbox;
use crate::seam::{
    Command, Computed, EngineChoice, Event, Input, Job, JobId, ModelReference, Output,
};
use answer::Answer;
use explaining::Explaining;
use generation::{Leg, Turn};
use member::Member;
use moving::Moving;
use overlapping::Overlapping;
use planning::{Placed, Wish};

pub use reloaded::Kept;

use crate::history::History;
use crate::turns::Turns;
use crate::watch::Watch;

/// Members of a room, the host among them: a full mesh of more is too much for a phone.
pub const MAX_MEMBERS: usize = 8;

/// What a room is started with.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// The model.
    pub graph: Arc<Graph>,
    /// Name shown to the others.
    pub name: String,
    /// Weights, KV and scratch this page may hold, bytes.
    pub budget_bytes: u64,
    /// Its downloads cost: it wants none that the plan does not need.
    pub metered: bool,
    /// Numeric class of the room.
    pub class: NumericClass,
    /// Executors this page allows.
    pub engine: EngineChoice,
    /// Where every member finds the model.
    pub model: ModelReference,
    /// Members may ask, too.
    pub members_may_ask: bool,
}

/// What the engine of this page works on.
enum Doing {
    Measure,
    Fetch { epoch: u32 },
    Load { epoch: u32 },
    Run { request: u32, leg: Leg },
}

/// The session of the page that started the room.
pub struct Host {
    config: HostConfig,
    outbox: Outbox,
    now_ms: u64,
    /// Everyone present, this page among them.
    members: BTreeMap<MemberId, Member>,
    next_member: u32,
    jobs: BTreeMap<JobId, Doing>,
    wish: Wish,
    epoch: u32,
    placed: Option<Placed>,
    /// A plan was loaded once.
    was_ready: bool,
    /// Number of the latest request.
    request: u32,
    /// In flight, by number of the request.
    answers: BTreeMap<u32, Answer>,
    /// They wait for a slot.
    questions: VecDeque<Answer>,
    /// They wait for the engine of this page.
    turns: Turns<Turn>,
    moving: Option<Moving>,
    overlapping: Overlapping,
    drift: Drift,
    balancer: Balancer,
    /// A phone that waits to be drained is thought of again then, ms.
    drain_again_ms: u64,
    explaining: Option<Explaining>,
    history: History,
    capacity: Option<Event>,
    /// Connections that end, and when.
    partings: Vec<(u64, MemberId)>,
    /// How often tabs ended while they loaded.
    crashes: BTreeMap<String, u32>,
    watch: Watch,
    /// The members' view changed and was not told yet.
    changed: bool,
    tell_due_ms: u64,
    over: bool,
}

impl Host {
    /// Starts a room; its first output has this page measured.
    ///
    /// # Errors
    /// A numeric class no executor accepts, or a model with an encoder.
    pub fn new(config: HostConfig) -> Result<Self, Fault> {
        config.class.check().map_err(SessionError::from)?;
        if config.graph.memory.is_some() {
            return Err(SessionError::EncoderDecoder.into());
        }
        let mut outbox = Outbox::default();
        let measure = outbox.compute(Job::Measure {
            model: config.model.clone(),
            class: config.class,
            only: config.engine.only(),
        });
        let me = Member::host(&config.name, config.budget_bytes, config.metered);
        Ok(Self {
            config,
            outbox,
            now_ms: 0,
            members: BTreeMap::from([(MemberId::HOST, me)]),
            next_member: 1,
            jobs: BTreeMap::from([(measure, Doing::Measure)]),
            wish: Wish::Nothing,
            epoch: 0,
            placed: None,
            was_ready: false,
            request: 0,
            answers: BTreeMap::new(),
            questions: VecDeque::new(),
            turns: Turns::default(),
            moving: None,
            overlapping: Overlapping::default(),
            drift: Drift::default(),
            balancer: Balancer::default(),
            drain_again_ms: 0,
            explaining: None,
            history: History::default(),
            capacity: None,
            partings: Vec::new(),
            crashes: BTreeMap::new(),
            watch: Watch::default(),
            changed: true,
            tell_due_ms: 0,
            over: false,
        })
    }

    /// A number for a guest.
    ///
    /// # Errors
    /// The room is full.
    pub fn allocate_member(&mut self) -> Result<MemberId, Fault> {
        if self.members.len() >= MAX_MEMBERS {
            return Err(SessionError::RoomFull { most: MAX_MEMBERS }.into());
        }
        let member = MemberId(self.next_member);
        self.next_member += 1;
        Ok(member)
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
            // Only guests are let in.
            Input::Readmitted { .. } => {}
            Input::Hidden { hidden } => self.on_hidden(MemberId::HOST, hidden),
            Input::Power { power } => self.on_power(MemberId::HOST, power),
            Input::Received {
                from,
                channel,
                bytes,
            } => self.on_received(from, channel, bytes),
            Input::LocalSignal { to, payload } => self.on_local_signal(to, payload),
            Input::Computed { job, result } => {
                self.watch.heard(now_ms);
                self.on_computed(job, result);
            }
            Input::Command(command) => self.on_command(command),
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
        let pulses = self.members.values().filter_map(|member| {
            let pulse = member.pulse.as_ref()?;
            Some(pulse.due_ms())
        });
        let view = self.changed.then_some(self.tell_due_ms);
        let engine = self.engine_owes().then(|| self.watch.due_ms());
        let answer = self.stall_due_ms();
        let partings = self.partings.iter().map(|(due_ms, _)| *due_ms);
        let explaining = self.explain_due_ms();
        pulses
            .chain(view)
            .chain(engine)
            .chain(answer)
            .chain(self.overlap_due_ms())
            .chain(self.drain_due_ms())
            .chain(self.give_up_due_ms())
            .chain(partings)
            .chain(explaining)
            .chain(self.return_due_ms())
            .min()
    }

    fn engine_owes(&self) -> bool {
        let mut doing = self.jobs.values();
        doing.any(|doing| matches!(doing, Doing::Load { .. } | Doing::Run { .. }))
    }

    fn on_command(&mut self, command: Command) {
        let done = match command {
            Command::Begin => self.begin(),
            Command::Resume(kept) => {
                self.resume_room(kept);
                Ok(())
            }
            Command::Generate {
                asker,
                prompt_ids,
                written_ids,
                max_tokens,
                stop_ids,
                writer,
            } => {
                // Who asked may be gone by now.
                if self.members.contains_key(&asker.member)
                    && let Err(error) =
                        self.ask(asker, prompt_ids, written_ids, max_tokens, stop_ids, writer)
                {
                    self.refuse(asker, error.into());
                }
                Ok(())
            }
            Command::Refuse { asker, fault } => {
                self.refuse(asker, fault);
                Ok(())
            }
            Command::Ask { .. } => Err(SessionError::HostAnswers),
            Command::Stop { question } => {
                self.stop(Asker::host(question));
                Ok(())
            }
            Command::Move { stages } => self.move_to(stages),
            Command::Leave => {
                self.leave();
                Ok(())
            }
        };
        if let Err(error) = done {
            self.outbox.fail(error);
        }
    }

    fn on_computed(&mut self, job: JobId, result: Computed) {
        if let Computed::LoadProgress(progress) = result {
            if let Some(Doing::Load { epoch }) = self.jobs.get(&job) {
                self.on_progress(MemberId::HOST, *epoch, progress);
            }
            return;
        }
        // A job that is not known any more belongs to a plan or an answer that ended.
        match (self.jobs.remove(&job), result) {
            (None, _) => {}
            (Some(Doing::Fetch { epoch }), _) => self.on_prepared(MemberId::HOST, epoch),
            (Some(Doing::Measure), Computed::Measured { engines }) => {
                self.on_measured(MemberId::HOST, engines);
            }
            (Some(Doing::Measure), Computed::Failed(fault)) => {
                self.outbox.fail(fault);
                self.on_measured(MemberId::HOST, Vec::new());
            }
            (Some(Doing::Load { epoch }), Computed::Loaded { cached_columns, .. }) => {
                self.on_own_loaded(epoch, &cached_columns);
            }
            (Some(Doing::Run { request, leg }), Computed::Ran { values, compute_ms }) => {
                self.on_ran(request, leg, &values, compute_ms);
            }
            (Some(_), Computed::Failed(fault)) => self.on_failed(MemberId::HOST, fault),
            (Some(_), _) => self.on_failed(
                MemberId::HOST,
                SessionError::Engine {
                    detail: "an answer to another kind of job",
                }
                .into(),
            ),
        }
    }

    /// Time for which this page was late is nobody's silence: whatever others said is still in the queue.
    fn sleep_through(&mut self, ms: u64) {
        let pulses = self
            .members
            .values_mut()
            .filter_map(|member| member.pulse.as_mut());
        pulses.for_each(|pulse| pulse.slept(ms));
        self.watch.slept(ms);
        for answer in self.answers.values_mut() {
            answer.slept(ms);
        }
    }

    /// What is due: beats, lost members, a stuck engine or answer, the members' view.
    fn keep_time(&mut self) {
        if self.over {
            return;
        }
        self.close_partings();
        for member in self.silent_members() {
            self.outbox.push(Output::Disconnect { member });
            self.lose(member);
        }
        if self.engine_owes() && self.watch.is_silent(self.now_ms) {
            self.on_failed(MemberId::HOST, SessionError::EngineSilent.into());
        }
        if self.is_due(self.stall_due_ms()) {
            self.interrupt(SessionError::Stalled);
        }
        self.drain();
        self.mind_move();
        self.fetch_overlap();
        if self
            .return_due_ms()
            .is_some_and(|due_ms| due_ms <= self.now_ms)
        {
            self.fulfil_wish();
        }
        for (id, member) in &mut self.members {
            if let Some(pulse) = &mut member.pulse {
                pulse.beat(self.now_ms, *id, &mut self.outbox);
            }
        }
        self.tell_members();
        self.explain_some();
    }

    fn is_due(&self, due_ms: Option<u64>) -> bool {
        due_ms.is_some_and(|due_ms| due_ms <= self.now_ms)
    }

    fn leave(&mut self) {
        self.broadcast(&Control::Bye);
        self.over = true;
        self.outbox.event(Event::Left);
    }

    /// To every other member.
    fn broadcast(&mut self, message: &Control) {
        for member in self.members.keys().filter(|id| **id != MemberId::HOST) {
            self.outbox.control(*member, message);
        }
    }
}
