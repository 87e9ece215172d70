//! Rings of rooms that are too large to try every order: the relaxation's order, then improved by moving one phone at a time.

use crate::bound;
use crate::capacity;
use crate::cost;
use crate::error::PlanError;
use crate::search::{self, Ring};
use crate::track::{Limits, Track};
use crate::walk::{Itinerary, Walk};

/// Shares of the relaxation below this are rounding errors.
const NEGLIGIBLE_SHARE: f64 = 1e-6;

/// A ring below `below_ms`; not certified to be the best.
pub(crate) fn ring(
    track: &Track,
    must: Option<usize>,
    below_ms: f64,
    effort: u64,
) -> Result<Option<Ring>, PlanError> {
    let mut climb = Climb {
        track,
        must,
        effort_left: effort,
        best: None,
    };
    for order in first_orders(track)? {
        climb.offer(&order);
    }
    climb.up();
    let Some((_, order)) = climb.best else {
        return Ok(None);
    };
    let itinerary = Itinerary::in_order(&order, must);
    Ok(search::search(track, &itinerary, below_ms, effort)?.ring)
}

/// Every order the relaxation and the memory suggest.
fn first_orders(track: &Track) -> Result<Vec<Vec<usize>>, PlanError> {
    let ground = track.ground;
    let fitting = capacity::feasible_order(ground);
    let itinerary = Itinerary::in_order(&fitting, None);
    let Some(found) = Walk::new(track, &itinerary).cheapest(Limits::NONE) else {
        return Ok(vec![fitting]);
    };
    let known = cost::of_stages(ground, &found.stages)?;
    let shares = bound::peer_shares(ground, &known)?;
    let mut by_share: Vec<(usize, f64)> = shares.into_iter().enumerate().collect();
    by_share.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let holding = by_share
        .iter()
        .filter(|(_, share)| *share > NEGLIGIBLE_SHARE);
    let nearest = nearest_first(track, (0..ground.peers.len()).collect());
    Ok(vec![
        nearest_first(track, holding.map(|&(peer, _)| peer).collect()),
        by_share.iter().map(|&(peer, _)| peer).collect(),
        nearest,
        fitting,
    ])
}

/// From the host always on to the nearest peer.
fn nearest_first(track: &Track, mut peers: Vec<usize>) -> Vec<usize> {
    let (mut order, mut last) = (Vec::new(), None);
    while !peers.is_empty() {
        let hop_ms = |peer: &usize| track.hop_ms(last, *peer, Limits::NONE);
        let nearest = peers.iter().copied();
        let Some(next) = nearest.min_by(|a, b| hop_ms(a).total_cmp(&hop_ms(b))) else {
            break;
        };
        peers.retain(|&peer| peer != next);
        order.push(next);
        last = Some(next);
    }
    order
}

struct Climb<'t, 'a> {
    track: &'t Track<'a>,
    must: Option<usize>,
    effort_left: u64,
    best: Option<(f64, Vec<usize>)>,
}

impl Climb<'_, '_> {
    /// Takes an order that is better, without the peers it leaves out.
    fn offer(&mut self, order: &[usize]) -> bool {
        let itinerary = Itinerary::in_order(order, self.must);
        let effort = itinerary.effort(self.track.width());
        let Some(effort_left) = self.effort_left.checked_sub(effort) else {
            self.effort_left = 0;
            return false;
        };
        self.effort_left = effort_left;
        let Some(found) = Walk::new(self.track, &itinerary).cheapest(Limits::NONE) else {
            return false;
        };
        let better = self
            .best
            .as_ref()
            .is_none_or(|(known_ms, _)| found.spent_ms < *known_ms);
        if better {
            let peers = &self.track.ground.peers;
            let used = found
                .stages
                .iter()
                .filter_map(|stage| peers.iter().position(|peer| peer.member == stage.member));
            self.best = Some((found.spent_ms, used.collect()));
        }
        better
    }

    /// Moves or adds one phone at a time as long as that helps and effort is left.
    fn up(&mut self) {
        while let Some((_, order)) = self.best.clone() {
            let peers = self.track.ground.peers.len();
            let better = neighbours(&order, peers).any(|neighbour| self.offer(&neighbour));
            if !better || self.effort_left == 0 {
                return;
            }
        }
    }
}

/// Every order that differs by the place of one phone, or by one phone more; a walk may leave phones out by itself.
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
