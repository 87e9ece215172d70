//! Whether the phones can hold the model at all, exactly: contiguous runs, units that cannot be split, pins on the host.

use model::UnitRange;

use crate::error::PlanError;
use crate::ground::Ground;
use crate::problem::Problem;

/// Memory of a room, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Weights and KV of all units.
    pub needed_bytes: u64,
    /// Budgets of the phones that can compute, less the scratch memory of each.
    pub offered_bytes: u64,
    /// What one more phone must offer beyond its scratch memory for a plan to exist; 0 when there is one.
    pub short_bytes: u64,
}

/// Memory of the room; an error if the numbers cannot be used or the host cannot hold what is pinned to it.
pub fn capacity(problem: &Problem) -> Result<Capacity, PlanError> {
    of_ground(&Ground::new(problem)?)
}

pub(crate) fn of_ground(ground: &Ground) -> Result<Capacity, PlanError> {
    let Some(host_block_bytes) = ground.host_block_bytes() else {
        let needed_bytes = ground.pinned_bytes() + ground.problem.scratch_bytes;
        return Err(PlanError::HostCapacity {
            short_bytes: needed_bytes.saturating_sub(ground.host.budget_bytes),
            needed_bytes,
            offered_bytes: ground.host.budget_bytes,
        });
    };
    let offered_by_peers: u64 = ground.peers.iter().map(|peer| peer.usable_bytes).sum();
    Ok(Capacity {
        needed_bytes: ground.bytes(UnitRange {
            start: 0,
            end: ground.end,
        }),
        offered_bytes: ground.host.usable_bytes + offered_by_peers,
        short_bytes: smallest_gap_bytes(ground, ground.longest_from(1, host_block_bytes)),
    })
}

/// Some phones follow the host, the others precede the head; the best such division leaves the smallest gap between them.
/// Taking the longest run that fits is optimal for a fixed order, so the reach of a set follows from the sets with one phone less.
fn smallest_gap_bytes(ground: &Ground, host_end: u32) -> u64 {
    let forward = extend_by_subsets(
        ground,
        host_end,
        |start, bytes| ground.longest_from(start, bytes),
        u32::max,
    );
    let backward = extend_by_subsets(
        ground,
        ground.head(),
        |end, bytes| ground.longest_before(end, bytes),
        u32::min,
    );
    // The set at index i and the one at the mirrored index are complements.
    let gaps = forward.iter().zip(backward.iter().rev());
    gaps.map(|(&start, &end)| ground.bytes(UnitRange { start, end }))
        .min()
        .unwrap_or(0)
}

/// An order of the peers in which the longest run that fits on each, one after another, reaches the head if any order does.
pub(crate) fn feasible_order(ground: &Ground) -> Vec<usize> {
    let host_end = ground
        .host_block_bytes()
        .map_or(1, |bytes| ground.longest_from(1, bytes));
    let forward = extend_by_subsets(
        ground,
        host_end,
        |start, bytes| ground.longest_from(start, bytes),
        u32::max,
    );
    let reach = |set: usize| forward.get(set).copied().unwrap_or(host_end);
    let mut set = (1_usize << ground.peers.len()) - 1;
    let mut order = Vec::new();
    while set != 0 {
        let last = ground.peers.iter().enumerate().find(|&(bit, peer)| {
            let others = set & !(1 << bit);
            others != set && ground.longest_from(reach(others), peer.usable_bytes) == reach(set)
        });
        let Some((peer, _)) = last else { break };
        order.push(peer);
        set &= !(1 << peer);
    }
    order.reverse();
    order
}

/// For every set of peers (bit i is peer i) how far it gets from `origin`.
fn extend_by_subsets(
    ground: &Ground,
    origin: u32,
    extend: impl Fn(u32, u64) -> u32,
    further: impl Fn(u32, u32) -> u32,
) -> Vec<u32> {
    let mut reach = vec![origin];
    for set in 1..1_usize << ground.peers.len() {
        let with_last = |(bit, peer): (usize, &crate::ground::Phone)| {
            let others = set & !(1 << bit);
            (others != set).then(|| {
                extend(
                    reach.get(others).copied().unwrap_or(origin),
                    peer.usable_bytes,
                )
            })
        };
        let best = ground
            .peers
            .iter()
            .enumerate()
            .filter_map(with_last)
            .reduce(&further);
        reach.push(best.unwrap_or(origin));
    }
    reach
}
