//! Why a request is refused.

use axum::{
    Extension, Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A refused request; its answer is JSON `{code, message, remedy}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such room, now or lately.
    #[error("there is no such room")]
    RoomUnknown,
    /// Nobody used the room for too long, or it is too old.
    #[error("this room has expired: nobody was in it for too long, or it was too old")]
    RoomExpired,
    /// All seats are taken.
    #[error("this room is full: it has {seats} seats")]
    RoomFull {
        /// Seats of a room, the host's included.
        seats: usize,
    },
    /// Wrong seat or wrong key.
    #[error("this seat belongs to somebody else")]
    SeatDenied,
    /// A message to nobody.
    #[error("nobody sits in that seat")]
    SeatUnknown,
    /// The receiver reads nothing.
    #[error("too many messages wait in this room")]
    InboxFull,
    /// A message longer than any offer.
    #[error("the message is too large: {most_bytes} bytes at most")]
    MessageTooLarge {
        /// Limit.
        most_bytes: usize,
    },
    /// All rooms are in use.
    #[error("this server has no free room")]
    ServerFull,
    /// More requests than people and their phones make.
    #[error("too many requests: {per_s} a second at most")]
    TooOften {
        /// Limit.
        per_s: u32,
    },
    /// More streams than phones in one place.
    #[error("too many phones of this address wait for messages: {most} at most")]
    TooManyStreams {
        /// Limit.
        most: usize,
    },
    /// More addresses than the server remembers.
    #[error("too many others ask this server at the moment")]
    Busy,
    /// A page of another server asks.
    #[error("this request comes from a page of another server")]
    ForeignOrigin,
    /// A body that does not come to its end.
    #[error("the request did not arrive within {most_s} s")]
    Slow {
        /// Limit.
        most_s: u64,
    },
    /// The system gives no random numbers.
    #[error("the server cannot make keys")]
    NoRandomness,
    /// No such model.
    #[error("this server has no such model")]
    ModelUnknown,
    /// A range beyond the end of the file.
    #[error("the model file has only {file_bytes} bytes")]
    ModelRange {
        /// Size of the file.
        file_bytes: u64,
    },
    /// The model file has gone or changed since the server started.
    #[error("the model file can no longer be read")]
    ModelGone,
    /// Not the agreed JSON or query.
    #[error("the request cannot be understood: {detail}")]
    Malformed {
        /// What was wrong.
        detail: String,
    },
    /// No such address.
    #[error("there is nothing at this address")]
    Nothing,
    /// GET where POST is meant, or the like.
    #[error("this address does not take such a request")]
    Method,
}

impl Refusal {
    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RoomUnknown => "room.unknown",
            Self::RoomExpired => "room.expired",
            Self::RoomFull { .. } => "room.full",
            Self::SeatDenied => "seat.denied",
            Self::SeatUnknown => "seat.unknown",
            Self::InboxFull => "inbox.full",
            Self::MessageTooLarge { .. } => "message.too_large",
            Self::ServerFull => "server.full",
            Self::TooOften { .. } => "rate.exceeded",
            Self::TooManyStreams { .. } => "stream.too_many",
            Self::Busy => "server.busy",
            Self::ForeignOrigin => "origin.foreign",
            Self::Slow { .. } => "request.slow",
            Self::NoRandomness => "server.no_randomness",
            Self::ModelUnknown => "model.unknown",
            Self::ModelRange { .. } => "model.range",
            Self::ModelGone => "model.gone",
            Self::Malformed { .. } => "request.malformed",
            Self::Nothing => "request.unknown",
            Self::Method => "request.method",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::RoomUnknown => {
                "Check that the link is complete; if it is, the phone that started the room has left it: ask for a new link."
            }
            Self::RoomExpired => "Ask the phone that started the room to start a new one.",
            Self::RoomFull { .. } => "Start a second room for the other phones.",
            Self::SeatDenied => "Open the link of the room again.",
            Self::SeatUnknown => "Let that phone open the link of the room again.",
            Self::InboxFull => "Wait a minute and open the link of the room again.",
            Self::ServerFull => "Try again later, or run a server of your own.",
            Self::TooOften { .. } => "Wait a second and try again.",
            Self::TooManyStreams { .. } => {
                "Close other tabs with this page, or let some of the phones use another network."
            }
            Self::Busy => "Try again in a minute.",
            Self::ForeignOrigin => "Open the page at the server's own address.",
            Self::Slow { .. } => "Check the network and try again.",
            Self::ModelUnknown => "Reload the page: the server has other models now.",
            Self::ModelRange { .. } => "Reload the page.",
            Self::NoRandomness | Self::ModelGone => {
                "Restart the server; reload the page afterwards."
            }
            Self::MessageTooLarge { .. }
            | Self::Malformed { .. }
            | Self::Nothing
            | Self::Method => "Reload the page; if it happens again, report it.",
        }
    }

    /// Status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::RoomUnknown | Self::SeatUnknown | Self::ModelUnknown | Self::Nothing => {
                StatusCode::NOT_FOUND
            }
            Self::RoomExpired => StatusCode::GONE,
            Self::RoomFull { .. } => StatusCode::CONFLICT,
            Self::SeatDenied | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::InboxFull | Self::TooOften { .. } | Self::TooManyStreams { .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::MessageTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ServerFull | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::ModelRange { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::NoRandomness | Self::ModelGone => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Malformed { .. } => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

/// Goes with the answer, for the count of refusals.
#[derive(Debug, Clone, Copy)]
pub struct Code(pub &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Answer {
            code: &'static str,
            message: String,
            remedy: &'static str,
        }
        let answer = Answer {
            code: self.code(),
            message: self.to_string(),
            remedy: self.remedy(),
        };
        let code = Code(answer.code);
        (self.status(), Extension(code), Json(answer)).into_response()
    }
}
