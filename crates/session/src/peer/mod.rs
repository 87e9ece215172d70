//! The session of a page that joined.

use std::collections::VecDeque;

use plan::MemberId;

use crate::seam::{EngineChoice, Input, Output};

/// What a page joins with.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// Number the host gave it.
    pub me: MemberId,
    /// Name shown to the others.
    pub name: String,
    /// Weights, KV and scratch this page may hold.
    pub budget_bytes: u64,
    /// Executors this page allows.
    pub engine: EngineChoice,
}

/// Holds a segment, or waits.
pub struct Peer {
    config: PeerConfig,
    outputs: VecDeque<Output>,
}

impl Peer {
    /// Waits for the channels to the host to open.
    pub fn new(config: PeerConfig) -> Self {
        Self {
            config,
            outputs: VecDeque::new(),
        }
    }

    /// Tells it something.
    pub fn handle(&mut self, _now_ms: u64, _input: Input) {}

    /// What it wants done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When it wants to be told the time.
    pub fn poll_timeout(&self) -> Option<u64> {
        let _ = &self.config;
        None
    }
}
