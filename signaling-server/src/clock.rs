//! Time as an argument, so that tests need not wait for a room to expire.

use std::time::{Duration, Instant};

/// Time since some moment before the server started; never goes back.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Duration;
}

/// The clock of this machine.
pub struct SystemClock(Instant);

impl SystemClock {
    /// Starts at zero.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
