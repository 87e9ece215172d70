//! Why somebody is not let in.

use proto::{Fault, ProtoError};

/// A link that opens nothing, or a connection that is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// A link without its last part or parts; some messengers cut them off.
    #[error("a part of the invitation link is missing")]
    Incomplete,
    /// A link that was changed or mistyped.
    #[error("the invitation link cannot be read")]
    Malformed,
    /// The other end proved another secret, or none.
    #[error("the two phones have links with different secrets")]
    WrongSecret,
    /// Whoever answered for the host has another key than the invitation names.
    #[error("the phone that answered is not the one that made this invitation")]
    WrongHost,
    /// The other end sees other certificates: somebody sits between the two.
    #[error("somebody sits between the two phones; nothing was sent over this connection")]
    Intercepted,
    /// Neither a negotiated certificate nor exactly one SHA-256 fingerprint.
    #[error("the connection has no certificate that can be checked")]
    NoCertificate,
    /// No proof in time.
    #[error("the other phone did not prove in time that it was invited")]
    Silent,
    /// The connection ended before the proof.
    #[error("the connection ended before the other phone proved that it was invited")]
    Closed,
    /// A message out of turn.
    #[error("the other phone did not follow the rules of the handshake")]
    OutOfTurn,
    /// A message that cannot be read, or of another version.
    #[error(transparent)]
    Proto(#[from] ProtoError),
}

impl DoorError {
    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Incomplete => "invitation.incomplete",
            Self::Malformed => "invitation.malformed",
            Self::WrongSecret => "door.wrong_secret",
            Self::WrongHost => "door.wrong_host",
            Self::Intercepted => "door.intercepted",
            Self::NoCertificate => "door.no_certificate",
            Self::Silent => "door.silent",
            Self::Closed => "door.closed",
            Self::OutOfTurn => "door.out_of_turn",
            Self::Proto(error) => error.code(),
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Incomplete => {
                "Scan the QR code of the room, or copy the whole link, to its last character."
            }
            Self::Malformed | Self::WrongSecret => {
                "Scan the QR code on the phone that started the room."
            }
            Self::WrongHost => {
                "Scan the QR code on the phone that started the room; if it happens again, somebody poses as that phone."
            }
            Self::Intercepted => {
                "Use another network or another server: this one cannot be trusted with introductions."
            }
            Self::NoCertificate => "Use a current Chrome, Safari, Edge or Firefox.",
            Self::Silent | Self::Closed => {
                "Check that the page that shows the link is still open, then try again."
            }
            Self::OutOfTurn => "Reload the page on both phones and join again.",
            Self::Proto(error) => error.remedy(),
        }
    }
}

impl From<DoorError> for Fault {
    fn from(error: DoorError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            remedy: error.remedy().to_owned(),
        }
    }
}
