//! Watches an engine: one that owes an answer and says nothing for long never will.

/// Silence after which an engine counts as stuck, ms: the slowest chunk or download step takes a fraction of it.
const SILENCE_MS: u64 = 20_000;

/// When the engine was heard of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watch {
    heard_ms: u64,
}

impl Watch {
    /// It said something, or owes nothing.
    pub fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
    }

    /// This page did not run for so long.
    pub fn slept(&mut self, ms: u64) {
        self.heard_ms += ms;
    }

    pub fn is_silent(&self, now_ms: u64) -> bool {
        now_ms >= self.due_ms()
    }

    /// When to look again, while it owes an answer.
    pub fn due_ms(&self) -> u64 {
        self.heard_ms + SILENCE_MS
    }
}
