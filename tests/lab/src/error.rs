//! What can go wrong with a lab.

use thiserror::Error;

/// Typed; [`LabError::code`] is stable.
#[derive(Debug, Error)]
pub enum LabError {
    /// Another system.
    #[cfg(not(target_os = "linux"))]
    #[error("the lab needs the network namespaces of Linux")]
    NotLinux,
    /// Another user.
    #[error("the lab makes network namespaces, which only root may")]
    NotRoot,
    /// A program that was needed did not do it.
    #[error("{what}: {detail}")]
    Failed {
        /// What was tried.
        what: String,
        /// Why not.
        detail: String,
    },
}

impl LabError {
    /// For `map_err`.
    pub fn of<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Failed {
            what,
            detail: error.to_string(),
        }
    }

    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            #[cfg(not(target_os = "linux"))]
            Self::NotLinux => "lab.not_linux",
            Self::NotRoot => "lab.not_root",
            Self::Failed { .. } => "lab.failed",
        }
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            #[cfg(not(target_os = "linux"))]
            Self::NotLinux => "The browser tests run over plain loopback here: cargo xtask e2e.",
            Self::NotRoot => "Run it as root, or over plain loopback: cargo xtask e2e.",
            Self::Failed { .. } => "It needs iproute2 and /dev/net/tun.",
        }
    }
}
