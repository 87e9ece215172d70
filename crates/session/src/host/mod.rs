//! The session of the page that started the room.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{Graph, NumericClass};
use plan::MemberId;

use crate::seam::{EngineChoice, Fault, Input, ModelReference, Output};

/// What a room is started with.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// The model.
    pub graph: Arc<Graph>,
    /// Name shown to the others.
    pub name: String,
    /// Weights, KV and scratch this page may hold.
    pub budget_bytes: u64,
    /// Numeric class of the room.
    pub class: NumericClass,
    /// Executors this page allows.
    pub engine: EngineChoice,
    /// Where every member finds the model.
    pub model: ModelReference,
}

/// Owns plan, sampler and prompts.
pub struct Host {
    config: HostConfig,
    outputs: VecDeque<Output>,
    next_member: u32,
}

impl Host {
    /// Starts a room; the first output measures this page.
    ///
    /// # Errors
    /// A numeric class no executor accepts.
    pub fn new(config: HostConfig) -> Result<Self, Fault> {
        config.class.check().map_err(|error| Fault {
            code: "class.chunk".to_owned(),
            message: error.to_string(),
            remedy: "Choose a context of at least one prefill chunk.".to_owned(),
        })?;
        Ok(Self {
            config,
            outputs: VecDeque::new(),
            next_member: 1,
        })
    }

    /// A number for a guest.
    ///
    /// # Errors
    /// The room is full.
    pub fn allocate_member(&mut self) -> Result<MemberId, Fault> {
        let member = MemberId(self.next_member);
        self.next_member += 1;
        Ok(member)
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
