//! Sans-IO state machines of host and peer: `handle(now_ms, input)`, `poll_output()`, `poll_timeout()`.
//!
//! Pure (I1). The simulator and the phones run this same code (I6).

#![deny(clippy::indexing_slicing)]

mod asker;
mod error;
mod guard;
mod history;
mod host;
mod outbox;
mod peer;
mod pulse;
mod ring;
pub mod seam;
mod turns;
mod watch;
pub mod weights;

pub use asker::Asker;
pub use error::SessionError;
pub use guard::{Guarded, Session};
pub use host::{Host, HostConfig, Kept, MAX_MEMBERS};
pub use peer::{Peer, PeerConfig};
pub use seam::{
    Channel, Command, Computed, Ending, EngineChoice, Event, Fault, Input, Job, JobId,
    ModelReference, Output, Writer,
};
