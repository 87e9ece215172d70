//! A virtual phone: the session machine, an engine that takes virtual time, and storage that outlives the page.

use door::{Credentials, Fingerprints, NONCE_BYTES};
use plan::MemberId;
use session::{Computed, Event, Fault, Guarded, Host, Input, Job, Output, Peer, Session};

use crate::compute::{Compute, Storage};

/// Host or peer, behind its door.
pub enum Machine {
    /// It started the room.
    Host(Box<Guarded<Counted<Host>>>),
    /// It joined.
    Peer(Box<Guarded<Counted<Peer>>>),
}

macro_rules! either {
    ($self:expr, $machine:ident => $call:expr) => {
        match $self {
            Machine::Host($machine) => $call,
            Machine::Peer($machine) => $call,
        }
    };
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

    fn handle(&mut self, now_ms: u64, input: Input) {
        either!(self, machine => machine.handle(now_ms, input));
    }

    fn poll_output(&mut self) -> Option<Output> {
        either!(self, machine => machine.poll_output())
    }

    fn poll_timeout(&self) -> Option<u64> {
        either!(self, machine => machine.poll_timeout())
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

    fn is_seeking(&self) -> bool {
        self.session.is_seeking()
    }
}

/// What is wrong with a phone's engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Ailment {
    /// So many forward calls fail: the device is lost.
    pub broken_runs: u32,
    /// So many forward calls fail: no memory for more KV.
    pub starved_runs: u32,
    /// So many loads fail: out of memory.
    pub broken_loads: u32,
    /// So many loads fail: weights arrive damaged, also the second time.
    pub damaged_loads: u32,
    /// No job is answered.
    pub hangs: bool,
    /// Everything takes so many times as long.
    pub slowness: f64,
}

impl Default for Ailment {
    fn default() -> Self {
        Self {
            broken_runs: 0,
            starved_runs: 0,
            broken_loads: 0,
            damaged_loads: 0,
            hangs: false,
            slowness: 1.0,
        }
    }
}

/// A phone and what its page was told.
pub struct Phone {
    /// Its session.
    pub machine: Machine,
    /// Everything its page was told, and when (virtual ms).
    pub events: Vec<(u64, Event)>,
    /// Tells this tab from others, also after it was loaded again.
    pub client: String,
    /// Tells this page from earlier and later ones of the same phone.
    pub page: u64,
    /// Bytes it offers.
    pub budget_bytes: u64,
    /// What its browser stores.
    pub storage: Storage,
    /// What is wrong with its engine.
    pub ailment: Ailment,
    /// Columns its engine ran.
    pub columns_run: u64,
    /// What waits while the page is frozen; `None` while it runs.
    pub frozen: Option<Vec<Input>>,
    /// It is behind others until then, by the room's clock; `None` while it is in front.
    pub hidden_until_ms: Option<u64>,
    /// Its clock, against the room's.
    pub clock_ahead_ms: u64,
    compute: Box<dyn Compute>,
    free_at_ms: u64,
    /// Its device is gone until something is loaded again.
    lost: bool,
}

impl Phone {
    /// A phone with nothing loaded.
    pub fn new(
        page: u64,
        client: String,
        machine: Machine,
        budget_bytes: u64,
        storage: Storage,
        compute: Box<dyn Compute>,
    ) -> Self {
        Self {
            machine,
            events: Vec::new(),
            page,
            client,
            budget_bytes,
            storage,
            ailment: Ailment::default(),
            columns_run: 0,
            frozen: None,
            hidden_until_ms: None,
            clock_ahead_ms: 0,
            compute,
            free_at_ms: 0,
            lost: false,
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
        let now_ms = now_ms + self.clock_ahead_ms;
        either!(&mut self.machine, machine => machine.connected(now_ms, other, fingerprints, nonce));
    }

    /// Application bytes that reached its session.
    pub fn delivered_bytes(&mut self) -> u64 {
        either!(&mut self.machine, machine => machine.session().delivered_bytes)
    }

    /// Tells its session something, now or when it thaws.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        match &mut self.frozen {
            Some(waiting) => waiting.push(input),
            None => self.machine.handle(now_ms + self.clock_ahead_ms, input),
        }
    }

    /// What its session wants done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.machine.poll_output()
    }

    /// When its session wants to know the time, by the room's clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        let due = self
            .machine
            .poll_timeout()
            .filter(|_| self.frozen.is_none())?;
        Some(due.saturating_sub(self.clock_ahead_ms))
    }

    /// Bytes its engine holds.
    pub fn resident_bytes(&self) -> u64 {
        self.compute.resident_bytes()
    }

    /// Does a job; its results come at these virtual times, one job after the other.
    pub fn work(&mut self, now_ms: u64, job: Job) -> Vec<(u64, Computed)> {
        if self.ailment.hangs {
            return Vec::new();
        }
        if let Job::Run { columns, .. } = &job {
            self.columns_run += u64::from(*columns);
        }
        self.lost &= !matches!(job, Job::Load { .. });
        let is_fetch = matches!(job, Job::Fetch { .. });
        let results = match &job {
            Job::Run { .. } if self.lost || take(&mut self.ailment.broken_runs) => {
                self.lost = true;
                self.compute.lose_everything();
                vec![failed("engine.device_lost")]
            }
            Job::Run { .. } if take(&mut self.ailment.starved_runs) => {
                vec![failed("engine.out_of_memory")]
            }
            Job::Load { stages, .. }
                if !stages.is_empty() && take(&mut self.ailment.broken_loads) =>
            {
                vec![failed("engine.gpu_limit")]
            }
            Job::Load { stages, .. }
                if !stages.is_empty() && take(&mut self.ailment.damaged_loads) =>
            {
                vec![failed("model.chunk_hash")]
            }
            _ => self.compute.work(job),
        };
        if is_fetch {
            // Beside everything else.
            return results
                .into_iter()
                .map(|(ms, result)| (now_ms + ms, result))
                .collect();
        }
        let (held, budget) = (self.compute.resident_bytes(), self.budget_bytes);
        assert!(
            held <= budget,
            "{held} bytes are held, {budget} were offered"
        );
        let mut at_ms = now_ms.max(self.free_at_ms);
        let mut due = Vec::new();
        for (ms, result) in results {
            at_ms += (ms as f64 * self.ailment.slowness) as u64;
            due.push((at_ms, slowed(result, self.ailment.slowness)));
        }
        self.free_at_ms = at_ms;
        due
    }

    /// Whether its session ended.
    pub fn is_over(&self) -> bool {
        let over = |event: &Event| matches!(event, Event::Left | Event::Failed { fatal: true, .. });
        self.events.iter().any(|(_, event)| over(event))
    }

    /// Whether its host was lost and not found again.
    pub fn is_seeking(&self) -> bool {
        let last = self.events.iter().rev().find_map(|(_, event)| match event {
            Event::Joined { .. } => Some(false),
            Event::Interrupted { .. } => Some(true),
            _ => None,
        });
        last == Some(true)
    }

    /// The page stops, as a hidden one may.
    pub fn freeze(&mut self) {
        self.frozen.get_or_insert_default();
    }

    /// What waited, to be handled now that the page goes on.
    pub fn thaw(&mut self) -> Vec<Input> {
        self.frozen.take().unwrap_or_default()
    }
}

fn slowed(result: Computed, slowness: f64) -> Computed {
    match result {
        Computed::Ran { values, compute_ms } => Computed::Ran {
            values,
            compute_ms: compute_ms * slowness,
        },
        other => other,
    }
}

/// Takes one of a number, if any is left.
fn take(left: &mut u32) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

fn failed(code: &str) -> (u64, Computed) {
    let fault = Fault {
        code: code.to_owned(),
        message: "A simulated engine failed.".to_owned(),
        remedy: "None.".to_owned(),
    };
    (3, Computed::Failed(fault))
}
