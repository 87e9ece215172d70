//! The ring with the least objective: walks under tightening limits.
//!
//! A walk minimises what adds up. The slowest prefill stage and the busiest phone do not add up, so the search walks again with limits on
//! them, as a branch and bound over regions of limits: what a walk spends is a lower bound for every ring within its limits.

use crate::cost;
use crate::error::PlanError;
use crate::profile::Stage;
use crate::track::{Limits, Track};
use crate::walk::{Found, Itinerary, Walk};

/// Walks of one search at most.
const MAX_WALKS: u64 = 64;
/// Regions closer than this share to the best ring are not searched: rounding.
const TOLERANCE: f64 = 1e-9;
/// Right below a limit.
const BELOW: f64 = 1.0 - 1e-12;

/// A ring and its objective.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ring {
    pub objective_ms: f64,
    pub stages: Vec<Stage>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Searched {
    /// The best ring, if it is below what was known.
    pub ring: Option<Ring>,
    /// No ring along the itinerary is below, ms.
    pub bound_ms: f64,
}

/// Which limit a region is cut along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Chunk,
    Busy,
}

impl Edge {
    fn of(self, limits: Limits) -> f64 {
        match self {
            Self::Chunk => limits.chunk_ms,
            Self::Busy => limits.busy_ms,
        }
    }

    fn moved(self, limits: Limits, ms: f64) -> Limits {
        match self {
            Self::Chunk => Limits {
                chunk_ms: ms,
                ..limits
            },
            Self::Busy => Limits {
                busy_ms: ms,
                ..limits
            },
        }
    }
}

/// Rings within some limits that may be better than the best known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Region {
    /// All of them reach `least` and stay below `most`.
    least: Limits,
    most: Limits,
    /// All of them spend so much, ms.
    spent_ms: f64,
    edge: Edge,
    /// The next walk halves it; otherwise it only cuts off its upper edge.
    halve: bool,
}

struct Search<'t, 'a> {
    walk: Walk<'t, 'a>,
    track: &'t Track<'a>,
    /// What a ms of the slowest chunk stage adds to the objective.
    further_chunks: f64,
    best_ms: f64,
    best: Option<Vec<Stage>>,
    /// Least bound of what was given up.
    given_up_ms: f64,
    open: Vec<Region>,
}

/// The best ring along the itinerary below `below_ms`. `effort`: additions that may be spent; one walk is always made.
pub(crate) fn search(
    track: &Track,
    itinerary: &Itinerary,
    below_ms: f64,
    effort: u64,
) -> Result<Searched, PlanError> {
    let mut search = Search {
        walk: Walk::new(track, itinerary),
        track,
        further_chunks: track.further_chunks(),
        best_ms: below_ms,
        best: None,
        given_up_ms: f64::INFINITY,
        open: Vec::new(),
    };
    let walks = effort / itinerary.effort(track.width()).max(1);
    search.run(walks.clamp(1, MAX_WALKS))?;
    let proved_ms = search.best_ms.min(search.given_up_ms);
    Ok(Searched {
        bound_ms: (proved_ms - track.rounding_ms()).max(0.0),
        ring: search.best.map(|stages| Ring {
            objective_ms: search.best_ms,
            stages,
        }),
    })
}

impl Search<'_, '_> {
    fn run(&mut self, walks: u64) -> Result<(), PlanError> {
        let everything = Region {
            least: Limits {
                chunk_ms: 0.0,
                busy_ms: 0.0,
            },
            most: Limits::NONE,
            spent_ms: 0.0,
            edge: Edge::Chunk,
            halve: false,
        };
        if let Some(found) = self.walk.cheapest(Limits::NONE) {
            self.learn(everything, found)?;
        }
        for _ in 1..walks {
            let Some(region) = self.most_promising() else {
                return Ok(());
            };
            self.split(region)?;
        }
        for region in core::mem::take(&mut self.open) {
            self.give_up(&region);
        }
        Ok(())
    }

    fn several_in_flight(&self) -> bool {
        self.track.ground.problem.workload.requests_in_flight > 1
    }

    /// No ring of the region has a smaller objective.
    fn bound_ms(&self, region: &Region) -> f64 {
        let latency_ms = region.spent_ms + self.further_chunks * region.least.chunk_ms;
        match self.several_in_flight() {
            true => latency_ms.max(region.least.busy_ms),
            false => latency_ms,
        }
    }

    fn give_up(&mut self, region: &Region) {
        self.given_up_ms = self.given_up_ms.min(self.bound_ms(region));
    }

    /// The open region with the least bound; gives up those that cannot hold a better ring.
    fn most_promising(&mut self) -> Option<Region> {
        let good_ms = self.best_ms * (1.0 - TOLERANCE);
        let (kept, dull): (Vec<_>, Vec<_>) = core::mem::take(&mut self.open)
            .into_iter()
            .partition(|region| self.bound_ms(region) < good_ms);
        for region in &dull {
            self.give_up(region);
        }
        self.open = kept;
        let bounds = self.open.iter().map(|region| self.bound_ms(region));
        let (at, _) = bounds
            .enumerate()
            .reduce(|best, next| if next.1 < best.1 { next } else { best })?;
        Some(self.open.swap_remove(at))
    }

    /// Walks below the region's upper edge, or in its lower half.
    fn split(&mut self, region: Region) -> Result<(), PlanError> {
        let (least, most) = (region.edge.of(region.least), region.edge.of(region.most));
        let cut = match region.halve {
            true => f64::midpoint(least, most),
            false => most * BELOW,
        };
        let lower = Region {
            most: region.edge.moved(region.most, cut),
            halve: !region.halve,
            ..region
        };
        if region.halve {
            self.open.push(Region {
                least: region.edge.moved(region.least, cut),
                halve: false,
                ..region
            });
        }
        match self.walk.cheapest(lower.most) {
            Some(found) => self.learn(lower, found),
            None => Ok(()),
        }
    }

    /// Takes in what a walk within `region.most` found; what may still be better stays open.
    fn learn(&mut self, region: Region, found: Found) -> Result<(), PlanError> {
        let cost = cost::of_stages(self.track.ground, &found.stages)?;
        if cost.objective_ms < self.best_ms {
            self.best_ms = cost.objective_ms;
            self.best = Some(found.stages);
        }
        let region = Region {
            spent_ms: found.spent_ms,
            ..region
        };
        let busiest_ms = cost.busiest_ms();
        let latency_ms = found.spent_ms + self.further_chunks * cost.slowest_chunk_ms;
        // A better ring has a faster slowest stage; or, where the busiest phone decides, a less busy one.
        if !self.several_in_flight() || latency_ms >= busiest_ms {
            if self.further_chunks > 0.0 {
                self.keep_below(region, Edge::Chunk, cost.slowest_chunk_ms);
            }
        } else {
            if self.track.ground.problem.wishes.energy_weight > 0.0 {
                // Or an equally busy one that spares batteries: not searched.
                let least = Edge::Busy.moved(region.least, busiest_ms);
                self.give_up(&Region { least, ..region });
            }
            self.keep_below(region, Edge::Busy, busiest_ms);
        }
        Ok(())
    }

    fn keep_below(&mut self, region: Region, edge: Edge, ms: f64) {
        let ms = ms.min(edge.of(region.most));
        if edge.of(region.least) < ms {
            self.open.push(Region {
                most: edge.moved(region.most, ms),
                edge,
                ..region
            });
        }
    }
}
