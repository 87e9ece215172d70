//! Why the server does not start.

use std::{net::SocketAddr, path::PathBuf};

use model::ModelError;

/// A server that cannot start, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error("port {} of {} is in use by another program", address.port(), address.ip())]
    PortInUse {
        /// Address asked for.
        address: SocketAddr,
    },
    /// The system gave no such address.
    #[error("cannot listen on {address}: {detail}")]
    Address {
        /// Address asked for.
        address: SocketAddr,
        /// What the system said.
        detail: String,
    },
    /// The system did not let us serve.
    #[error("the server cannot run: {detail}")]
    System {
        /// What the system said.
        detail: String,
    },
    /// No such model file, or no right to read it.
    #[error("cannot read the model file {}: {detail}", file.display())]
    ModelUnreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A model file no phone could run.
    #[error("{}: {error}", file.display())]
    Model {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: ModelError,
    },
}

impl StartError {
    /// Stable code for programs and bug reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "server.port_in_use",
            Self::Address { .. } => "server.address",
            Self::System { .. } => "server.system",
            Self::ModelUnreadable { .. } => "model.unreadable",
            Self::Model { error, .. } => error.code(),
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => {
                "Stop the other program, or choose another port with --port (0 lets the system choose)."
            }
            Self::Address { .. } => {
                "Choose an address of this machine with --host and a free port with --port."
            }
            Self::System { .. } => "Start the server again; if it happens again, report it.",
            Self::ModelUnreadable { .. } => {
                "Check the path after --model and the rights of the file."
            }
            Self::Model { error, .. } => error.remedy(),
        }
    }
}
