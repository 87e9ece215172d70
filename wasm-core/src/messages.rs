//! What our threads say to each other.

use door::{Credentials, HostKeys};
use model::{WireDtype, manifest::Hash};
use plan::{MemberId, Power};
use serde::{Deserialize, Serialize};
use session::{Computed, Fault, Job, JobId, ModelReference};

/// Which executors a page allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineChoice {
    /// Whatever is faster.
    #[default]
    Auto,
    /// WebGPU only.
    Gpu,
    /// CPU only.
    Cpu,
}

impl From<EngineChoice> for session::EngineChoice {
    fn from(choice: EngineChoice) -> Self {
        match choice {
            EngineChoice::Auto => Self::Auto,
            EngineChoice::Gpu => Self::Gpu,
            EngineChoice::Cpu => Self::Cpu,
        }
    }
}

/// A model that a room is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum HostedModel {
    /// One that somebody has a list of chunks of.
    Known(ModelReference),
    /// A file of this device, which comes with the message.
    File,
    /// A file at an https address, to be read by ranges.
    Address {
        /// Where.
        address: String,
        /// Of the whole file, where it is known.
        sha256: Option<Hash>,
    },
}

/// What a page offers to a room.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Offer {
    /// Name shown to the others.
    pub name: String,
    /// Executors it allows.
    pub engine: EngineChoice,
    /// Weights, KV and scratch it may hold.
    pub budget_bytes: u64,
    /// Its downloads cost: it wants none that the plan does not need.
    pub metered: bool,
    /// Name under which the server counts its downloads.
    pub client: Option<String>,
    /// Origins besides this server's that models may be fetched from.
    pub model_origins: Vec<String>,
    /// Tells this tab from others, also after it was loaded again.
    pub tab: Option<String>,
}

/// A request for text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Question {
    /// Raw text, or turns for the chat template.
    pub prompt: Prompt,
    /// What the answer begins with; the model goes on from there.
    pub answer_start: Option<String>,
    /// Stop after so many tokens of the model's own.
    pub max_tokens: u32,
    /// Sampler.
    pub sampling: text::Sampling,
    /// Of the sampler.
    pub seed: u64,
}

/// What to continue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Prompt {
    /// As it is.
    Text(String),
    /// Through the model's chat template.
    Messages(Vec<text::Message>),
}

/// Page to session worker. A port to the engine worker comes with `Host` and `Guest`, and behind it a file where the host's model is one.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToSession {
    /// Start a room's session.
    Host {
        /// What this page offers.
        offer: Offer,
        /// Which model.
        model: HostedModel,
        /// Static KV columns.
        context_columns: u32,
        /// Residual stream between phones.
        wire: WireDtype,
        /// Of the room.
        keys: HostKeys,
        /// What its session kept before the page was loaded again.
        kept: Option<String>,
    },
    /// Prepare to join.
    Guest {
        /// What this page offers.
        offer: Offer,
        /// Of its invitation.
        credentials: Credentials,
    },
    /// The host took this page in.
    Admitted {
        /// Its number.
        me: MemberId,
    },
    /// Host: a guest asks for a number.
    Admit {
        /// Where the answer goes.
        seat: String,
    },
    /// Two channels to a member come with it: control, activation.
    Channels {
        /// Whose.
        member: MemberId,
        /// This page's number of the connection.
        connection: u64,
    },
    /// Answer to `Opened`.
    Certificates {
        /// Whose connection.
        member: MemberId,
        /// SHA-256 of this page's certificate.
        mine: [u8; 32],
        /// SHA-256 of the other end's certificate.
        theirs: [u8; 32],
    },
    /// The connection to a member failed.
    ConnectionFailed {
        /// Whose.
        member: MemberId,
    },
    /// For another member's page, through the session.
    Signal {
        /// Whose.
        to: MemberId,
        /// Opaque to the session.
        payload: String,
    },
    /// This page went behind others, or is in front again.
    Hidden {
        /// Behind others.
        hidden: bool,
    },
    /// What this device's battery does.
    Power {
        /// As of now.
        power: Power,
    },
    /// Host: plan and load.
    Begin,
    /// Answer, or have it answered by the host.
    Generate {
        /// This page's number for it.
        number: u32,
        /// What is asked.
        question: Question,
    },
    /// End an answer of this page.
    Stop {
        /// The number of its question.
        question: u32,
    },
    /// Leave the room.
    Leave,
}

/// What a page hears besides the events of the session.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum PageEvent {
    /// Host: a model file that nobody has a list of chunks of is read from start to end, once, before guests may come.
    Reading {
        /// Of `bytes_total`.
        bytes_done: u64,
        /// Of the file.
        bytes_total: u64,
    },
}

/// Session worker to page.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromSession {
    /// The host was lost: knock at its door again.
    Rejoin,
    /// An event for the embedding page comes with it.
    Event,
    /// Host: to be kept over a reload of the page, in place of what was kept before.
    Keep {
        /// For the session worker alone.
        session: String,
    },
    /// Host: the model is known, guests may come.
    Hosting {
        /// Number of this page's latest question, before the page was loaded again.
        asked: u32,
    },
    /// Host or guest: the session ended, or none will start.
    Failed(Fault),
    /// Host: a guest's number.
    Number {
        /// Whose.
        seat: String,
        /// Its number.
        member: MemberId,
    },
    /// Host: no room for a guest.
    Refused {
        /// Whose.
        seat: String,
        /// Why.
        fault: Fault,
    },
    /// Both channels to a member opened: which certificates does the connection have?
    Opened {
        /// Whose.
        member: MemberId,
    },
    /// Guest: the host let this page in.
    Joined {
        /// This page's number.
        member: MemberId,
    },
    /// Open a connection.
    Connect {
        /// To whom.
        member: MemberId,
        /// This page makes the offer.
        offer: bool,
    },
    /// From another member's page.
    Signal {
        /// Whose.
        from: MemberId,
        /// As it was given there.
        payload: String,
    },
    /// Close a connection.
    Disconnect {
        /// To whom.
        member: MemberId,
    },
    /// The session is over; this page may end its threads.
    Over,
}

/// Page to engine worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToEngineWorker {
    /// First; the port to the session worker comes with it.
    Start {
        /// What this page offers.
        offer: Offer,
    },
    /// The weights channel to a member comes with it.
    Channel {
        /// Whose.
        member: MemberId,
        /// This page's number of the connection.
        connection: u64,
    },
}

/// Session worker to engine worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToEngine {
    /// Fetch, or make, manifest and header; jobs that follow are about this model. A file comes with it where the model is one.
    Open(HostedModel),
    /// In order.
    Job {
        /// For the answer.
        job: JobId,
        /// The work.
        work: Job,
    },
    /// At once: the answer to an echo.
    Echo,
    /// At once: a member proved that it was invited.
    Proven {
        /// Who.
        member: MemberId,
        /// Over which connection.
        connection: u64,
    },
    /// At once: a connection ended.
    Gone {
        /// To whom.
        member: MemberId,
        /// Which.
        connection: u64,
    },
}

/// A model that can be worked with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Opened {
    /// For guests.
    pub model: ModelReference,
    /// The header, verified, as it is in the file.
    pub header: Vec<u8>,
}

/// Engine worker to session worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromEngine {
    /// Before `Opened`, where the file has to be read for it.
    Reading {
        /// Of `bytes_total`.
        bytes_done: u64,
        /// Of the file.
        bytes_total: u64,
    },
    /// Answer to `Open`.
    Opened(Result<Opened, Fault>),
    /// Answer to `Job`, or its progress.
    Computed {
        /// Which.
        job: JobId,
        /// Its result.
        result: Computed,
    },
    /// Is answered at once: how long do messages between these threads take?
    Echo,
    /// Something a person should know that stops nothing.
    Notice(Fault),
}
