//! What the rest of a partial ring costs at least: the same walk with its memory of used phones forgotten.
//!
//! A phone may then come again (not twice in a row), which only makes the rest cheaper, so a search may drop whatever is too dear with it.

use model::UnitRange;

use crate::error::PlanError;
use crate::ground::{Ground, Speed};
use crate::profile::MemberId;
use crate::ring::{hop_request_ms, stage_request_ms};

/// Least request ms from a place in the ring to its end, by last phone and units placed.
pub(crate) struct Completion {
    after_host: Vec<f64>,
    after_peer: Vec<Vec<f64>>,
}

impl Completion {
    /// For rings whose head stage runs on this executor of the host.
    pub fn new(ground: &Ground, host: &Speed) -> Result<Self, PlanError> {
        let head = ground.head();
        let head_ms = stage_request_ms(
            ground,
            host,
            UnitRange {
                start: head,
                end: ground.end,
            },
        );
        let peers = ground.peers.len();
        let places = ground.end as usize;
        let mut completion = Self {
            after_host: vec![f64::INFINITY; places],
            after_peer: vec![vec![f64::INFINITY; places]; peers],
        };
        let hops = Hops::new(ground)?;
        for (after, home_ms) in completion.after_peer.iter_mut().zip(&hops.host) {
            set(after, head, home_ms + head_ms);
        }
        for placed in (1..head).rev() {
            let through: Vec<f64> = (0..peers)
                .map(|peer| completion.through(ground, peer, placed))
                .collect();
            for (after, hops_ms) in completion.after_peer.iter_mut().zip(&hops.peers) {
                set(after, placed, least(hops_ms, &through));
            }
            set(
                &mut completion.after_host,
                placed,
                least(&hops.host, &through),
            );
        }
        Ok(completion)
    }

    /// Least request ms of everything behind the last stage; `None` is the host.
    pub fn ms(&self, last: Option<usize>, placed: u32) -> f64 {
        let after = match last {
            None => Some(&self.after_host),
            Some(peer) => self.after_peer.get(peer),
        };
        after
            .and_then(|after| after.get(placed as usize))
            .copied()
            .unwrap_or(f64::INFINITY)
    }

    /// Least request ms of a stage on this peer and everything behind it.
    fn through(&self, ground: &Ground, peer_index: usize, placed: u32) -> f64 {
        let Some(peer) = ground.peers.get(peer_index) else {
            return f64::INFINITY;
        };
        let ends = placed + 1..=ground.longest_from(placed, peer.usable_bytes);
        let ways = ends.flat_map(|end| {
            let rest_ms = self.ms(Some(peer_index), end);
            let units = UnitRange { start: placed, end };
            peer.speeds
                .iter()
                .map(move |speed| stage_request_ms(ground, speed, units) + rest_ms)
        });
        ways.fold(f64::INFINITY, f64::min)
    }
}

/// Request ms of hops: from host to each peer, and from each peer to each other; infinite to itself.
struct Hops {
    host: Vec<f64>,
    peers: Vec<Vec<f64>>,
}

impl Hops {
    fn new(ground: &Ground) -> Result<Self, PlanError> {
        let from = |from: MemberId| -> Result<Vec<f64>, PlanError> {
            let to = ground.peers.iter().map(|peer| match from == peer.member {
                true => Ok(f64::INFINITY),
                false => Ok(hop_request_ms(ground, ground.hop_ms(from, peer.member)?)),
            });
            to.collect()
        };
        Ok(Self {
            host: from(ground.host.member)?,
            peers: ground
                .peers
                .iter()
                .map(|peer| from(peer.member))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn least(hops_ms: &[f64], through_ms: &[f64]) -> f64 {
    hops_ms
        .iter()
        .zip(through_ms)
        .map(|(hop, through)| hop + through)
        .fold(f64::INFINITY, f64::min)
}

fn set(after: &mut [f64], placed: u32, ms: f64) {
    if let Some(entry) = after.get_mut(placed as usize) {
        *entry = ms;
    }
}
