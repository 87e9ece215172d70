//! What several test files share.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

#[cfg(not(target_arch = "wasm32"))]
pub mod contract;
pub mod every_op;
#[cfg(not(target_arch = "wasm32"))]
pub mod file;
pub mod llama;
