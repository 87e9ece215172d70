//! What the server refuses, as it is answered and printed.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use model::ModelError;
use serde::Serialize;

/// A typed refusal.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No such room.
    #[error("this room does not exist, or it has ended")]
    UnknownRoom,
    /// All seats are taken.
    #[error("this room is full")]
    RoomFull,
    /// More rooms than the server keeps.
    #[error("the server has no place for another room")]
    TooManyRooms,
    /// Wrong seat or key.
    #[error("this page has no such seat in the room")]
    SeatDenied,
    /// Longer than first contact ever is.
    #[error("the message is too long")]
    MessageTooLarge,
    /// Nobody reads at that seat.
    #[error("the other page does not read its messages")]
    InboxFull,
    /// No model of that name.
    #[error("the server has no such model")]
    UnknownModel,
    /// A range outside the file.
    #[error("the file has no such bytes")]
    Range,
    /// A body or query nobody sends.
    #[error("the request cannot be read")]
    Request,
    /// The model file cannot be used.
    #[error("{path}: {error}")]
    Model {
        /// Which file.
        path: String,
        /// Why.
        error: ModelError,
    },
    /// The model file cannot be read.
    #[error("{path} cannot be read: {error}")]
    File {
        /// Which file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// Another program listens there.
    #[error("port {port} is in use")]
    PortInUse {
        /// Which.
        port: u16,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: String,
        /// The system's words.
        error: std::io::Error,
    },
}

impl ServerError {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownRoom => "room.unknown",
            Self::RoomFull => "room.full",
            Self::TooManyRooms => "server.rooms",
            Self::SeatDenied => "seat.denied",
            Self::MessageTooLarge => "message.too_large",
            Self::InboxFull => "message.inbox_full",
            Self::UnknownModel => "model.unknown",
            Self::Range => "model.range",
            Self::Request => "server.request",
            Self::Model { error, .. } => error.code(),
            Self::File { .. } => "model.unreadable",
            Self::PortInUse { .. } => "server.port_in_use",
            Self::Listen { .. } => "server.listen",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::UnknownRoom => "Ask for a new link.",
            Self::RoomFull => "Start a second room.",
            Self::TooManyRooms => "Try again later.",
            Self::SeatDenied | Self::InboxFull => "Open the link again.",
            Self::MessageTooLarge | Self::Range | Self::Request => {
                "Reload the page so that it matches the server's version."
            }
            Self::UnknownModel => "Reload the page and choose a model again.",
            Self::Model { error, .. } => error.remedy(),
            Self::File { .. } => "Check the path and its permissions.",
            Self::PortInUse { .. } => "Choose another with --port, or end the other program.",
            Self::Listen { .. } => "Choose another address with --host.",
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::UnknownRoom | Self::UnknownModel => StatusCode::NOT_FOUND,
            Self::RoomFull => StatusCode::CONFLICT,
            Self::TooManyRooms => StatusCode::SERVICE_UNAVAILABLE,
            Self::InboxFull => StatusCode::TOO_MANY_REQUESTS,
            Self::SeatDenied => StatusCode::FORBIDDEN,
            Self::MessageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Range => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Request => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// `{code, message, remedy}`.
#[derive(Serialize)]
struct Body {
    code: &'static str,
    message: String,
    remedy: &'static str,
}

impl IntoResponse for ServerError {
    fn into_response(self) -> Response {
        let body = Body {
            code: self.code(),
            message: self.to_string(),
            remedy: self.remedy(),
        };
        (self.status(), Json(body)).into_response()
    }
}
