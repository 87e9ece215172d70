//! What can go wrong in the browser around the session, and faults made of every crate's errors.

use engine::EngineError;
use model::ModelError;
use plan::MemberId;
use session::Fault;
use text::TextError;
use wasm_bindgen::{JsCast, JsValue};

/// A typed failure of the browser, the server or the way to them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrowserError {
    /// WebRTC, WebGPU and local storage exist on https and localhost only.
    #[error("this page was not opened over a secure connection")]
    InsecureContext,
    /// No RTCPeerConnection or no data channels.
    #[error("this browser cannot connect to other phones (WebRTC is missing)")]
    NoWebRtc,
    /// A notice: the CPU is used.
    #[error("no GPU can be used in this browser: {detail}")]
    NoWebGpu {
        /// What was missing.
        detail: String,
    },
    /// A notice: weights are downloaded again after a reload.
    #[error("this browser keeps no files for the page: {detail}")]
    NoStorage {
        /// What the browser said.
        detail: String,
    },
    /// No answer from the server.
    #[error("the server did not answer ({url})")]
    ServerUnreachable {
        /// Path asked for.
        url: String,
    },
    /// The server answered with something that is not in the agreement.
    #[error("the server answered in an unexpected way ({url}: {detail})")]
    ServerAnswer {
        /// Path asked for.
        url: String,
        /// What was wrong.
        detail: String,
    },
    /// The server cannot answer now: it has too much to do, or is broken.
    #[error("the server could not answer ({url}: status {status})")]
    ServerFailed {
        /// Path asked for.
        url: String,
        /// Of HTTP: 429, or 500 and above.
        status: u16,
    },
    /// The host never answered the invitation.
    #[error("the phone that started this room did not answer")]
    NoAnswer,
    /// Negotiation failed.
    #[error("the phones could not connect to each other: {detail}")]
    Connection {
        /// What the browser said.
        detail: String,
    },
    /// ICE found no pair of addresses that reach each other.
    #[error("this phone and the one that started the room found no way to each other")]
    Unreachable,
    /// A model reference that leads to another origin.
    #[error("the room names a model at an address that is not allowed ({url})")]
    ForeignModel {
        /// The address.
        url: String,
    },
    /// A file of this device cannot be read any more.
    #[error("the model's file could not be read: {detail}")]
    FileUnreadable {
        /// What the browser said.
        detail: String,
    },
    /// A file elsewhere cannot be read.
    #[error("the model could not be read from {address}: {detail}")]
    AddressUnreadable {
        /// Where it should be.
        address: String,
        /// What was wrong.
        detail: String,
    },
    /// A file elsewhere is not the one that was meant.
    #[error("the file at {address} is another one than was expected")]
    OtherFile {
        /// Where it is.
        address: String,
    },
    /// No phone gave what only the room has.
    #[error("no phone in the room gave this one its part of the model")]
    NotInRoom,
    /// A notice: they were fetched elsewhere.
    #[error("phone {} sent weights that are not those of the model", member.0)]
    FalseWeights {
        /// Who.
        member: MemberId,
    },
    /// Weights, KV and scratch exceed what this page offered.
    #[error("this phone was asked to hold {} MiB but offers {} MiB", needed_bytes.div_ceil(1 << 20), budget_bytes >> 20)]
    OverBudget {
        /// Weights, KV and scratch.
        needed_bytes: u64,
        /// What the page offered.
        budget_bytes: u64,
    },
    /// Options of the page that make no sense.
    #[error("the page gave options that cannot be used: {detail}")]
    Options {
        /// What was wrong.
        detail: String,
    },
    /// A call in the wrong state.
    #[error("{detail}")]
    Misuse {
        /// Which rule was broken.
        detail: String,
    },
    /// A tab was duplicated: both have what opens the room.
    #[error("this room is open in another tab")]
    OtherTab,
    /// A worker script did not start.
    #[error("a part of the page did not start: {detail}")]
    Worker {
        /// What the browser said.
        detail: String,
    },
    /// A bug of ours: Rust panicked.
    #[error("a part of the page crashed: {detail}")]
    Panic {
        /// Message and place.
        detail: String,
    },
    /// The browser refused something that always works.
    #[error("the browser refused an operation: {detail}")]
    Browser {
        /// What the browser said.
        detail: String,
    },
}

impl BrowserError {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InsecureContext => "browser.insecure_context",
            Self::NoWebRtc => "browser.no_webrtc",
            Self::NoWebGpu { .. } => "browser.no_webgpu",
            Self::NoStorage { .. } => "browser.no_storage",
            Self::ServerUnreachable { .. } => "server.unreachable",
            Self::ServerAnswer { .. } => "server.answer",
            Self::ServerFailed { .. } => "server.failed",
            Self::NoAnswer => "room.no_answer",
            Self::Connection { .. } => "rtc.failed",
            Self::Unreachable => "rtc.unreachable",
            Self::ForeignModel { .. } => "model.foreign",
            Self::FileUnreadable { .. } => "model.file_unreadable",
            Self::AddressUnreadable { .. } => "model.address_unreadable",
            Self::OtherFile { .. } => "model.other_file",
            Self::NotInRoom => "model.not_in_room",
            Self::FalseWeights { .. } => "weights.false",
            Self::OverBudget { .. } => "engine.over_budget",
            Self::Options { .. } => "page.options",
            Self::Misuse { .. } => "page.misuse",
            Self::OtherTab => "page.other_tab",
            Self::Worker { .. } => "internal.worker",
            Self::Panic { .. } => "internal.panic",
            Self::Browser { .. } => "internal.browser",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::InsecureContext => "Open the page with https:// or on localhost.",
            Self::NoWebRtc => {
                "Use a current Chrome, Safari, Edge or Firefox, and allow WebRTC in its settings."
            }
            Self::NoWebGpu { .. } => {
                "This phone joins with its CPU; a browser with WebGPU would be faster."
            }
            Self::NoStorage { .. } => {
                "Leave private mode or free some storage; until then a reload downloads again."
            }
            Self::ServerUnreachable { .. } => {
                "Check that this device is on the network and that the server is running, then try again."
            }
            Self::ServerFailed { .. } => "Wait a minute, then try again.",
            Self::ServerAnswer { .. } => "Reload the page so that it matches the server's version.",
            Self::NoAnswer => {
                "Check that the page that shows the link is still open, then try again."
            }
            Self::Connection { .. } => "Put the phones on the same Wi-Fi and join again.",
            Self::Unreachable => {
                "Put both on the same Wi-Fi. Guest networks often keep phones apart (AP isolation): then use another Wi-Fi, or one phone's hotspot."
            }
            Self::ForeignModel { .. } => {
                "Join only rooms of people you trust; ask the host to start a new room."
            }
            Self::FileUnreadable { .. } => {
                "Choose the file again; it may have been moved, changed or put to sleep in a cloud folder."
            }
            Self::AddressUnreadable { .. } => {
                "Check the address and the network. The site must let other pages read it and give parts of files, and this page's server must allow it (--catalogue or --model-origin)."
            }
            Self::OtherFile { .. } => {
                "Start a room with another model; this one was changed at its address."
            }
            Self::NotInRoom => {
                "Keep the page open on the phone that has the model's file; if it was closed, start a new room there."
            }
            Self::FalseWeights { .. } => {
                "They were brought from elsewhere. If it happens again, reload the page on that phone."
            }
            Self::OverBudget { .. } => {
                "Offer more memory, or let more phones join so that each holds less."
            }
            Self::Options { .. } | Self::Misuse { .. } => {
                "Reload the page; if it happens again, report it."
            }
            Self::OtherTab => "Go to that tab, or start a new room here.",
            Self::Worker { .. } | Self::Panic { .. } | Self::Browser { .. } => {
                "Reload the page; if it happens again, report it with this message."
            }
        }
    }

    /// What the browser threw, as an internal error.
    pub fn thrown(value: &JsValue) -> Self {
        Self::Browser {
            detail: words(value),
        }
    }
}

impl From<BrowserError> for Fault {
    fn from(error: BrowserError) -> Self {
        fault(error.code(), &error, error.remedy())
    }
}

/// An engine error as it is shown and sent.
pub fn of_engine(error: &EngineError) -> Fault {
    fault(error.code(), error, error.remedy())
}

/// A model error as it is shown and sent.
pub fn of_model(error: &ModelError) -> Fault {
    fault(error.code(), error, error.remedy())
}

/// A text error as it is shown.
pub fn of_text(error: &TextError) -> Fault {
    fault(error.code(), error, error.remedy())
}

fn fault(code: &str, message: &impl ToString, remedy: &str) -> Fault {
    Fault {
        code: code.to_owned(),
        message: message.to_string(),
        remedy: remedy.to_owned(),
    }
}

/// What a thrown value says.
pub fn words(value: &JsValue) -> String {
    match value.dyn_ref::<js_sys::Error>() {
        Some(error) => format!(
            "{}: {}",
            String::from(error.name()),
            String::from(error.message())
        ),
        None => value.as_string().unwrap_or_else(|| format!("{value:?}")),
    }
}

/// A fault as JavaScript sees it: `{code, message, remedy}`.
pub fn to_js(fault: &Fault) -> JsValue {
    crate::value::to_js(fault).unwrap_or_else(|_| JsValue::from_str(&fault.code))
}
