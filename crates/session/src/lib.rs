//! Sans-IO state machines of host and peer: `handle(now_ms, input)`, `poll_output()`, `poll_timeout()`.
//!
//! Pure (I1). The simulator and the phones run this same code (I6).

#![deny(clippy::indexing_slicing)]

mod host;
mod peer;
pub mod seam;

pub use host::{Host, HostConfig};
pub use peer::{Peer, PeerConfig};
pub use seam::{
    Channel, Command, Computed, EngineChoice, Event, Fault, Input, Job, JobId, ModelReference,
    Output,
};
