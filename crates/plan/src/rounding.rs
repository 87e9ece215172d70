//! Orders of the ring when there are too many phones to try all: the relaxation's, then improved by moving one phone at a time.

use crate::bound;
use crate::capacity;
use crate::error::PlanError;
use crate::ground::{Ground, Speed};
use crate::ring::{self, Freedom, Ring};

/// Orders tried for one executor of the host; keeps planning short on a phone.
const MAX_TRIES: usize = 150;

/// A good ring that costs less than `below_ms`, not certified to be the best. Without such a limit one is found whenever one exists.
pub(crate) fn improve(
    ground: &Ground,
    host: &Speed,
    below_ms: f64,
) -> Result<Option<Ring>, PlanError> {
    let mut descent = Descent {
        ground,
        host,
        below_ms,
        best: None,
        tries: 0,
    };
    descent.try_order(relaxed_order(ground)?)?;
    descent.try_order(capacity::feasible_order(ground))?;
    while descent.step()? {}
    Ok(descent.best.map(|(ring, _)| ring))
}

struct Descent<'a> {
    ground: &'a Ground<'a>,
    host: &'a Speed,
    below_ms: f64,
    best: Option<(Ring, Vec<usize>)>,
    tries: usize,
}

impl Descent<'_> {
    /// Whether the order gives a cheaper ring than the best so far.
    fn try_order(&mut self, order: Vec<usize>) -> Result<bool, PlanError> {
        self.tries += 1;
        let below_ms = self
            .best
            .as_ref()
            .map_or(self.below_ms, |(ring, _)| ring.request_ms);
        let better = ring::cheapest(self.ground, self.host, Freedom::Order(&order), below_ms)?;
        let improved = better.is_some();
        if let Some(ring) = better {
            self.best = Some((ring, order));
        }
        Ok(improved)
    }

    /// Takes the first move that improves; whether there was one.
    fn step(&mut self) -> Result<bool, PlanError> {
        let Some(order) = self.best.as_ref().map(|(_, order)| order.clone()) else {
            return Ok(false);
        };
        for moved in moves(&order) {
            if self.tries == MAX_TRIES {
                return Ok(false);
            }
            if self.try_order(moved)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Phones with the largest share of the relaxation first.
fn relaxed_order(ground: &Ground) -> Result<Vec<usize>, PlanError> {
    let shares = bound::relax(ground, bound::Measure::request(ground))?.peer_shares;
    let mut order: Vec<(usize, f64)> = shares.into_iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(order.into_iter().map(|(peer, _)| peer).collect())
}

/// Every order that differs by the place of one phone.
fn moves(order: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    let places = move || 0..order.len();
    let pairs = places().flat_map(move |from| places().map(move |to| (from, to)));
    pairs
        .filter(|&(from, to)| to != from && to + 1 != from)
        .map(|(from, to)| {
            let mut moved = order.to_vec();
            let peer = moved.remove(from);
            moved.insert(to, peer);
            moved
        })
}
