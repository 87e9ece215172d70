//! Rings of rooms that are too large to try every order: orders that the relaxations suggest, then improved by one phone at a time.

use crate::bound;
use crate::capacity;
use crate::cost;
use crate::error::PlanError;
use crate::revisits::Proof;
use crate::search::{self, Searched};
use crate::track::{Limits, MovingLeast, Track, Windows};
use crate::walk::{Itinerary, Walk};

/// Shares of the relaxation below this are rounding errors.
const NEGLIGIBLE_SHARE: f64 = 1e-6;
/// Additions of one row, by units.
const ROW_EFFORT: u64 = 4;
/// An order is better when it is shorter by more than rounding.
const BELOW: f64 = 1.0 - 1e-12;

/// A good ring below `below_ms`, and what none is below. Who asks for a ring through `must` asks for no proof.
pub(crate) fn ring(
    track: &Track,
    must: Option<usize>,
    below_ms: f64,
    effort: u64,
) -> Result<Searched, PlanError> {
    let mut climb = Climb::new(track, must, effort);
    for order in first_orders(track)? {
        climb.offer(&order);
    }
    let proof = must.is_none().then(|| Proof::new(track, climb.best_ms()));
    if let Some(proof) = &proof {
        for order in &proof.orders {
            climb.offer(order);
        }
    }
    climb.up();
    let Some((_, order)) = climb.best else {
        return Ok(Searched {
            ring: None,
            bound_ms: 0.0,
        });
    };
    let itinerary = Itinerary::in_order(&order, must);
    let ring = search::search(track, &itinerary, below_ms, effort)?.ring;
    let best_ms = ring.as_ref().map_or(below_ms, |ring| ring.objective_ms);
    let slowest_ms = match &ring {
        Some(ring) => cost::of_stages(track.ground, &ring.stages)?.slowest_chunk_ms,
        None => 0.0,
    };
    let bound_ms = proof.map_or(0.0, |proof| proof.bound_ms(best_ms, slowest_ms));
    Ok(Searched { ring, bound_ms })
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
    windows: Windows,
    must: Option<usize>,
    effort_left: u64,
    best: Option<(f64, Vec<usize>)>,
    row: Row,
}

/// One phone between two rows.
struct Row {
    entered: Vec<f64>,
    left: Vec<f64>,
    moving: MovingLeast,
}

/// What it costs to come to each place of an order, and to go on from there, by units placed.
struct Tables {
    /// Out of the host, then out of each peer.
    forth: Vec<Vec<f64>>,
    /// From the door of each peer to the end.
    back: Vec<Vec<f64>>,
}

impl<'t, 'a> Climb<'t, 'a> {
    fn new(track: &'t Track<'a>, must: Option<usize>, effort: u64) -> Self {
        Self {
            track,
            windows: track.windows(Limits::NONE),
            must,
            effort_left: effort,
            best: None,
            row: Row {
                entered: vec![f64::INFINITY; track.width()],
                left: vec![f64::INFINITY; track.width()],
                moving: MovingLeast::default(),
            },
        }
    }

    /// Takes an order that is better, without the peers it leaves out.
    fn offer(&mut self, order: &[usize]) {
        let itinerary = Itinerary::in_order(order, self.must);
        if !self.pay(itinerary.effort(self.track.width())) {
            return;
        }
        let Some(found) = Walk::new(self.track, &itinerary).cheapest(Limits::NONE) else {
            return;
        };
        if found.spent_ms < self.best_ms() {
            let peers = &self.track.ground.peers;
            let used = found
                .stages
                .iter()
                .filter_map(|stage| peers.iter().position(|peer| peer.member == stage.member));
            self.best = Some((found.spent_ms, used.collect()));
        }
    }

    fn best_ms(&self) -> f64 {
        self.best.as_ref().map_or(f64::INFINITY, |(ms, _)| *ms)
    }

    /// False when no effort is left.
    fn pay(&mut self, effort: u64) -> bool {
        let left = self.effort_left.checked_sub(effort);
        self.effort_left = left.unwrap_or(0);
        left.is_some()
    }

    /// Takes out one phone after the other, and puts that or another one where it serves best, as long as that helps and effort is left.
    fn up(&mut self) {
        let (mut at, mut in_vain) = (0, 0);
        while let Some((best_ms, order)) = self.best.clone() {
            if in_vain > order.len() || self.effort_left == 0 {
                return;
            }
            at = if at > order.len() { 0 } else { at };
            let taken = order.get(at).copied();
            let rest: Vec<usize> = order
                .iter()
                .copied()
                .filter(|peer| Some(*peer) != taken)
                .collect();
            match self.best_with_one_more(&rest, taken) {
                Some((ms, better)) if ms < best_ms * BELOW => {
                    self.best = Some((ms, better));
                    in_vain = 0;
                }
                _ => in_vain += 1,
            }
            at += 1;
        }
    }

    /// The best order of these peers as they are, or with one more anywhere. What had to be there and was `taken` comes back.
    fn best_with_one_more(
        &mut self,
        rest: &[usize],
        taken: Option<usize>,
    ) -> Option<(f64, Vec<usize>)> {
        let comes_back = taken.filter(|peer| self.must == Some(*peer));
        let tables = self.tables(rest);
        let as_it_is = match (rest.last(), tables.forth.last()) {
            (Some(last), Some(row)) if comes_back.is_none() => {
                row.last().copied().unwrap_or(f64::INFINITY)
                    + self.track.home_ms(*last, Limits::NONE)
            }
            _ => f64::INFINITY,
        };
        let (mut best_ms, mut best) = (as_it_is, None);
        let gained =
            |peer: &usize| !rest.contains(peer) && comes_back.is_none_or(|one| one == *peer);
        for peer in (0..self.track.ground.peers.len()).filter(gained) {
            for place in 0..=rest.len() {
                let ms = self.with_one_more(&tables, rest, place, peer);
                if ms < best_ms {
                    (best_ms, best) = (ms, Some((place, peer)));
                }
            }
        }
        let mut order = rest.to_vec();
        if let Some((place, peer)) = best {
            order.insert(place, peer);
        }
        best_ms.is_finite().then_some((best_ms, order))
    }

    /// Cost of an order with one more peer at a place.
    fn with_one_more(&mut self, tables: &Tables, rest: &[usize], place: usize, peer: usize) -> f64 {
        if !self.pay(ROW_EFFORT * self.track.width() as u64) {
            return f64::INFINITY;
        }
        let Some(before) = tables.forth.get(place) else {
            return f64::INFINITY;
        };
        let from = place.checked_sub(1).and_then(|at| rest.get(at)).copied();
        self.forth(from, before, peer);
        let left = &self.row.left;
        match (rest.get(place), tables.back.get(place)) {
            (Some(next), Some(back)) => {
                let hop_ms = self.track.hop_ms(Some(peer), *next, Limits::NONE);
                let ways = left.iter().zip(back).map(|(left, back)| left + back);
                ways.fold(f64::INFINITY, f64::min) + hop_ms
            }
            _ => {
                let all = left.last().copied().unwrap_or(f64::INFINITY);
                all + self.track.home_ms(peer, Limits::NONE)
            }
        }
    }

    /// Fills `row.left`: out of a peer that is entered from another one, or from the host.
    fn forth(&mut self, from: Option<usize>, before: &[f64], peer: usize) {
        let hop_ms = self.track.hop_ms(from, peer, Limits::NONE);
        let Row {
            entered,
            left,
            moving,
        } = &mut self.row;
        for (entered, before) in entered.iter_mut().zip(before) {
            *entered = before + hop_ms;
        }
        left.fill(f64::INFINITY);
        self.track
            .run_row(peer, &self.windows, entered, left, moving);
    }

    fn tables(&mut self, order: &[usize]) -> Tables {
        self.pay(2 * ROW_EFFORT * (order.len() * self.track.width()) as u64);
        let mut host = vec![f64::INFINITY; self.track.width()];
        self.track.host_row(Limits::NONE, &mut host);
        let mut forth = vec![host];
        let mut from = None;
        for peer in order {
            if let Some(before) = forth.last() {
                self.forth(from, before, *peer);
            }
            forth.push(self.row.left.clone());
            from = Some(*peer);
        }
        let mut back: Vec<Vec<f64>> = Vec::new();
        let mut next = None;
        for peer in order.iter().rev() {
            let mut onward = vec![f64::INFINITY; self.track.width()];
            match (next, back.last()) {
                (Some(next), Some(back)) => {
                    let hop_ms = self.track.hop_ms(Some(*peer), next, Limits::NONE);
                    for (onward, back) in onward.iter_mut().zip(back) {
                        *onward = back + hop_ms;
                    }
                }
                _ => {
                    if let Some(all) = onward.last_mut() {
                        *all = self.track.home_ms(*peer, Limits::NONE);
                    }
                }
            }
            let mut door = vec![f64::INFINITY; self.track.width()];
            self.track.run_back_row(
                *peer,
                &self.windows,
                &onward,
                &mut door,
                &mut self.row.moving,
            );
            back.push(door);
            next = Some(*peer);
        }
        back.reverse();
        Tables { forth, back }
    }
}
