//! Sans-IO state machines of host and peer: `handle(now_ms, input)`, `poll_output()`, `poll_timeout()`.
//!
//! Pure (I1). The simulator and the phones run this same code (I6).

pub mod seam;

pub use seam::{Channel, Command, Computed, Event, Fault, Input, Job, JobId, Output};
