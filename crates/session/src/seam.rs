//! The seam between a session and whatever drives it: a browser worker, or the simulator.

use model::{EngineKind, NumericClass, UnitKind, UnitRange};
use plan::{EngineProfile, Explanation, MemberId, Plan, Power, Stage};
use proto::Summary;
pub use proto::{Ending, Fault, MemberView, ModelReference, Progress};
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::host::Kept;

/// Which executors a page allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum EngineChoice {
    /// Whatever the plan finds faster.
    #[default]
    Auto,
    /// GPU only.
    Gpu,
    /// CPU only.
    Cpu,
}

impl EngineChoice {
    /// The one executor allowed; `None` allows all.
    pub const fn only(self) -> Option<EngineKind> {
        match self {
            Self::Auto => None,
            Self::Gpu => Some(EngineKind::Gpu),
            Self::Cpu => Some(EngineKind::Cpu),
        }
    }
}

/// The two kinds of data channel between members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// Ordered, reliable: membership, plans, heartbeats, signalling between members.
    Control,
    /// Ordered, reliable: frames of hidden states, in slices of at most 4 KB.
    Activation,
}

/// Correlates [`Output::Compute`] and [`Input::Computed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// Work for the engine, in order. A driver may run one at a time; the session keeps the queue short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Job {
    /// Measure every executor that runs here (synthetic weights of the model's shape) and self-test the GPU against the CPU.
    Measure {
        /// Whose shape to measure; a guest's engine opens it with this job.
        model: ModelReference,
        /// Shape of the KV and chunks to measure with.
        class: NumericClass,
        /// Restrict to one executor; `None` measures all.
        only: Option<EngineKind>,
    },
    /// Hold exactly these units: fetch, verify and load what is missing, free what is not named. None: free everything.
    Load {
        /// Unit ranges, ascending.
        stages: Vec<UnitRange>,
        /// Executor to use.
        engine: EngineKind,
        /// Numeric class of the room.
        class: NumericClass,
        /// Requests whose KV is held at the same time.
        slots: u32,
    },
    /// Bring the weights of these units into storage, beside everything else and loading nothing: a move is being prepared.
    Fetch {
        /// Unit ranges, ascending.
        stages: Vec<UnitRange>,
    },
    /// One forward call.
    Run {
        /// One of the loaded ranges.
        units: UnitRange,
        /// Whose KV: below the slots that were loaded.
        slot: u32,
        /// Absolute position of the first column; smaller than what is cached means: cut back first.
        position: u32,
        /// Columns.
        columns: u32,
        /// Prompt columns on the chunk grid, or generated ones.
        prefill: bool,
        /// Columns wanted back.
        want: WantColumns,
        /// What enters.
        input: JobInput,
    },
}

/// Mirrors the engine's `Want` (session does not depend on engine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WantColumns {
    /// All.
    Every,
    /// Only the last.
    Last,
    /// None.
    Nothing,
}

/// What enters a forward call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobInput {
    /// Token ids, one per column.
    Tokens(Vec<u32>),
    /// columns x hidden_width.
    Hidden(Vec<f32>),
}

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Computed {
    /// Answer to [`Job::Measure`].
    Measured {
        /// One entry per executor that works here.
        engines: Vec<EngineProfile>,
    },
    /// Between [`Job::Load`] and [`Computed::Loaded`], any number of times.
    LoadProgress(Progress),
    /// Answer to [`Job::Load`].
    Loaded {
        /// Bytes held.
        resident_bytes: u64,
        /// Of each range and slot, the columns whose KV is still there; an engine that keeps none says nothing.
        cached_columns: Vec<Vec<u32>>,
    },
    /// Answer to [`Job::Fetch`]; where nothing can be stored, loading fetches again.
    Fetched,
    /// Answer to [`Job::Run`].
    Ran {
        /// Wanted columns x (hidden_width, or vocabulary after the head).
        values: Vec<f32>,
        /// Compute time.
        compute_ms: f64,
    },
    /// The job failed; typed.
    Failed(Fault),
}

/// What a session is told.
pub enum Input {
    /// Time passed; sent when `poll_timeout()` is due.
    Timeout,
    /// Both channels to a member are open.
    Connected {
        /// Who.
        member: MemberId,
    },
    /// The channels to a member closed, or its connection failed.
    Disconnected {
        /// Who.
        member: MemberId,
    },
    /// The host, found again after [`Output::Rejoin`], gave this page a new number.
    Readmitted {
        /// The number.
        me: MemberId,
    },
    /// This page went behind others, where its browser may stop it, or is in front again. In front until it is told.
    Hidden {
        /// Behind others.
        hidden: bool,
    },
    /// What this device's battery does, where the browser tells; unknown until then.
    Power {
        /// As of now.
        power: Power,
    },
    /// A message arrived.
    Received {
        /// Who sent it.
        from: MemberId,
        /// On which channel.
        channel: Channel,
        /// Bytes as they came.
        bytes: Vec<u8>,
    },
    /// WebRTC signalling text (offer, answer, candidate) for another member, to be carried over the host's channels.
    LocalSignal {
        /// For whom.
        to: MemberId,
        /// Opaque to the session.
        payload: String,
    },
    /// The engine answered.
    Computed {
        /// Which job.
        job: JobId,
        /// Its result.
        result: Computed,
    },
    /// The person, or the embedding page, wants something.
    Command(Command),
}

/// Writes one answer: chooses tokens, and knows their text. The host's driver builds it from `text`.
pub trait Writer {
    /// The next token, from the logits of the last column and the ids so far.
    fn next(&mut self, logits: &[f32], ids: &[u32]) -> u32;

    /// Text that a token adds; may be empty while a character is incomplete.
    fn text(&mut self, id: u32) -> String;

    /// Text that is left when the answer ends.
    fn rest(&mut self) -> String;

    /// How likely the model found the beginning that the answer was given, natural logarithm; 0 without one.
    fn start_log_likelihood(&self) -> f64;
}

/// What a person or the embedding page may ask for.
pub enum Command {
    /// Host: plan with the phones present and load.
    Begin,
    /// Host, after its page was loaded again: give the room what it had. Then the answers that were being written.
    Resume(Kept),
    /// Host: answer a prompt, now or after those that asked before.
    Generate {
        /// Who asked.
        asker: Asker,
        /// Prompt as token ids; not empty.
        prompt_ids: Vec<u32>,
        /// Tokens of the answer that were shown before the page was loaded again: it goes on behind them. Only for questions of this page.
        written_ids: Vec<u32>,
        /// Stop after so many generated tokens, those written before among them.
        max_tokens: u32,
        /// Generation ends when one of these is drawn.
        stop_ids: Vec<u32>,
        /// Sampler and text.
        writer: Box<dyn Writer>,
    },
    /// Host: a question of a member cannot be answered.
    Refuse {
        /// Who asked.
        asker: Asker,
        /// Why.
        fault: Fault,
    },
    /// Peer: ask the host. [`Event::Token`], [`Event::Finished`] and [`Event::Refused`] tell what comes of it.
    Ask {
        /// This page's number for it.
        question: u32,
        /// What is asked, for the host's driver.
        payload: String,
    },
    /// End an answer of this page at once, or forget a question that waits.
    Stop {
        /// This page's number for it.
        question: u32,
    },
    /// Host: go to a plan of these stages at a token boundary, once its phones have the weights.
    Move {
        /// In ring order.
        stages: Vec<Stage>,
    },
    /// Leave the room cleanly.
    Leave,
}

/// What a session wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send bytes to a connected member.
    Send {
        /// To whom.
        to: MemberId,
        /// On which channel.
        channel: Channel,
        /// One message.
        bytes: Vec<u8>,
    },
    /// Give the engine a job.
    Compute {
        /// For the answer.
        job: JobId,
        /// The work.
        work: Job,
    },
    /// Open a peer connection to a member; signalling goes through [`Input::LocalSignal`] and [`Output::RemoteSignal`].
    Connect {
        /// To whom.
        member: MemberId,
        /// This side makes the offer.
        offer: bool,
    },
    /// Signalling text that another member sent for the local peer connection to `from`.
    RemoteSignal {
        /// Who sent it.
        from: MemberId,
        /// As given to its `LocalSignal`.
        payload: String,
    },
    /// A member proved that it was invited: the driver may use further channels to it until the connection ends.
    Proven {
        /// Who.
        member: MemberId,
    },
    /// Close the connection to a member.
    Disconnect {
        /// To whom.
        member: MemberId,
    },
    /// Host: a member asks. [`Command::Generate`] or [`Command::Refuse`] follows.
    Asked {
        /// Who.
        asker: Asker,
        /// As it was given to [`Command::Ask`].
        payload: String,
    },
    /// The host was lost: ask at the server to be let in again until that succeeds or the session is over. [`Input::Readmitted`] tells
    /// the new number; then the channels to the host open.
    Rejoin,
    /// Tell the page.
    Event(Event),
}

/// What happened, for the page. Serialised as `{type: "...", ...}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// Peer: the host let this page in.
    Joined {
        /// This page's number.
        member: MemberId,
    },
    /// Membership, progress or measurements changed.
    Members {
        /// All members, by id.
        members: Vec<MemberView>,
    },
    /// Host: whether the present phones can hold the model.
    Capacity {
        /// Bytes the model needs in this room.
        needed_bytes: u64,
        /// Usable bytes of the phones present.
        offered_bytes: u64,
        /// Every connected member has been measured.
        measured: bool,
    },
    /// A plan was made.
    Planned {
        /// The plan.
        plan: Plan,
        /// Kind of each unit, for display.
        unit_kinds: Vec<UnitKind>,
    },
    /// Every member loaded its segment: questions are welcome.
    Ready {
        /// Epoch of the plan.
        epoch: u32,
    },
    /// Host: why the plan is as it is, some time after every member loaded its segment.
    Explained {
        /// Epoch of the plan.
        epoch: u32,
        /// What each phone is good for.
        explanation: Explanation,
    },
    /// The room lost something it needs, or lacks memory. It makes a new plan by itself as soon as it can, and an answer being written
    /// goes on with the same tokens.
    Interrupted {
        /// What was lost, or is missing.
        fault: Fault,
    },
    /// An answer to this page goes on that was begun before the page was loaded again.
    Resumed {
        /// Of which question.
        question: u32,
        /// Tokens written before.
        ids: Vec<u32>,
        /// Their text.
        text: String,
    },
    /// One token of an answer to this page.
    Token {
        /// Of which question.
        question: u32,
        /// Token id.
        id: u32,
        /// Text that it adds.
        text: String,
        /// ms since the request was given.
        at_ms: f64,
    },
    /// There will be no answer to a question of this page, or no more of it.
    Refused {
        /// To which question.
        question: u32,
        /// Why.
        fault: Fault,
    },
    /// An answer to this page ended.
    Finished {
        /// Of which question.
        question: u32,
        /// Text that was left.
        rest: String,
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// Generated tokens.
        tokens: u32,
        /// Why.
        reason: Ending,
        /// ms to the first token.
        ms_to_first_token: f64,
        /// Generated tokens after the first, per second.
        tok_per_s: f64,
        /// How likely the model found the beginning that the answer was given, natural logarithm; 0 without one.
        start_log_likelihood: f64,
    },
    /// Something failed. `fatal`: the session is over for this page.
    Failed {
        /// What.
        fault: Fault,
        /// Whether this page can go on.
        fatal: bool,
    },
    /// The session ended in good order.
    Left,
}

impl Event {
    /// An answer ended, with these figures.
    pub(crate) const fn finished(question: u32, rest: String, summary: Summary) -> Self {
        let Summary {
            prompt_tokens,
            tokens,
            reason,
            ms_to_first_token,
            tok_per_s,
            start_log_likelihood,
        } = summary;
        Self::Finished {
            question,
            rest,
            prompt_tokens,
            tokens,
            reason,
            ms_to_first_token,
            tok_per_s,
            start_log_likelihood,
        }
    }
}
