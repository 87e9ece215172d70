//! What the session of a host keeps over a reload of its page, as the page stores it.

use serde::{Deserialize, Serialize};
use session::Kept;

use crate::messages::Question;

/// The room, and the answers being written.
#[derive(Serialize, Deserialize)]
pub struct KeptSession {
    /// For the session machine.
    pub room: Kept,
    /// Number of this page's latest question.
    pub question: u32,
    /// Of this page, in the order they were asked; an answer is kept from its first token on.
    pub answers: Vec<KeptAnswer>,
}

/// An answer being written.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Of its question.
    pub number: u32,
    /// What was asked, and how.
    pub question: Question,
    /// Tokens so far.
    pub written: Written,
}

/// Tokens of an answer that were shown.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Written {
    /// In order.
    pub ids: Vec<u32>,
    /// Of the beginning the answer was given, as far as it got, natural logarithm.
    pub start_log_likelihood: f64,
}
