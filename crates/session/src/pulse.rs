//! Heartbeat of one connection: who is silent is lost, and every answer measures the way.

use plan::MemberId;
use proto::Control;

use crate::outbox::Outbox;

/// Time between heartbeats.
pub(crate) const BEAT_MS: u64 = 1_000;
/// Silence after which a member counts as lost.
pub(crate) const SILENCE_MS: u64 = 3_000;
/// How much a slower round trip moves the estimate; a faster one replaces it.
const SMOOTHING: f64 = 0.25;

/// What is known of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Pulse {
    heard_ms: u64,
    beat_due_ms: u64,
    rtt_ms: Option<f64>,
}

impl Pulse {
    /// A connection that opened just now.
    pub fn new(now_ms: u64) -> Self {
        Self {
            heard_ms: now_ms,
            beat_due_ms: now_ms,
            rtt_ms: None,
        }
    }

    /// Anything arrived.
    pub fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
    }

    /// This page did not run for so long: what others said meanwhile waits to be heard.
    pub fn slept(&mut self, ms: u64) {
        self.heard_ms += ms;
    }

    /// An answer to a beat arrived; a time that cannot be is no measurement.
    pub fn answered(&mut self, now_ms: u64, sent_ms: u64) {
        let Some(ms) = now_ms.checked_sub(sent_ms).filter(|ms| *ms <= SILENCE_MS) else {
            return;
        };
        let ms = ms as f64;
        self.rtt_ms = Some(match self.rtt_ms {
            Some(known) if ms > known => known + SMOOTHING * (ms - known),
            _ => ms,
        });
    }

    pub fn rtt_ms(&self) -> Option<f64> {
        self.rtt_ms
    }

    pub fn is_silent(&self, now_ms: u64) -> bool {
        now_ms >= self.heard_ms + SILENCE_MS
    }

    /// Whether nothing arrived after that time.
    pub fn unheard_since(&self, at_ms: u64) -> bool {
        self.heard_ms <= at_ms
    }

    /// Sends a beat if one is due.
    pub fn beat(&mut self, now_ms: u64, to: MemberId, outbox: &mut Outbox) {
        if now_ms >= self.beat_due_ms {
            self.beat_due_ms = now_ms + BEAT_MS;
            outbox.control(to, &Control::Ping { sent_ms: now_ms });
        }
    }

    /// When to look again.
    pub fn due_ms(&self) -> u64 {
        self.beat_due_ms.min(self.heard_ms + SILENCE_MS)
    }
}
