//! The cheapest ring along an itinerary, exactly: a dynamic programme over (where in the itinerary, units placed).
//!
//! What a run costs is a difference of two sums, and memory only bounds how far back it may start, so the best start for every end
//! comes from one pass with a moving minimum. That makes every subset of seven peers in every order over 128 units about a million additions.

use crate::profile::Stage;
use crate::track::{Limits, MovingLeast, Track, Windows};

/// A stop of an itinerary.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stop {
    /// Index of the peer.
    peer: usize,
    /// Stops that may come right before it.
    before: Vec<usize>,
    /// It may be the first.
    first: bool,
    /// It may be the last.
    last: bool,
}

/// Which peers may follow which, as a graph without cycles: stops in an order in which each comes after those before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Itinerary {
    stops: Vec<Stop>,
}

impl Itinerary {
    /// Every peer at most once, in any order: a stop per set of peers visited and peer visited last. With `must` only rings through that peer.
    pub fn any_order(peers: usize, must: Option<usize>) -> Self {
        let mut stops = Vec::new();
        let mut index = vec![0; peers << peers];
        for set in 1..1_usize << peers {
            for peer in members(set) {
                let others = set & !(1 << peer);
                let before =
                    members(others).filter_map(|last| index.get(others * peers + last).copied());
                let before = before.collect();
                if let Some(entry) = index.get_mut(set * peers + peer) {
                    *entry = stops.len();
                }
                stops.push(Stop {
                    peer,
                    before,
                    first: others == 0,
                    last: must.is_none_or(|must| set & (1 << must) != 0),
                });
            }
        }
        Self { stops }
    }

    /// These peers in this order; any of them may be left out, except `must`.
    pub fn in_order(order: &[usize], must: Option<usize>) -> Self {
        let must_at = must.and_then(|must| order.iter().position(|&peer| peer == must));
        let stops = order.iter().enumerate().map(|(at, &peer)| Stop {
            peer,
            before: (must_at.filter(|&must_at| must_at < at).unwrap_or(0)..at).collect(),
            first: must_at.is_none_or(|must_at| at <= must_at),
            last: must_at.is_none_or(|must_at| must_at <= at),
        });
        Self {
            stops: stops.collect(),
        }
    }

    /// Additions that one walk along it takes, by units.
    pub fn effort(&self, width: usize) -> u64 {
        let ways: usize = self.stops.iter().map(|stop| stop.before.len() + 3).sum();
        (ways * width) as u64
    }
}

fn members(set: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS as usize).filter(move |peer| set & (1 << peer) != 0)
}

/// A ring and what its stages and hops add to the objective, ms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub spent_ms: f64,
    pub stages: Vec<Stage>,
}

/// Walks of one track along one itinerary; keeps its tables between walks.
pub(crate) struct Walk<'t, 'a> {
    track: &'t Track<'a>,
    itinerary: &'t Itinerary,
    width: usize,
    host: Vec<f64>,
    /// One row per stop: cheapest way out of it, by units placed.
    rows: Vec<f64>,
    entered: Vec<f64>,
    moving: MovingLeast,
}

impl<'t, 'a> Walk<'t, 'a> {
    pub fn new(track: &'t Track<'a>, itinerary: &'t Itinerary) -> Self {
        let width = track.width();
        Self {
            track,
            itinerary,
            width,
            host: vec![f64::INFINITY; width],
            rows: vec![f64::INFINITY; width * itinerary.stops.len()],
            entered: vec![f64::INFINITY; width],
            moving: MovingLeast::default(),
        }
    }

    /// The cheapest ring through at least one peer within the limits.
    pub fn cheapest(&mut self, limits: Limits) -> Option<Found> {
        self.track.host_row(limits, &mut self.host);
        let windows = self.track.windows(limits);
        for (at, stop) in self.itinerary.stops.iter().enumerate() {
            self.enter(stop, limits);
            let row = self.rows.get_mut(at * self.width..(at + 1) * self.width)?;
            row.fill(f64::INFINITY);
            self.track
                .run_row(stop.peer, &windows, &self.entered, row, &mut self.moving);
        }
        let (spent_ms, end) = self.cheapest_end(limits)?;
        let stages = self.trace(end, limits, &windows)?;
        Some(Found { spent_ms, stages })
    }

    /// Cheapest ways to a stop's door, by units placed.
    fn enter(&mut self, stop: &Stop, limits: Limits) {
        let mut entered = core::mem::take(&mut self.entered);
        entered.fill(f64::INFINITY);
        for (_, hop_ms, row) in self.ways_to(stop, limits) {
            for (entered, left) in entered.iter_mut().zip(row) {
                *entered = entered.min(left + hop_ms);
            }
        }
        self.entered = entered;
    }

    /// What may come right before a stop (`None`: the host), the hop from there, and its row. Stops before it have been walked already.
    fn ways_to<'s>(
        &'s self,
        stop: &'s Stop,
        limits: Limits,
    ) -> impl Iterator<Item = (Option<usize>, f64, &'s [f64])> + 's {
        let host_ms = self.track.hop_ms(None, stop.peer, limits);
        let host = stop.first.then_some((None, host_ms, self.host.as_slice()));
        let stops = stop.before.iter().map(move |&before| {
            let peer = self.itinerary.stops.get(before).map(|stop| stop.peer);
            let hop_ms = self.track.hop_ms(peer, stop.peer, limits);
            (Some(before), hop_ms, self.row(before))
        });
        host.into_iter()
            .chain(stops)
            .filter(|(_, hop_ms, _)| hop_ms.is_finite())
    }

    fn row(&self, stop: usize) -> &[f64] {
        self.rows
            .get(stop * self.width..(stop + 1) * self.width)
            .unwrap_or_default()
    }

    fn cheapest_end(&self, limits: Limits) -> Option<(f64, usize)> {
        let stops = self.itinerary.stops.iter().enumerate();
        let ends = stops.filter(|(_, stop)| stop.last).map(|(at, stop)| {
            let left = self.row(at).last().copied().unwrap_or(f64::INFINITY);
            (left + self.track.home_ms(stop.peer, limits), at)
        });
        least(ends)
    }

    /// The stages that lead to the end at a stop, found again backwards.
    fn trace(&mut self, end: usize, limits: Limits, windows: &Windows) -> Option<Vec<Stage>> {
        let mut placed = self.width - 1;
        let mut at = Some(end);
        let mut runs = Vec::new();
        while let Some(stop) = at.and_then(|at| self.itinerary.stops.get(at)) {
            self.enter(stop, limits);
            let run = self
                .track
                .run_behind(stop.peer, windows, &self.entered, placed)?;
            placed = run.units.start as usize;
            runs.push(run);
            let ways = self.ways_to(stop, limits);
            let spent = ways.map(|(before, hop_ms, row)| {
                let left = row.get(placed).copied().unwrap_or(f64::INFINITY);
                (left + hop_ms, before)
            });
            (_, at) = least(spent)?;
        }
        runs.reverse();
        Some(self.track.close(u32::try_from(placed).ok()?, runs))
    }
}

/// The first of the least finite values.
fn least<T>(values: impl Iterator<Item = (f64, T)>) -> Option<(f64, T)> {
    let finite = values.filter(|(value, _)| value.is_finite());
    finite.reduce(|best, next| if next.0 < best.0 { next } else { best })
}
