//! What virtual phones compute with: real executors on real weights, or an engine that adds up.

pub mod adding;
pub mod executing;

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use session::{Computed, Job};

/// A job's results, each with the ms it takes after the one before.
pub type Results = Vec<(u64, Computed)>;

/// An engine in virtual time: it answers at once and says how long that takes.
pub trait Compute {
    /// Does a job.
    fn work(&mut self, job: Job) -> Results;

    /// Its device is gone, and everything it held.
    fn lose_everything(&mut self);

    /// Bytes it holds.
    fn resident_bytes(&self) -> u64;
}

/// A phone's storage: weights it need not fetch again. It outlives the page.
pub type Storage = Rc<RefCell<Stored>>;

/// What is in it.
#[derive(Debug, Default)]
pub struct Stored {
    /// Numbers of weights.
    pub weights: BTreeSet<u32>,
    /// Weight bytes that came over the network, ever.
    pub fetched_bytes: u64,
    /// So many weights fit besides; `None`: any number.
    pub room_for: Option<u64>,
}

impl Stored {
    /// Whether a weight had to be fetched: it is stored afterwards if there is room.
    pub fn bring(&mut self, weight: u32, bytes: u64) -> bool {
        let fetched = !self.weights.contains(&weight);
        if fetched {
            self.fetched_bytes += bytes;
            let fits = self.room_for != Some(0);
            self.room_for = self.room_for.map(|left| left.saturating_sub(1));
            if fits {
                self.weights.insert(weight);
            }
        }
        fetched
    }
}
