//! The simulator: virtual phones on one machine, a virtual clock, a seeded network, the session code that phones run (I6).
//!
//! Compute is real (CPU executor on real weights) or an engine that adds up; how long it takes, and the network, are simulated.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "tests say what they expect by panicking"
)]

pub mod budgets;
pub mod campaign;
pub mod compute;
pub mod drills;
pub mod interceptor;
pub mod model_file;
pub mod network;
pub mod phone;
pub mod random;
pub mod reload;
pub mod room;
pub mod seq2seq;

pub use model_file::ModelFile;
pub use room::{Model, Room};
