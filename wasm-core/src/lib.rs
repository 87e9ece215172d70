//! The browser's half: three threads, WebRTC, signaling, the weight store. It decides nothing (I3): policy lives in `session` and `plan`.

mod clock;
mod error;
mod http;
mod ports;
pub mod rtc;
pub mod session_worker;
mod signaling;
mod value;
