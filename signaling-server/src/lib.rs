//! First contact and files: rooms, the page, model files. Prompts, tokens and activations never come here (I5).

pub mod app;
pub mod error;
pub mod models;
mod range;
pub mod rooms;

pub use error::ServerError;
