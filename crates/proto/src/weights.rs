//! What phones say to each other on the weights channel: which pieces of the model they have, and those pieces.
//!
//! Nothing here is to be believed: whoever gets a piece checks its hash.

use serde::{Deserialize, Serialize};

use crate::envelope;
use crate::error::ProtoError;

/// Longest message, bytes.
pub const MAX_WEIGHTS_BYTES: usize = 64 * 1024;

/// Most bytes of a piece in one message: short, so that hidden states on the next channel need not wait for it.
pub const MAX_PIECE_BYTES: usize = 16 * 1024;

/// Most runs in one message.
pub const MAX_RUNS: usize = 4096;

/// What one phone may give another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Item {
    /// The list of all chunks, as JSON.
    Manifest,
    /// A chunk of the model file, by its place in the list.
    Chunk(u32),
}

/// Chunks that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Place of the first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// A message on the weights channel. `asking` is the asker's number for what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weights {
    /// Which of these are there?
    Seek {
        /// The asker's.
        asking: u32,
        /// Of the room's model.
        chunks: Vec<Run>,
    },
    /// These are.
    Held {
        /// As in [`Self::Seek`].
        asking: u32,
        /// Of those asked for.
        chunks: Vec<Run>,
    },
    /// Send this.
    Want {
        /// The asker's.
        asking: u32,
        /// What.
        item: Item,
    },
    /// A part of it, in order.
    Piece {
        /// As in [`Self::Want`].
        asking: u32,
        /// Of what.
        item: Item,
        /// Nothing follows.
        last: bool,
        /// At most [`MAX_PIECE_BYTES`].
        bytes: Vec<u8>,
    },
    /// It is not there any more.
    Absent {
        /// As in [`Self::Want`].
        asking: u32,
        /// What.
        item: Item,
    },
}

impl Weights {
    /// Wire form: protocol number, then postcard.
    ///
    /// # Errors
    /// Longer than [`MAX_WEIGHTS_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, ProtoError> {
        envelope::seal(self, MAX_WEIGHTS_BYTES)
    }

    /// Reads a message; nothing may follow it.
    ///
    /// # Errors
    /// Another protocol number, too long, not a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtoError> {
        envelope::open(bytes, MAX_WEIGHTS_BYTES)
    }
}

impl Run {
    /// Places, ascending, as runs; no more than [`MAX_RUNS`], those behind are left out.
    pub fn of(places: impl IntoIterator<Item = u32>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for place in places {
            let last = runs.last_mut();
            if let Some(run) = last.filter(|run| run.end() == u64::from(place)) {
                run.count += 1;
            } else if runs.len() < MAX_RUNS {
                runs.push(Self {
                    first: place,
                    count: 1,
                });
            } else {
                break;
            }
        }
        runs
    }

    /// Whether a place is in it.
    pub fn contains(&self, place: u32) -> bool {
        self.first <= place && u64::from(place) < self.end()
    }

    fn end(&self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }
}
