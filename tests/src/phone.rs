//! A virtual phone: the session machine, and a CPU executor that takes virtual time.

use std::{collections::BTreeMap, sync::Arc};

use door::{Credentials, Fingerprints, NONCE_BYTES};
use engine::{CpuExecutor, Executor, Phase, Setup, Step, Want};
use model::{EngineKind, UnitKind, segment};
use plan::{EngineProfile, MemberId};
use session::{
    Computed, Event, Guarded, Host, Input, Job, Output, Peer, Session,
    seam::{JobInput, WantColumns},
};

use crate::model_file::ModelFile;

/// Simulated ms of one attention or MLP unit for one column, of a call, and of loading.
const MS_PER_UNIT: f64 = 1.0;
const MS_PER_CALL: f64 = 0.5;
const MEASURE_MS: u64 = 40;
const LOAD_MS: u64 = 60;

/// Host or peer, behind its door.
pub enum Machine {
    /// It started the room.
    Host(Box<Guarded<Counted<Host>>>),
    /// It joined.
    Peer(Box<Guarded<Counted<Peer>>>),
}

impl Machine {
    /// The session of the phone that starts the room.
    pub fn host(host: Host, credentials: Credentials) -> Self {
        Self::Host(Box::new(Guarded::new(Counted::new(host), credentials)))
    }

    /// The session of a phone that joins.
    pub fn peer(peer: Peer, credentials: Credentials) -> Self {
        Self::Peer(Box::new(Guarded::new(Counted::new(peer), credentials)))
    }
}

/// A session, and what its door let through from others.
pub struct Counted<S> {
    session: S,
    delivered_bytes: u64,
}

impl<S> Counted<S> {
    const fn new(session: S) -> Self {
        Self {
            session,
            delivered_bytes: 0,
        }
    }

    /// The session itself.
    pub const fn session(&mut self) -> &mut S {
        &mut self.session
    }
}

impl<S: Session> Session for Counted<S> {
    fn me(&self) -> MemberId {
        self.session.me()
    }

    fn handle(&mut self, now_ms: u64, input: Input) {
        if let Input::Received { bytes, .. } = &input {
            self.delivered_bytes += bytes.len() as u64;
        }
        self.session.handle(now_ms, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.session.poll_output()
    }

    fn poll_timeout(&self) -> Option<u64> {
        self.session.poll_timeout()
    }
}

/// A phone and what its page was told.
pub struct Phone {
    /// Its session.
    pub machine: Machine,
    /// Everything its page was told.
    pub events: Vec<Event>,
    /// Weight bytes it loaded.
    pub fetched_bytes: u64,
    file: Arc<ModelFile>,
    executor: Option<CpuExecutor>,
    free_at_ms: u64,
}

impl Phone {
    /// A phone with nothing loaded.
    pub fn new(machine: Machine, file: &Arc<ModelFile>) -> Self {
        Self {
            machine,
            events: Vec::new(),
            fetched_bytes: 0,
            file: Arc::clone(file),
            executor: None,
            free_at_ms: 0,
        }
    }

    /// Both channels to another phone opened.
    pub fn connected(
        &mut self,
        now_ms: u64,
        other: MemberId,
        fingerprints: Fingerprints,
        nonce: [u8; NONCE_BYTES],
    ) {
        match &mut self.machine {
            Machine::Host(host) => host.connected(now_ms, other, fingerprints, nonce),
            Machine::Peer(peer) => peer.connected(now_ms, other, fingerprints, nonce),
        }
    }

    /// Application bytes that reached its session.
    pub fn delivered_bytes(&mut self) -> u64 {
        match &mut self.machine {
            Machine::Host(host) => host.session().delivered_bytes,
            Machine::Peer(peer) => peer.session().delivered_bytes,
        }
    }

    /// Tells its session something.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        match &mut self.machine {
            Machine::Host(host) => host.handle(now_ms, input),
            Machine::Peer(peer) => peer.handle(now_ms, input),
        }
    }

    /// What its session wants done.
    pub fn poll_output(&mut self) -> Option<Output> {
        match &mut self.machine {
            Machine::Host(host) => host.poll_output(),
            Machine::Peer(peer) => peer.poll_output(),
        }
    }

    /// When its session wants to know the time.
    pub fn poll_timeout(&self) -> Option<u64> {
        match &self.machine {
            Machine::Host(host) => host.poll_timeout(),
            Machine::Peer(peer) => peer.poll_timeout(),
        }
    }

    /// Bytes its executor holds.
    pub fn resident_bytes(&self) -> u64 {
        self.executor.as_ref().map_or(0, Executor::resident_bytes)
    }

    /// Does a job at once; the answer is there at the simulated time, one job after the other.
    pub fn work(&mut self, now_ms: u64, job: Job) -> (u64, Computed) {
        let (ms, result) = self.result(job);
        self.free_at_ms = now_ms.max(self.free_at_ms) + ms;
        (self.free_at_ms, result)
    }

    fn result(&mut self, job: Job) -> (u64, Computed) {
        match job {
            Job::Measure { .. } => (
                MEASURE_MS,
                Computed::Measured {
                    engines: vec![simulated_profile()],
                },
            ),
            Job::Load { stages, class, .. } => {
                self.executor = None;
                let graph = Arc::clone(&self.file.graph);
                let mut executor = CpuExecutor::new(Setup {
                    graph: Arc::clone(&graph),
                    stages: stages.clone(),
                    class,
                })
                .unwrap();
                for id in segment::weights(&graph, &stages) {
                    let range = graph.weights.get(id.0 as usize).unwrap().range.clone();
                    let bytes = self
                        .file
                        .bytes
                        .get(range.start as usize..range.end as usize);
                    executor.put_rows(id, 0, bytes.unwrap()).unwrap();
                    self.fetched_bytes += range.end - range.start;
                }
                pollster::block_on(executor.finish_loading()).unwrap();
                let resident_bytes = executor.resident_bytes();
                self.executor = Some(executor);
                (LOAD_MS, Computed::Loaded { resident_bytes })
            }
            Job::Run {
                units,
                position,
                columns,
                prefill,
                want,
                input,
            } => {
                let step = Step {
                    stage: units,
                    position,
                    columns,
                    phase: if prefill {
                        Phase::Prefill
                    } else {
                        Phase::Decode
                    },
                    want: match want {
                        WantColumns::Every => Want::EveryColumn,
                        WantColumns::Last => Want::LastColumn,
                        WantColumns::Nothing => Want::Nothing,
                    },
                };
                let input = match &input {
                    JobInput::Tokens(tokens) => engine::Input::Tokens(tokens),
                    JobInput::Hidden(hidden) => engine::Input::Hidden(hidden),
                };
                let mut values = Vec::new();
                let executor = self.executor.as_mut().unwrap();
                pollster::block_on(executor.run(&step, input, &mut values)).unwrap();
                let compute_ms = MS_PER_CALL + MS_PER_UNIT * f64::from(units.len());
                (
                    compute_ms.ceil() as u64,
                    Computed::Ran { values, compute_ms },
                )
            }
        }
    }
}

/// What every virtual phone says of itself.
fn simulated_profile() -> EngineProfile {
    let kinds = [
        UnitKind::Embedding,
        UnitKind::Attention,
        UnitKind::Mlp,
        UnitKind::Head,
    ];
    let per_unit: BTreeMap<_, _> = kinds.into_iter().map(|kind| (kind, MS_PER_UNIT)).collect();
    EngineProfile {
        engine: EngineKind::Cpu,
        variant: "simulated".to_owned(),
        decode_ms_per_unit: per_unit.clone(),
        verify_ms_per_unit: BTreeMap::new(),
        chunk_ms_per_unit: per_unit,
        attention_ms_per_cached_column: 0.0,
        ms_per_call: MS_PER_CALL,
    }
}
