//! What can go wrong.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use engine::EngineError;
use model::{ClassError, ModelError};
use text::TextError;

/// An evaluation that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk.
    #[error("{}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The contents of a model file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The executor.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Numbers that no executor runs with.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// Something that was asked for and makes no sense.
    #[error("{detail}")]
    Question {
        /// What.
        detail: String,
    },
}

impl Error {
    /// What the system said of a file.
    pub fn of_file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "setup.file",
            Self::Model(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::Text(error) => error.code(),
            Self::Class(_) | Self::Question { .. } => "eval.question",
        }
    }

    /// What a person can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::File { .. } => "Check the path.",
            Self::Model(error) => error.remedy(),
            Self::Engine(error) => error.remedy(),
            Self::Text(error) => error.remedy(),
            Self::Class(_) | Self::Question { .. } => "See cargo xtask eval --help.",
        }
    }
}

/// How a tool ends, after its failure was told.
pub fn exit(result: &Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error[{}]: {error}\n  {}", error.code(), error.remedy());
            ExitCode::FAILURE
        }
    }
}
