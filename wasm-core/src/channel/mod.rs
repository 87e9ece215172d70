//! Connections between phones, and their data channels: made on the main thread, used in the session worker.

pub mod bridge;
mod bridged;
pub mod connection;
pub mod link;

/// Bytes the browser may hold unsent per channel; more waits with us. A full browser buffer (16 MiB) would close the channel.
const HIGH_WATER_BYTES: u32 = 256 << 10;
/// Sending goes on when the browser holds no more than this.
const LOW_WATER_BYTES: u32 = 64 << 10;
