//! Orders of the ring when there are too many phones to try all: the relaxation's, then improved by moving one phone at a time.

use model::UnitRange;

use crate::bound;
use crate::capacity;
use crate::error::PlanError;
use crate::ground::{Phone, Speed};
use crate::profile::Stage;
use crate::ring::{Freedom, Ring, Track};

/// Stages looked at for one order; keeps one slow order from using up everything.
const ORDER_EFFORT: u64 = 500_000;
/// Shares of the relaxation below this are rounding errors.
const NEGLIGIBLE_SHARE: f64 = 1e-6;

/// Every phone takes as much as it can hold, in the order that gets furthest: not a good ring, but one whenever a ring is needed.
/// `None` if the host alone can hold everything.
pub(crate) fn longest_runs(track: &Track) -> Option<Vec<Stage>> {
    let ground = track.ground;
    let mut stages = Vec::new();
    let mut start = 0;
    let mut take = |phone: &Phone, speed: &Speed, end: u32| {
        stages.push(Stage {
            member: phone.member,
            units: UnitRange { start, end },
            engine: speed.engine,
        });
        start = end;
        end
    };
    let mut placed = take(
        &ground.host,
        track.host,
        ground.longest_from(1, ground.host_block_bytes()?),
    );
    if placed == ground.head() {
        return None;
    }
    for peer in capacity::feasible_order(ground) {
        let peer = ground.peers.get(peer)?;
        let end = ground.longest_from(placed, peer.usable_bytes);
        if end > placed {
            placed = take(peer, peer.speeds.first()?, end);
        }
    }
    take(&ground.host, track.host, ground.end);
    (placed == ground.head()).then_some(stages)
}

/// A ring better than `known_ms`, from the orders the relaxation and the memory suggest; not certified to be the best.
pub(crate) fn start(track: &mut Track, known_ms: f64) -> Result<Option<Ring>, PlanError> {
    let ground = track.ground;
    let shares = bound::relax(ground, bound::Measure::request(ground), known_ms)?.peer_shares;
    let mut by_share: Vec<(usize, f64)> = shares.into_iter().enumerate().collect();
    by_share.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let holding = by_share
        .iter()
        .filter(|(_, share)| *share > NEGLIGIBLE_SHARE);
    let orders = [
        holding.map(|&(peer, _)| peer).collect(),
        by_share.iter().map(|&(peer, _)| peer).collect(),
        capacity::feasible_order(ground),
    ];
    let mut best: Option<Ring> = None;
    for order in orders {
        let below_ms = best.as_ref().map_or(known_ms, |ring| ring.request_ms);
        best = track
            .cheapest(Freedom::Order(&order), below_ms, ORDER_EFFORT)?
            .or(best);
    }
    Ok(best)
}

/// A ring better than the known one, by moving or adding one phone at a time as long as the track's effort lasts.
pub(crate) fn improve(track: &mut Track, known: &Ring) -> Result<Option<Ring>, PlanError> {
    let mut best = None;
    while let Some(better) = step(track, best.as_ref().unwrap_or(known))? {
        best = Some(better);
    }
    Ok(best)
}

/// The first better ring among the neighbours.
fn step(track: &mut Track, known: &Ring) -> Result<Option<Ring>, PlanError> {
    for order in neighbours(&order_of(track, known), track.ground.peers.len()) {
        if let Some(better) =
            track.cheapest(Freedom::Order(&order), known.request_ms, ORDER_EFFORT)?
        {
            return Ok(Some(better));
        }
        if !track.has_effort() {
            break;
        }
    }
    Ok(None)
}

/// Peers of a ring.
fn order_of(track: &Track, ring: &Ring) -> Vec<usize> {
    let index_of = |stage: &Stage| {
        track
            .ground
            .peers
            .iter()
            .position(|peer| peer.member == stage.member)
    };
    ring.stages.iter().filter_map(index_of).collect()
}

/// Every order that differs by the place of one phone, or by one phone more; a search may leave phones out by itself.
fn neighbours(order: &[usize], peers: usize) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..peers).flat_map(move |peer| {
        let others: Vec<usize> = order
            .iter()
            .copied()
            .filter(|&other| other != peer)
            .collect();
        let inserted = (0..=others.len()).map(move |at| {
            let mut neighbour = others.clone();
            neighbour.insert(at, peer);
            neighbour
        });
        inserted.filter(move |neighbour| neighbour != order)
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::cost;
    use crate::ground::Ground;
    use crate::rooms::{MIB, Room};

    fn longest_ring(track: &Track) -> Ring {
        let stages = longest_runs(track).unwrap();
        let request_ms = cost::of_stages(track.ground, &stages).unwrap().request_ms;
        Ring { request_ms, stages }
    }

    #[test]
    fn moving_phones_comes_close_to_trying_all_orders() {
        let mut equal = 0;
        for seed in 0..60 {
            let problem = Room::of_seed(seed, 5, 12, 30..90).build();
            let ground = Ground::new(&problem).unwrap();
            if capacity::of_ground(&ground).map_or(true, |capacity| capacity.short_bytes > 0) {
                continue;
            }
            let mut track = Track::new(&ground, &ground.host.speeds[0], u64::MAX).unwrap();
            let exact = track
                .cheapest(Freedom::AnyOrder, f64::INFINITY, u64::MAX)
                .unwrap()
                .unwrap();
            let known = longest_ring(&track);
            let started = start(&mut track, known.request_ms)
                .unwrap()
                .unwrap_or(known);
            let moved = improve(&mut track, &started).unwrap().unwrap_or(started);
            assert!(moved.request_ms >= exact.request_ms * (1.0 - 1e-12));
            assert!(
                moved.request_ms <= exact.request_ms * 1.1,
                "{seed}: {moved:?} {exact:?}"
            );
            equal += u32::from(moved.request_ms <= exact.request_ms * (1.0 + 1e-12));
        }
        assert!(equal > 40, "{equal}");
    }

    #[test]
    fn without_effort_the_longest_runs_are_a_plan() {
        let problem = Room::of_blocks(6)
            .phone(0, 32 * MIB, 1.0)
            .phone(1, 32 * MIB, 1.0)
            .phone(2, 32 * MIB, 1.0)
            .hops_ms(1.0)
            .build();
        let ground = Ground::new(&problem).unwrap();
        let mut track = Track::new(&ground, &ground.host.speeds[0], 3).unwrap();
        let known = longest_ring(&track);
        assert_eq!(start(&mut track, known.request_ms).unwrap(), None);
        assert!(!track.has_effort());
        let lengths: Vec<u32> = known.stages.iter().map(|stage| stage.units.len()).collect();
        assert_eq!(lengths, [2, 3, 2, 1]);
    }
}
