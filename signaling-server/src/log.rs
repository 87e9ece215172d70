//! The log, on standard error: structured, and without addresses, room names, keys or messages.

use clap::ValueEnum;
use tracing::Level;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// An object a line, with its time.
    Json,
}

/// Starts it; once.
pub fn start(level: Level, format: Format) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        Format::Text => log.without_time().with_ansi(false).init(),
        Format::Json => log.json().flatten_event(true).init(),
    }
}
