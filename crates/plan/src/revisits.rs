//! What no ring of a large room is below: walks that may come back to a phone, at a price.
//!
//! A ring visits a phone once. Without that rule the cheapest walk is a small dynamic programme over (units placed, last phone): the
//! state-space relaxation of Christofides, Mingozzi and Toth (Networks 11, 1981). Every visit pays its phone's price and every phone gives
//! its price back, so rings cost no more than before and walks that come back do: whatever the prices, the cheapest walk is a bound
//! (Lagrange). Prices rise where walks come back, by subgradients (Held, Wolfe and Crowder, Mathematical Programming 6, 1974). The slowest
//! stage of a prompt is replaced by an average over the phones, whose weights move to the slow ones the same way.

use crate::track::{Limits, MovingLeast, Track, Windows};

/// Additions that may be spent.
const EFFORT: u64 = 6_000_000;
const MAX_ROUNDS: u64 = 200;
/// Length of a step, as a share of what is between the bound and the best ring.
const FIRST_STEP: f64 = 1.5;
/// Shorter steps after so many rounds without a better bound.
const PATIENCE: u32 = 4;
const SHORTER: f64 = 0.6;

/// No ring of the track is below, ms. `known_ms`: what some plan costs.
pub(crate) fn bound_ms(track: &Track, known_ms: f64) -> f64 {
    if !known_ms.is_finite() {
        return 0.0;
    }
    let peers = track.ground.peers.len();
    let further_chunks = track.further_chunks();
    let mut walks = Walks::new(track);
    let mut prices = Prices {
        visit_ms: vec![0.0; peers],
        chunk_weights: vec![further_chunks / (peers as f64 + 1.0); peers + 1],
    };
    let (mut best_ms, mut step, mut waited) = (0.0_f64, FIRST_STEP, 0);
    for _ in 0..(EFFORT / walks.effort().max(1)).clamp(1, MAX_ROUNDS) {
        let Some(walk) = walks.cheapest(&prices) else {
            return f64::INFINITY;
        };
        let bound_ms = walk.paid_ms - prices.visit_ms.iter().sum::<f64>();
        waited += 1;
        if bound_ms > best_ms {
            (best_ms, waited) = (bound_ms, 0);
        }
        let missing_ms = known_ms - bound_ms;
        if missing_ms <= 0.0 {
            break;
        }
        if waited >= PATIENCE {
            (step, waited) = (step * SHORTER, 0);
        }
        prices.raise(&walk, step * missing_ms, further_chunks);
    }
    let rounding_ms = track.rounding_ms() * (1.0 + prices.visit_ms.len() as f64);
    (best_ms - rounding_ms).max(0.0)
}

/// What walks pay besides their stages and hops.
struct Prices {
    /// Of each peer.
    visit_ms: Vec<f64>,
    /// Of a chunk's ms on each peer, and on the host; together what the slowest stage is paid with.
    chunk_weights: Vec<f64>,
}

/// The cheapest walk under some prices.
struct Walked {
    paid_ms: f64,
    /// Of each peer.
    visits: Vec<f64>,
    /// Of each peer, and of the host.
    chunk_ms: Vec<f64>,
}

impl Prices {
    /// Along the subgradient at a walk; `step_ms`: what the bound may gain by it.
    fn raise(&mut self, walk: &Walked, step_ms: f64, further_chunks: f64) {
        let prices = self.visit_ms.iter().zip(&walk.visits);
        // A price that is nothing cannot fall.
        let gradient: Vec<f64> = prices
            .map(|(price, visits)| match *price > 0.0 || *visits > 1.0 {
                true => visits - 1.0,
                false => 0.0,
            })
            .collect();
        let square: f64 = gradient.iter().map(|slope| slope * slope).sum();
        if square > 0.0 {
            for (price, slope) in self.visit_ms.iter_mut().zip(gradient) {
                *price = (*price + step_ms * slope / square).max(0.0);
            }
        }
        let square: f64 = walk.chunk_ms.iter().map(|ms| ms * ms).sum();
        if further_chunks > 0.0 && square > 0.0 {
            for (weight, ms) in self.chunk_weights.iter_mut().zip(&walk.chunk_ms) {
                *weight += step_ms * ms / square;
            }
            to_sum(&mut self.chunk_weights, further_chunks);
        }
    }
}

/// The nearest weights that are not negative and add up to `sum` (Duchi et al., ICML 2008).
fn to_sum(weights: &mut [f64], sum: f64) {
    let mut sorted = weights.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut total, mut excess) = (0.0, 0.0);
    for (at, weight) in (1_u32..).zip(sorted) {
        total += weight;
        let shared = (total - sum) / f64::from(at);
        if weight > shared {
            excess = shared;
        }
    }
    for weight in weights {
        *weight = (*weight - excess).max(0.0);
    }
}

/// Where a walk came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Host,
    Peer(usize),
}

/// Tables of the dynamic programme, by units placed and peer.
struct Walks<'t, 'a> {
    track: &'t Track<'a>,
    windows: Windows,
    peers: usize,
    width: usize,
    /// From each peer to each.
    hops_ms: Vec<f64>,
    host: Vec<f64>,
    /// Cheapest way out of a peer, and where its run began and with which executor.
    left: Vec<f64>,
    began: Vec<(usize, usize)>,
    /// Cheapest way to a peer's door, and from where.
    entered: Vec<f64>,
    from: Vec<From>,
    moving: Vec<MovingLeast>,
}

impl<'t, 'a> Walks<'t, 'a> {
    fn new(track: &'t Track<'a>) -> Self {
        let (peers, width) = (track.ground.peers.len(), track.width());
        let hop_ms = |at: usize| {
            let (from, to) = (at / peers.max(1), at % peers.max(1));
            match from == to {
                true => f64::INFINITY,
                false => track.hop_ms(Some(from), to, Limits::NONE),
            }
        };
        let runs: usize = (0..peers).map(|peer| track.executors(peer)).sum();
        Self {
            track,
            windows: track.windows(Limits::NONE),
            peers,
            width,
            hops_ms: (0..peers * peers).map(hop_ms).collect(),
            host: vec![f64::INFINITY; width],
            left: vec![f64::INFINITY; peers * width],
            began: vec![(0, 0); peers * width],
            entered: vec![f64::INFINITY; peers * width],
            from: vec![From::Host; peers * width],
            moving: (0..runs).map(|_| MovingLeast::default()).collect(),
        }
    }

    /// Additions of one walk.
    fn effort(&self) -> u64 {
        ((self.peers + 4) * self.peers * self.width) as u64
    }

    fn cheapest(&mut self, prices: &Prices) -> Option<Walked> {
        let host_weight = prices.chunk_weights.last().copied().unwrap_or(0.0);
        self.track.host_row(Limits::NONE, &mut self.host);
        for (end, spent) in self.host.iter_mut().enumerate() {
            *spent += host_weight * self.track.host_chunk_ms(end);
        }
        self.left.fill(f64::INFINITY);
        self.moving.iter_mut().for_each(MovingLeast::clear);
        for placed in 1..self.width {
            self.enter(placed);
            self.run(placed, prices);
        }
        self.trace(prices)
    }

    /// Ways to every door with so many units placed.
    fn enter(&mut self, placed: usize) {
        let row = placed * self.peers..(placed + 1) * self.peers;
        let (Some(entered), Some(from), Some(left)) = (
            self.entered.get_mut(row.clone()),
            self.from.get_mut(row.clone()),
            self.left.get(row),
        ) else {
            return;
        };
        let host_ms = self.host.get(placed).copied().unwrap_or(f64::INFINITY);
        for (peer, (entered, from)) in entered.iter_mut().zip(from.iter_mut()).enumerate() {
            *entered = host_ms + self.track.hop_ms(None, peer, Limits::NONE);
            *from = From::Host;
        }
        for (other, left) in left.iter().enumerate().filter(|(_, left)| left.is_finite()) {
            let hops = self.hops_ms.iter().skip(other * self.peers);
            for ((entered, from), hop) in entered.iter_mut().zip(from.iter_mut()).zip(hops) {
                let through = left + hop;
                if through < *entered {
                    (*entered, *from) = (through, From::Peer(other));
                }
            }
        }
    }

    /// Runs that begin with so many units placed may end behind the next one.
    fn run(&mut self, placed: usize, prices: &Prices) {
        let mut moving = self.moving.iter_mut();
        for peer in 0..self.peers {
            let at = placed * self.peers + peer;
            let price = prices.visit_ms.get(peer).copied().unwrap_or(0.0);
            let weight = prices.chunk_weights.get(peer).copied().unwrap_or(0.0);
            let entered = self.entered.get(at).copied().unwrap_or(f64::INFINITY);
            for executor in 0..self.track.executors(peer) {
                let Some(moving) = moving.next() else { return };
                let before = |unit| self.track.paid_before(peer, executor, unit, weight);
                moving.push(placed, entered + price - before(placed));
                let earliest = self.windows.earliest(peer, executor, placed + 1);
                let Some((start, least)) = moving.least_from(earliest) else {
                    continue;
                };
                let once = self.track.paid_once(peer, executor, weight);
                let next = at + self.peers;
                if let (Some(left), Some(began)) =
                    (self.left.get_mut(next), self.began.get_mut(next))
                {
                    let paid = once + before(placed + 1) + least;
                    if paid < *left {
                        (*left, *began) = (paid, (start, executor));
                    }
                }
            }
        }
    }

    /// The walk that ends with all blocks placed, found again backwards.
    fn trace(&self, prices: &Prices) -> Option<Walked> {
        let last = self.width - 1;
        let ends = (0..self.peers).map(|peer| {
            let left = self.left.get(last * self.peers + peer).copied();
            let home_ms = self.track.home_ms(peer, Limits::NONE);
            (left.unwrap_or(f64::INFINITY) + home_ms, peer)
        });
        let (paid_ms, mut peer) = ends
            .filter(|(paid, _)| paid.is_finite())
            .reduce(|best, next| if next.0 < best.0 { next } else { best })?;
        let mut walked = Walked {
            paid_ms,
            visits: vec![0.0; self.peers],
            chunk_ms: vec![0.0; prices.chunk_weights.len()],
        };
        let mut placed = last;
        loop {
            let (start, executor) = *self.began.get(placed * self.peers + peer)?;
            *walked.visits.get_mut(peer)? += 1.0;
            *walked.chunk_ms.get_mut(peer)? += self.track.chunk_ms(peer, executor, start, placed);
            placed = start;
            match self.from.get(placed * self.peers + peer)? {
                From::Peer(before) => peer = *before,
                From::Host => break,
            }
        }
        *walked.chunk_ms.last_mut()? = self.track.host_chunk_ms(placed);
        Some(walked)
    }
}

#[cfg(test)]
mod tests {
    use super::to_sum;

    #[test]
    fn weights_are_brought_to_their_sum() {
        for (weights, sum, expected) in [
            (vec![1.0, 1.0], 2.0, vec![1.0, 1.0]),
            (vec![3.0, 1.0], 2.0, vec![2.0, 0.0]),
            (vec![1.0, 0.5, -1.0], 1.0, vec![0.75, 0.25, 0.0]),
        ] {
            let mut found = weights;
            to_sum(&mut found, sum);
            assert_eq!(found, expected);
        }
    }
}
