//! Whether the phones can hold the model at all: contiguous runs, units that cannot be split, pins on the host. Exact up to twelve peers.

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
    let host_block_bytes = ground
        .host_block_bytes()
        .filter(|&bytes| ground.longest_from(1, bytes) >= ground.host_end_least());
    let Some(host_block_bytes) = host_block_bytes else {
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

/// Peers up to which every subset is looked at.
const EXACT_PEERS: usize = 12;

/// Some phones follow the host, the others precede the head; the best such division leaves the smallest gap between them.
/// Taking the longest run that fits is optimal for a fixed order, so the reach of a set follows from the sets with one phone less.
fn smallest_gap_bytes(ground: &Ground, host_end: u32) -> u64 {
    if ground.peers.len() > EXACT_PEERS {
        let start = reach(ground, host_end, &furthest_order(ground, host_end));
        let end = ground.head();
        return ground.bytes(UnitRange { start, end });
    }
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
    if ground.peers.len() > EXACT_PEERS {
        return furthest_order(ground, host_end);
    }
    let forward = extend_by_subsets(
        ground,
        host_end,
        |start, bytes| ground.longest_from(start, bytes),
        u32::max,
    );
    let reach_of = |set: usize| forward.get(set).copied().unwrap_or(host_end);
    let mut set = (1_usize << ground.peers.len()) - 1;
    let mut order = Vec::new();
    while set != 0 {
        let last = ground.peers.iter().enumerate().find(|&(bit, peer)| {
            let others = set & !(1 << bit);
            others != set
                && ground.longest_from(reach_of(others), peer.usable_bytes) == reach_of(set)
        });
        let Some((peer, _)) = last else { break };
        order.push(peer);
        set &= !(1 << peer);
    }
    order.reverse();
    order
}

/// The better of two orders for too many peers to try all: the largest first, and always the one that leaves least of itself unused.
fn furthest_order(ground: &Ground, host_end: u32) -> Vec<usize> {
    let mut largest_first: Vec<usize> = (0..ground.peers.len()).collect();
    largest_first.sort_by_key(|&peer| core::cmp::Reverse(usable_bytes(ground, peer)));
    let snug = snug_order(ground, host_end);
    match reach(ground, host_end, &snug) > reach(ground, host_end, &largest_first) {
        true => snug,
        false => largest_first,
    }
}

fn snug_order(ground: &Ground, host_end: u32) -> Vec<usize> {
    let mut left: Vec<usize> = (0..ground.peers.len()).collect();
    let (mut placed, mut order) = (host_end, Vec::new());
    while placed < ground.head() && !left.is_empty() {
        let unused_bytes = |&peer: &usize| {
            let offered = usable_bytes(ground, peer);
            let end = ground.longest_from(placed, offered);
            let units = UnitRange { start: placed, end };
            // One that holds nothing here comes last.
            match units.is_empty() {
                true => u64::MAX,
                false => offered - ground.bytes(units),
            }
        };
        let Some(next) = left.iter().copied().min_by_key(unused_bytes) else {
            break;
        };
        placed = ground.longest_from(placed, usable_bytes(ground, next));
        order.push(next);
        left.retain(|&peer| peer != next);
    }
    order.extend(left);
    order
}

/// How far peers get in this order.
fn reach(ground: &Ground, host_end: u32, order: &[usize]) -> u32 {
    order.iter().fold(host_end, |placed, &peer| {
        ground.longest_from(placed, usable_bytes(ground, peer))
    })
}

fn usable_bytes(ground: &Ground, peer: usize) -> u64 {
    ground.peers.get(peer).map_or(0, |peer| peer.usable_bytes)
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
