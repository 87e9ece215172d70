//! What can go wrong before anything of ours runs.

/// A task that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is missing.
    #[error("{program} could not be started: {error}")]
    Start {
        /// Which.
        program: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// A program that said why.
    #[error("a step failed")]
    Told,
    /// A file of the repository or of the build.
    #[error("{path}: {detail}")]
    File {
        /// Which.
        path: String,
        /// What is wrong.
        detail: String,
    },
    /// A model that could not be downloaded.
    #[error("the model at {url} could not be downloaded")]
    Unreachable {
        /// Its address.
        url: String,
    },
    /// Something on a page was refused by the browser.
    #[error("a page broke its content security policy during these tests")]
    Policy,
    /// The module outgrew its budget.
    #[error("the wasm module has {bytes} bytes gzipped, its budget is {budget}")]
    TooLarge {
        /// Found.
        bytes: u64,
        /// Allowed.
        budget: u64,
    },
}

impl Error {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Start { .. } => "setup.missing",
            Self::Told => "setup.step",
            Self::File { .. } => "setup.file",
            Self::Unreachable { .. } => "model.unreachable",
            Self::Policy => "test.policy",
            Self::TooLarge { .. } => "build.too_large",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Start { .. } => "Start with ./run or ./test: they install what is missing.",
            Self::Told => "See above.",
            Self::File { .. } => "Check the path.",
            Self::Unreachable { .. } => {
                "Check the address and the network; run it again to go on where it stopped."
            }
            Self::Policy => "Look for inline scripts, inline styles and foreign addresses.",
            Self::TooLarge { .. } => {
                "Make the module smaller, or raise the budget in wasm-pack.toml with a reason."
            }
        }
    }
}
