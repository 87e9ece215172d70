//! Why a message is refused.

/// Bytes that are not a message this version understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// The page of the other phone is older or newer than this one.
    #[error("a phone speaks protocol {theirs}, this page speaks {ours}")]
    Version {
        /// Theirs.
        theirs: u8,
        /// Ours.
        ours: u8,
    },
    /// More bytes than a message may have.
    #[error("a message of {bytes} bytes exceeds the limit of {most}")]
    TooLong {
        /// Received, or announced.
        bytes: u64,
        /// Limit.
        most: u64,
    },
    /// Not a control message.
    #[error("a control message cannot be read")]
    Control,
    /// Not a slice of a frame.
    #[error("a frame cannot be read: {detail}")]
    Frame {
        /// What is wrong, in words.
        detail: &'static str,
    },
    /// Slices that do not follow each other.
    #[error("slices of a frame are missing or out of order")]
    Order,
}

impl ProtoError {
    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => "proto.version",
            Self::TooLong { .. } => "proto.too_long",
            Self::Control => "proto.control",
            Self::Frame { .. } => "proto.frame",
            Self::Order => "proto.order",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Version { .. } => {
                "Reload the page on every phone so that all run the same version."
            }
            _ => "Let that phone reload the page and join again.",
        }
    }
}

impl From<&ProtoError> for crate::Fault {
    fn from(error: &ProtoError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            remedy: error.remedy().to_owned(),
        }
    }
}
