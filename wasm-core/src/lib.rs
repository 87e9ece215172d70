//! The browser's half: three threads, WebRTC, signaling, the weight store. It decides nothing (I3): policy lives in `session` and `plan`.
//!
//! Feature `phone` waits for crates `model` and `session`; without it only the channels are built.
#![cfg_attr(not(feature = "phone"), allow(dead_code))]

#[cfg(feature = "phone")]
mod capability;
pub mod channel;
mod clock;
#[cfg(feature = "phone")]
mod engine_worker;
mod error;
#[cfg(feature = "phone")]
mod http;
#[cfg(feature = "phone")]
mod messages;
#[cfg(feature = "phone")]
mod phone;
#[cfg(feature = "phone")]
mod ports;
#[cfg(feature = "phone")]
mod session_worker;
#[cfg(feature = "phone")]
mod signaling;
#[cfg(feature = "phone")]
mod threads;
mod value;

#[cfg(feature = "phone")]
pub use capability::capabilities;
#[cfg(feature = "phone")]
pub use phone::Phone;
#[cfg(feature = "phone")]
pub use threads::run_worker;

#[cfg(all(test, feature = "phone"))]
mod testing;
