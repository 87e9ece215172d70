//! First contact and files: rooms whose members exchange one offer and answer, the page, and model files in ranges.
//!
//! Whatever members say to each other is opaque here and never logged; prompts, tokens and activations never come here.

pub mod api;
pub mod catalogue;
pub mod clock;
pub mod counts;
pub mod error;
pub mod gate;
mod held;
mod limits;
pub mod log;
pub mod machine;
pub mod models;
mod rate;
pub mod refusal;
pub mod rooms;
pub mod serve;
pub mod tls;
pub mod visitors;
pub mod web;

pub use error::StartError;
pub use limits::Limits;
pub use refusal::Refusal;
