//! What can go wrong in a session.

use plan::{MemberId, PlanError};
use proto::{Fault, ProtoError};

/// A command that cannot be carried out, or something that happened to the room.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// The room has as many members as it takes.
    #[error("this room is full: {most} phones")]
    RoomFull {
        /// Limit.
        most: usize,
    },
    /// A numeric class no executor accepts.
    #[error("{0}")]
    Class(#[from] model::ClassError),
    /// Only the host plans and answers.
    #[error("only the phone that started the room can do this")]
    HostOnly,
    /// A question before the segments are loaded.
    #[error("the model is not loaded yet")]
    NotReady,
    /// A new plan while answers are being written.
    #[error("an answer is still being written")]
    Busy,
    /// A question behind too many others.
    #[error("{most} questions are waiting already")]
    QueueFull {
        /// Limit.
        most: usize,
    },
    /// More than a question may be.
    #[error("the question has {bytes} bytes, at most {most} are sent")]
    QuestionTooLong {
        /// Of the question.
        bytes: usize,
        /// Limit.
        most: usize,
    },
    /// Its units need more than the one before them makes.
    #[error("rooms do not run models with an encoder yet")]
    EncoderDecoder,
    /// The host asks itself.
    #[error("this phone answers questions itself")]
    HostAnswers,
    /// The host keeps questions to itself.
    #[error("in this room only the phone that started it asks")]
    OnlyHostAsks,
    /// A question without tokens.
    #[error("the question is empty")]
    EmptyPrompt,
    /// A question that does not fit the context.
    #[error("the question has {tokens} tokens, this room holds {context_columns}")]
    PromptTooLong {
        /// Of the prompt.
        tokens: usize,
        /// Context of the room.
        context_columns: u32,
    },
    /// A token id that is not in the vocabulary.
    #[error("token {id} is not in the vocabulary of {vocabulary}")]
    UnknownToken {
        /// Which.
        id: u32,
        /// Size of the vocabulary.
        vocabulary: u32,
    },
    /// A phone left, closed its page, or is silent.
    #[error("phone {} left the room", member.0)]
    MemberLost {
        /// Which.
        member: MemberId,
    },
    /// Two neighbours of the ring lost their connection while an answer was written.
    #[error("phones {} and {} lost their connection", from.0, to.0)]
    LinkLost {
        /// One.
        from: MemberId,
        /// The other.
        to: MemberId,
    },
    /// Frames from a neighbour that do not follow each other.
    #[error("a part of the answer was lost on the way from phone {}", from.0)]
    FrameLost {
        /// The neighbour.
        from: MemberId,
    },
    /// Nothing came back from the ring for far longer than it takes.
    #[error("the answer got stuck on its way round the phones")]
    Stalled,
    /// An engine owes an answer and says nothing.
    #[error("the engine of a phone does not answer")]
    EngineSilent,
    /// The host left, closed its page, or is silent.
    #[error("the phone that started the room is gone")]
    HostLost,
    /// A message a member may not send, or with contents it may not have.
    #[error("phone {} sent something it must not: {detail}", member.0)]
    Misbehaved {
        /// Which.
        member: MemberId,
        /// What, in words.
        detail: &'static str,
    },
    /// The engine's answer does not fit the job.
    #[error("the engine gave an unexpected answer: {detail}")]
    Engine {
        /// What, in words.
        detail: &'static str,
    },
    /// No plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A message that cannot be read.
    #[error(transparent)]
    Proto(#[from] ProtoError),
}

impl SessionError {
    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RoomFull { .. } => "room.full",
            Self::Class(_) => "session.class",
            Self::HostOnly => "session.host_only",
            Self::NotReady => "session.not_ready",
            Self::Busy => "session.busy",
            Self::QueueFull { .. } => "session.queue_full",
            Self::QuestionTooLong { .. } => "question.too_long",
            Self::EncoderDecoder => "model.encoder_decoder",
            Self::HostAnswers => "session.host_answers",
            Self::OnlyHostAsks => "session.only_host_asks",
            Self::EmptyPrompt => "prompt.empty",
            Self::PromptTooLong { .. } => "prompt.too_long",
            Self::UnknownToken { .. } => "prompt.unknown_token",
            Self::MemberLost { .. } => "member.lost",
            Self::LinkLost { .. } => "link.lost",
            Self::FrameLost { .. } => "frame.lost",
            Self::Stalled => "answer.stalled",
            Self::EngineSilent => "engine.silent",
            Self::HostLost => "host.lost",
            Self::Misbehaved { .. } => "member.misbehaved",
            Self::Engine { .. } => "engine.answer",
            Self::Plan(error) => error.code(),
            Self::Proto(error) => error.code(),
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::RoomFull { .. } => "Start a second room.",
            Self::Class(_) => "Start the room with a longer context.",
            Self::HostOnly => "Ask on the phone that started the room.",
            Self::NotReady => "Load the model first and wait until every phone is ready.",
            Self::Busy => "Wait for the answer, or stop it.",
            Self::QueueFull { .. } => "Wait until some of them are answered.",
            Self::QuestionTooLong { .. } => "Shorten the question.",
            Self::EncoderDecoder => "Choose a model that is a decoder, as most chat models are.",
            Self::HostAnswers => "Reload the page; if it happens again, report it.",
            Self::OnlyHostAsks => "Ask on the phone that started the room.",
            Self::EmptyPrompt => "Write a question.",
            Self::PromptTooLong { .. } => {
                "Shorten the question, or start a room with a longer context."
            }
            Self::UnknownToken { .. } => "Reload the page; if it happens again, report it.",
            Self::MemberLost { .. } => {
                "The phones that are left take over; if their memory is short, invite one more."
            }
            Self::LinkLost { .. } => "The answer goes on through the phone that started the room.",
            Self::FrameLost { .. } | Self::Stalled => "The answer goes on by itself.",
            Self::EngineSilent => "Reload the page on that phone.",
            Self::HostLost => {
                "Wait: this page looks for it for half a minute. Then start a new room, or join another one."
            }
            Self::Misbehaved { .. } => "Reload the page on that phone and let it join again.",
            Self::Engine { .. } => "Reload the page; if it happens again, choose the other engine.",
            Self::Plan(error) => error.remedy(),
            Self::Proto(error) => error.remedy(),
        }
    }
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            remedy: error.remedy().to_owned(),
        }
    }
}
