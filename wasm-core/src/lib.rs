//! The browser's half: three threads, WebRTC, signaling, the weight store. It decides nothing (I3): policy lives in `session` and `plan`.

mod capability;
pub mod channel;
mod clock;
mod engine_worker;
mod error;
mod http;
mod messages;
mod phone;
mod ports;
mod random;
mod session_worker;
mod signaling;
mod threads;
mod value;

pub use capability::capabilities;
pub use phone::Phone;
pub use threads::run_worker;

#[cfg(test)]
mod testing;
