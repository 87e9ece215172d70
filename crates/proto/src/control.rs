//! What members say to each other besides hidden states.

use model::{NumericClass, UnitKind, UnitRange};
use plan::{EngineProfile, MemberId, Plan, Power};
use serde::{Deserialize, Serialize};

use crate::envelope;
use crate::error::ProtoError;
use crate::view::{Fault, MemberView, ModelReference, Progress};

/// Longest control message, bytes: what every browser's data channel takes in one piece.
pub const MAX_CONTROL_BYTES: usize = 64 * 1024;

/// Longest question, bytes.
pub const MAX_QUESTION_BYTES: usize = 32 * 1024;

/// What a member still has of one request, for the stage that a new plan gives it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cached {
    /// Number of the request.
    pub request: u32,
    /// Columns whose KV is there in every unit of the stage.
    pub columns: u32,
    /// Columns that left where the stage ends, from and to, and were kept.
    pub kept: Option<(u32, u32)>,
}

/// How an answer goes on after a change of plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Number of the request.
    pub request: u32,
    /// Where its KV is.
    pub slot: u32,
    /// Columns of its prompt.
    pub prompt_columns: u32,
    /// Passes from this column on enter anew; those before rebuild KV.
    pub position: u32,
    /// Of each stage in front of the head, in ring order.
    pub starts: Vec<Start>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The model ended it.
    Stop,
    /// It is as long as it may be.
    Length,
    /// Somebody stopped it.
    Cancelled,
}

impl Ending {
    /// As pages write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An answer in figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Generated tokens.
    pub tokens: u32,
    /// Why it ended.
    pub reason: Ending,
    /// ms from the question to the first token.
    pub ms_to_first_token: f64,
    /// Generated tokens after the first, per second.
    pub tok_per_s: f64,
    /// How likely the model found the beginning that the answer was given, natural logarithm; 0 without one.
    pub start_log_likelihood: f64,
}

/// Where a stage begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its first column.
    pub from: u32,
    /// It sends what it kept to the stage behind.
    pub resend: bool,
}

/// A message on the control channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Control {
    /// Guest to host, first.
    Hello {
        /// Name shown to the others.
        name: String,
        /// Weights, KV and scratch it may hold.
        budget_bytes: u64,
        /// Its downloads cost: it wants none that the plan does not need.
        metered: bool,
        /// What tells this tab from others, also after it was loaded again.
        client: Option<String>,
    },
    /// Host to guest, the answer.
    Welcome {
        /// The room's model.
        model: ModelReference,
        /// Elements of the residual stream per column.
        hidden_width: u32,
        /// The room's numeric class.
        class: NumericClass,
    },
    /// Peer to host: what it can run, how fast. Empty: nothing.
    Measured {
        /// One entry per executor.
        engines: Vec<EngineProfile>,
    },
    /// Peer to host: round trips to other peers, ms.
    RoundTrips {
        /// All it has a connection to.
        ms: Vec<(MemberId, f64)>,
    },
    /// Peer to host: its page went behind others, where its browser may stop it, or is in front again. In front until it says so.
    Hidden {
        /// Behind others.
        hidden: bool,
    },
    /// Peer to host: what its battery does, where its browser tells.
    Power {
        /// As of now.
        power: Power,
    },
    /// Host to peer: open a connection to another peer.
    Connect {
        /// To whom.
        member: MemberId,
        /// The receiver makes the offer.
        offer: bool,
    },
    /// Signalling between two peers, carried by the host.
    Signal {
        /// Who made it.
        from: MemberId,
        /// For whom.
        to: MemberId,
        /// Opaque here.
        payload: String,
    },
    /// Host to peer: everyone, as the host knows them.
    Members {
        /// By id.
        members: Vec<MemberView>,
    },
    /// Host to peer: the plan to load. Its epoch replaces every earlier one.
    Assign {
        /// The plan.
        plan: Plan,
        /// Kind of each unit.
        unit_kinds: Vec<UnitKind>,
    },
    /// Host to peer: fetch the weights of units that it may get.
    Prepare {
        /// Of the plan they are fetched for.
        epoch: u32,
        /// Which.
        units: Vec<UnitRange>,
    },
    /// Peer to host: they are in storage, or there is no room for them.
    Prepared {
        /// As in [`Self::Prepare`].
        epoch: u32,
    },
    /// Peer to host: a chunk of a prompt got as far as it goes.
    Passed {
        /// Of the plan.
        epoch: u32,
        /// Number of the request.
        request: u32,
        /// The column behind the chunk.
        position: u32,
    },
    /// Peer to host while it loads.
    LoadProgress {
        /// Of the plan.
        epoch: u32,
        /// How far it is.
        progress: Progress,
    },
    /// Peer to host: its segment is ready.
    Loaded {
        /// Of the plan.
        epoch: u32,
        /// What it still has of the requests being answered.
        held: Vec<Cached>,
    },
    /// Host to peer: every segment is ready.
    Ready {
        /// Of the plan.
        epoch: u32,
        /// How the answers being written go on; frames of all other requests up to now are stale.
        resume: Vec<Resume>,
    },
    /// Host to peer: a request starts.
    BeginRequest {
        /// Its number, larger than all before.
        request: u32,
        /// Where its KV goes; whatever was there is not needed any more.
        slot: u32,
    },
    /// Host to peer: a request ended; its frames are stale.
    EndRequest {
        /// Its number.
        request: u32,
    },
    /// Peer to host: a question of its page.
    Ask {
        /// The page's number for it.
        question: u32,
        /// What is asked, as pages write it; opaque here, at most [`MAX_QUESTION_BYTES`].
        payload: String,
    },
    /// Peer to host: that answer is not wanted any more.
    StopAnswer {
        /// As in [`Self::Ask`].
        question: u32,
    },
    /// Host to peer: one token of the answer.
    Said {
        /// As in [`Self::Ask`].
        question: u32,
        /// Token id.
        id: u32,
        /// Text that it adds.
        text: String,
    },
    /// Host to peer: the answer ended.
    Answered {
        /// As in [`Self::Ask`].
        question: u32,
        /// Text that was left.
        rest: String,
        /// Its figures.
        summary: Summary,
    },
    /// Host to peer: there will be no answer.
    Refused {
        /// As in [`Self::Ask`].
        question: u32,
        /// Why.
        fault: Fault,
    },
    /// Any to any, once a second.
    Ping {
        /// Sender's clock.
        sent_ms: u64,
    },
    /// The answer.
    Pong {
        /// As in the ping.
        sent_ms: u64,
    },
    /// Peer to host: the plan, or work for it, failed here. Host to peer: why it is not let in.
    Failed {
        /// Epoch of the plan it is about; 0 before the first.
        epoch: u32,
        /// What.
        fault: Fault,
    },
    /// Any to any: leaves in good order.
    Bye,
}

impl Control {
    /// Wire form: protocol number, then postcard.
    ///
    /// # Errors
    /// Longer than [`MAX_CONTROL_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, ProtoError> {
        envelope::seal(self, MAX_CONTROL_BYTES)
    }

    /// Reads a message; nothing may follow it.
    ///
    /// # Errors
    /// Another protocol number, too long, not a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtoError> {
        envelope::open(bytes, MAX_CONTROL_BYTES)
    }
}
