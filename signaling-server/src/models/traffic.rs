//! Bytes of models sent to each client that gave a name: how tests know what a phone downloaded.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Clients counted, at most; later ones are served, not counted.
const MAX_CLIENTS: usize = 1024;
/// Longest name counted, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// All counts.
#[derive(Default)]
pub struct Traffic(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

/// Counts for one client, or for nobody.
pub struct Counter(Option<Arc<AtomicU64>>);

impl Counter {
    /// So many bytes left.
    pub fn add(&self, bytes: usize) {
        if let Some(total) = &self.0 {
            total.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

impl Traffic {
    /// The counter of a client.
    pub fn counter(&self, client: Option<String>) -> Counter {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let client = client.filter(|name| name.len() <= MAX_NAME_BYTES);
        let client = client.filter(|name| totals.len() < MAX_CLIENTS || totals.contains_key(name));
        Counter(client.map(|name| Arc::clone(totals.entry(name).or_default())))
    }

    /// Bytes by client.
    pub fn totals(&self) -> BTreeMap<String, u64> {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total = |(name, total): (&String, &Arc<AtomicU64>)| {
            (name.clone(), total.load(Ordering::Relaxed))
        };
        totals.iter().map(total).collect()
    }
}
