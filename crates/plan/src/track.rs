//! What runs of units and hops add to the objective, as differences of sums, for one executor of the host.

use core::ops::Range;
use std::collections::VecDeque;

use model::{EngineKind, UnitKind, UnitRange};

use crate::cost;
use crate::error::PlanError;
use crate::ground::{Ground, PerKind, Phone, Speed};
use crate::profile::Stage;

/// What a ring may not exceed anywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// Slowest stage or transfer of a prefill chunk, ms.
    pub chunk_ms: f64,
    /// Busiest phone, ms per request.
    pub busy_ms: f64,
}

impl Limits {
    pub const NONE: Self = Self {
        chunk_ms: f64::INFINITY,
        busy_ms: f64::INFINITY,
    };
}

/// A quantity that grows with every unit of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grown {
    once: f64,
    /// Entry i: units before unit i.
    before: Vec<f64>,
}

impl Grown {
    fn new(ground: &Ground, once: f64, per_unit: PerKind) -> Self {
        let mut sum = 0.0;
        let mut before = vec![sum];
        for unit in &ground.problem.units {
            sum += per_unit.of(unit.kind);
            before.push(sum);
        }
        Self { once, before }
    }

    fn at(&self, unit: usize) -> f64 {
        self.before.get(unit).copied().unwrap_or(f64::INFINITY)
    }

    fn of(&self, start: usize, end: usize) -> f64 {
        self.end_ms(end) - self.start_ms(start)
    }

    /// What a run that ends before unit `end` takes more than [`Self::start_ms`] of its start.
    pub fn end_ms(&self, end: usize) -> f64 {
        self.once + self.at(end)
    }

    /// See [`Self::end_ms`].
    fn start_ms(&self, start: usize) -> f64 {
        self.at(start)
    }

    /// [`Self::start_ms`] of several starts.
    pub fn starts_ms(&self, starts: Range<usize>) -> &[f64] {
        self.before.get(starts).unwrap_or_default()
    }
}

/// One executor of one phone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Runs {
    engine: EngineKind,
    /// Added to the objective, besides being perhaps the slowest or the busiest.
    spent: Grown,
    chunk: Grown,
    busy: Grown,
}

impl Runs {
    fn new(ground: &Ground, phone: &Phone, speed: &Speed) -> Self {
        let workload = &ground.problem.workload;
        let share = 1.0 / f64::from(workload.requests_in_flight);
        let energy = match phone.power.drains() {
            true => ground.problem.wishes.energy_weight,
            false => 0.0,
        };
        let (laps, chunks) = (ground.laps(), f64::from(ground.chunks()));
        let weigh = |lap_ms: f64, chunk_ms: f64| {
            share * (laps * lap_ms + chunk_ms) + energy * (laps * lap_ms + chunks * chunk_ms)
        };
        let busy = |lap_ms: f64, chunk_ms: f64| laps * lap_ms + chunks * chunk_ms;
        let per_kind = |of: &dyn Fn(f64, f64) -> f64| {
            let kind = |kind| of(speed.lap.of(kind), speed.chunk.of(kind));
            PerKind {
                embedding: kind(UnitKind::Embedding),
                attention: kind(UnitKind::Attention),
                mlp: kind(UnitKind::Mlp),
                head: 0.0,
            }
        };
        let call_ms = speed.ms_per_call;
        Self {
            engine: speed.engine,
            spent: Grown::new(ground, weigh(call_ms, call_ms), per_kind(&weigh)),
            chunk: Grown::new(ground, call_ms, per_kind(&|_, chunk_ms| chunk_ms)),
            busy: Grown::new(ground, busy(call_ms, call_ms), per_kind(&busy)),
        }
    }

    /// Whether a run stays within the limits.
    fn keeps(&self, limits: Limits, start: usize, end: usize) -> bool {
        self.chunk.of(start, end) <= limits.chunk_ms && self.busy.of(start, end) <= limits.busy_ms
    }
}

/// A peer in the search.
struct Helper<'a> {
    phone: &'a Phone,
    runs: Vec<Runs>,
    /// Entry i: where the longest run before unit i that fits starts.
    longest_before: Vec<u32>,
}

/// By peer, executor and end: the earliest start of a run that fits and keeps the limits.
pub(crate) struct Windows(Vec<Vec<Vec<usize>>>);

impl Windows {
    /// Starts of all runs.
    pub fn starts(&self) -> u64 {
        let windows = self.0.iter().flatten();
        let ends = windows.flat_map(|window| window.iter().enumerate());
        ends.map(|(end, earliest)| end.saturating_sub(*earliest) as u64)
            .sum()
    }

    /// Of a run that ends before unit `end`.
    pub fn earliest(&self, peer: usize, executor: usize, end: usize) -> usize {
        let window = self.0.get(peer).and_then(|peer| peer.get(executor));
        let earliest = window.and_then(|window| window.get(end));
        earliest.copied().unwrap_or(usize::MAX)
    }
}

impl Helper<'_> {
    fn windows(&self, limits: Limits) -> Vec<Vec<usize>> {
        let of = |runs: &Runs| {
            let mut earliest = 1;
            let ends = self.longest_before.iter().enumerate();
            let earliest = ends.map(|(end, &longest)| {
                earliest = earliest.max(longest as usize);
                while earliest < end && !runs.keeps(limits, earliest, end) {
                    earliest += 1;
                }
                earliest
            });
            earliest.collect()
        };
        self.runs.iter().map(of).collect()
    }
}

/// Objective and transfer ms of a hop.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hop {
    spent_ms: f64,
    chunk_transfer_ms: f64,
}

impl Hop {
    fn within(self, limits: Limits) -> f64 {
        match self.chunk_transfer_ms <= limits.chunk_ms {
            true => self.spent_ms,
            false => f64::INFINITY,
        }
    }
}

/// Rings whose first and last stage run on one executor of the host.
pub(crate) struct Track<'a> {
    pub ground: &'a Ground<'a>,
    host: Runs,
    helpers: Vec<Helper<'a>>,
    /// From host to each peer, from each peer to each, from each peer to the head.
    hops_out: Vec<Hop>,
    hops: Vec<Vec<Hop>>,
    hops_home: Vec<Hop>,
    /// Of the head's stage.
    head_spent_ms: f64,
    head_busy_ms: f64,
}

impl<'a> Track<'a> {
    pub fn new(ground: &'a Ground<'a>, host: &Speed) -> Result<Self, PlanError> {
        let workload = &ground.problem.workload;
        let share = 1.0 / f64::from(workload.requests_in_flight);
        let hop = |from: &Phone, to: &Phone, chunk_columns| {
            let hop_ms = |columns| ground.hop_ms(from.member, to.member, columns);
            Ok(Hop {
                spent_ms: share
                    * (ground.laps() * hop_ms(workload.lap.columns)? + hop_ms(chunk_columns)?),
                chunk_transfer_ms: ground.transfer_ms(from.member, to.member, chunk_columns),
            })
        };
        let columns = ground.problem.class.chunk_columns;
        let peers = || ground.peers.iter();
        let head = UnitRange {
            start: ground.head(),
            end: ground.end,
        };
        let (lap_ms, chunk_ms) = (
            cost::lap_ms(ground, host, head),
            cost::chunk_ms(ground, host, head),
        );
        let head_busy_ms = cost::busy_ms(ground, host, head);
        let energy = match ground.host.power.drains() {
            true => ground.problem.wishes.energy_weight,
            false => 0.0,
        };
        Ok(Self {
            ground,
            host: Runs::new(ground, &ground.host, host),
            helpers: peers().map(|peer| helper(ground, peer)).collect(),
            hops_out: peers()
                .map(|to| hop(&ground.host, to, columns))
                .collect::<Result<_, PlanError>>()?,
            hops: peers()
                .map(|from| peers().map(|to| hop(from, to, columns)).collect())
                .collect::<Result<_, PlanError>>()?,
            hops_home: peers()
                .map(|from| hop(from, &ground.host, 1))
                .collect::<Result<_, PlanError>>()?,
            head_spent_ms: share * (ground.laps() * lap_ms + chunk_ms) + energy * head_busy_ms,
            head_busy_ms,
        })
    }

    /// Entries of a row: units placed, 0 to all blocks.
    pub fn width(&self) -> usize {
        self.ground.head() as usize + 1
    }

    /// What the host's first stage spends, by where it ends; infinite where it may not end.
    pub fn host_row(&self, limits: Limits, row: &mut [f64]) {
        let limits = Limits {
            busy_ms: limits.busy_ms - self.head_busy_ms,
            ..limits
        };
        let least = self.ground.host_end_least() as usize;
        let longest = self
            .ground
            .host_block_bytes()
            .map_or(0, |bytes| self.ground.longest_from(1, bytes)) as usize;
        for (end, spent) in row.iter_mut().enumerate() {
            let may_end = (least..=longest).contains(&end) && self.host.keeps(limits, 0, end);
            *spent = match may_end {
                true => self.host.spent.of(0, end),
                false => f64::INFINITY,
            };
        }
    }

    /// What the limits leave of every peer's memory.
    pub fn windows(&self, limits: Limits) -> Windows {
        let helpers = self.helpers.iter();
        Windows(helpers.map(|helper| helper.windows(limits)).collect())
    }

    /// Executors of a peer, each with its window.
    fn runs_of<'s>(
        &'s self,
        peer: usize,
        windows: &'s Windows,
    ) -> impl Iterator<Item = (&'s Runs, &'s [usize])> + 's {
        let runs = self.helpers.get(peer).map(|helper| &helper.runs);
        let windows = windows.0.get(peer);
        let both = runs
            .into_iter()
            .flatten()
            .zip(windows.into_iter().flatten());
        both.map(|(runs, window)| (runs, window.as_slice()))
    }

    /// `entered[i]`: cheapest way to a peer's door with i units placed. Lowers `left[i]` to the cheapest way out of it with i placed.
    pub fn run_row(
        &self,
        peer: usize,
        windows: &Windows,
        entered: &[f64],
        left: &mut [f64],
        moving: &mut MovingLeast,
    ) {
        for (runs, window) in self.runs_of(peer, windows) {
            moving.clear();
            let spent_before = &runs.spent.before;
            let starts = entered.iter().zip(spent_before).enumerate().skip(1);
            let ends = left.iter_mut().zip(spent_before).zip(window).skip(2);
            for ((start, (entered, start_spent)), ((left, end_spent), &earliest)) in
                starts.zip(ends)
            {
                moving.push(start, entered - start_spent);
                if let Some(least) = moving.least_from(earliest) {
                    *left = left.min(runs.spent.once + end_spent + least);
                }
            }
        }
    }

    /// The same from the other end. `onward[i]`: cheapest way on from a peer that was left with i units placed. Lowers `door[i]` to the
    /// cheapest way on from its door with i placed.
    pub fn run_back_row(
        &self,
        peer: usize,
        windows: &Windows,
        onward: &[f64],
        door: &mut [f64],
        moving: &mut MovingLeast,
    ) {
        let width = self.width();
        for (runs, window) in self.runs_of(peer, windows) {
            moving.clear();
            let mut latest = width - 1;
            let starts = door.iter_mut().zip(&runs.spent.before).enumerate();
            let ends = onward.iter().zip(&runs.spent.before).enumerate().skip(2);
            for ((start, (door, start_spent)), (end, (onward, end_spent))) in
                starts.take(width - 1).skip(1).rev().zip(ends.rev())
            {
                moving.push(width - end, onward + end_spent);
                while latest > start && window.get(latest).is_some_and(|first| *first > start) {
                    latest -= 1;
                }
                if let Some(least) = moving.least_from(width - latest) {
                    *door = door.min(runs.spent.once - start_spent + least);
                }
            }
        }
    }

    /// The run behind `left[end]`: where it starts, and with which executor.
    pub fn run_behind(
        &self,
        peer: usize,
        windows: &Windows,
        entered: &[f64],
        end: usize,
    ) -> Option<Stage> {
        let mut best: Option<(f64, usize, EngineKind)> = None;
        for (runs, window) in self.runs_of(peer, windows) {
            let earliest = window.get(end).copied()?;
            for (start, entered) in entered.iter().enumerate().take(end).skip(earliest) {
                let spent = runs.spent.once + runs.spent.at(end) + (entered - runs.spent.at(start));
                let better = best.is_none_or(|(least, ..)| spent < least);
                if better && spent.is_finite() {
                    best = Some((spent, start, runs.engine));
                }
            }
        }
        let (_, start, engine) = best?;
        Some(Stage {
            member: self.helpers.get(peer)?.phone.member,
            units: UnitRange {
                start: u32::try_from(start).ok()?,
                end: u32::try_from(end).ok()?,
            },
            engine,
        })
    }

    /// Spent on the way from the host (`None`) or a peer to a peer.
    pub fn hop_ms(&self, from: Option<usize>, to: usize, limits: Limits) -> f64 {
        let hops = match from {
            None => Some(&self.hops_out),
            Some(from) => self.hops.get(from),
        };
        let hop = hops.and_then(|hops| hops.get(to));
        hop.map_or(f64::INFINITY, |hop| hop.within(limits))
    }

    /// Spent from a peer's door to the end of the lap.
    pub fn home_ms(&self, from: usize, limits: Limits) -> f64 {
        let hop = self.hops_home.get(from);
        hop.map_or(f64::INFINITY, |hop| hop.within(limits)) + self.head_spent_ms
    }

    /// How often the objective has the slowest stage of a chunk.
    pub fn further_chunks(&self) -> f64 {
        let in_flight = self.ground.problem.workload.requests_in_flight;
        f64::from(self.ground.chunks() - 1) / f64::from(in_flight)
    }

    /// Executors of a peer.
    pub fn executors(&self, peer: usize) -> usize {
        self.helpers.get(peer).map_or(0, |helper| helper.runs.len())
    }

    /// What runs on a peer spend.
    pub fn spent(&self, peer: usize, executor: usize) -> Option<&Grown> {
        Some(&self.helpers.get(peer)?.runs.get(executor)?.spent)
    }

    /// The host's stages around a ring whose first run ends at `end`.
    pub fn close(&self, end: u32, runs: impl IntoIterator<Item = Stage>) -> Vec<Stage> {
        let stage = |start, end| Stage {
            member: self.ground.host.member,
            units: UnitRange { start, end },
            engine: self.host.engine,
        };
        let mut stages = vec![stage(0, end)];
        stages.extend(runs);
        stages.push(stage(self.ground.head(), self.ground.end));
        stages
    }

    /// What sums of this size may lose to rounding, ms.
    pub fn rounding_ms(&self) -> f64 {
        let all = self.helpers.iter().flat_map(|helper| &helper.runs);
        let largest = all
            .chain([&self.host])
            .map(|runs| runs.spent.at(self.ground.head() as usize))
            .fold(self.head_spent_ms, f64::max);
        largest * f64::EPSILON * 8.0 * (self.helpers.len() as f64 + 2.0)
    }
}

fn helper<'a>(ground: &Ground, phone: &'a Phone) -> Helper<'a> {
    Helper {
        phone,
        runs: phone
            .choices()
            .map(|speed| Runs::new(ground, phone, speed))
            .collect(),
        longest_before: (0..=ground.head())
            .map(|end| ground.longest_before(end, phone.usable_bytes))
            .collect(),
    }
}

/// The least of a window that only moves forward: starts whose value no later one undercuts.
#[derive(Debug, Default)]
pub(crate) struct MovingLeast {
    starts: VecDeque<(usize, f64)>,
}

impl MovingLeast {
    fn clear(&mut self) {
        self.starts.clear();
    }

    fn push(&mut self, start: usize, value: f64) {
        if value == f64::INFINITY {
            return;
        }
        while self.starts.back().is_some_and(|&(_, last)| last >= value) {
            self.starts.pop_back();
        }
        self.starts.push_back((start, value));
    }

    fn least_from(&mut self, earliest: usize) -> Option<f64> {
        while let Some(&(start, value)) = self.starts.front() {
            if start >= earliest {
                return Some(value);
            }
            self.starts.pop_front();
        }
        None
    }
}
