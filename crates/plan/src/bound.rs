//! A linear relaxation of placement: units may be split and phones half used. Nothing is faster than its optimum.

use minilp::{ComparisonOp, OptimizationDirection, Variable};
use model::{UnitKind, UnitRange};

use crate::cost::{self, Cost};
use crate::error::PlanError;
use crate::ground::{Ground, Phone, Speed};
use crate::problem::Problem;
use crate::solve;

/// No plan of the problem is faster.
#[derive(Debug, Clone, PartialEq)]
pub struct LowerBound {
    /// One generated token.
    pub ms_per_token: f64,
    /// What plans are compared by.
    pub objective_ms: f64,
}

/// Solves the relaxation for both measures. The plan is solved first, since its cost scales the programme.
pub fn lower_bound(problem: &Problem) -> Result<LowerBound, PlanError> {
    let ground = Ground::new(problem)?;
    let known = cost::of_stages(&ground, &solve::best_stages(&ground)?.stages)?;
    Ok(LowerBound {
        ms_per_token: token_ms(&ground, &known)?,
        objective_ms: objective_ms(&ground, &known)?,
    })
}

/// Least ms per generated token.
pub(crate) fn token_ms(ground: &Ground, known: &Cost) -> Result<f64, PlanError> {
    let measure = Measure {
        laps: 1.0 / ground.problem.workload.lap.tokens,
        ..Measure::default()
    };
    Ok(relax(ground, measure, known.ms_per_token)?.bound_ms)
}

/// Least objective.
pub(crate) fn objective_ms(ground: &Ground, known: &Cost) -> Result<f64, PlanError> {
    let (measure, known_ms) = latency_measure(ground, known);
    let latency_ms = relax(ground, measure, known_ms)?.bound_ms;
    if ground.problem.workload.requests_in_flight == 1 {
        return Ok(latency_ms);
    }
    let measure = Measure {
        slowest_laps: ground.laps(),
        slowest_chunks: f64::from(ground.chunks()),
        ..Measure::default()
    };
    Ok(latency_ms.max(relax(ground, measure, known.busiest_ms())?.bound_ms))
}

/// Share of all blocks on each peer where the relaxation of the objective is least, in the order of `Ground::peers`.
pub(crate) fn peer_shares(ground: &Ground, known: &Cost) -> Result<Vec<f64>, PlanError> {
    let (measure, known_ms) = latency_measure(ground, known);
    Ok(relax(ground, measure, known_ms)?.peer_shares)
}

/// A request's share of the time and its weight on batteries, and what a known plan costs in it.
fn latency_measure(ground: &Ground, known: &Cost) -> (Measure, f64) {
    let workload = &ground.problem.workload;
    let share = 1.0 / f64::from(workload.requests_in_flight);
    let energy = ground.problem.wishes.energy_weight;
    let measure = Measure {
        laps: share * ground.laps(),
        chunks: share,
        slowest_laps: 0.0,
        slowest_chunks: share * f64::from(ground.chunks() - 1),
        battery_laps: energy * ground.laps(),
        battery_chunks: energy * f64::from(ground.chunks()),
    };
    (
        measure,
        share * known.latency_ms + energy * known.battery_ms,
    )
}

/// What is paid how often.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    /// Every stage and hop.
    laps: f64,
    chunks: f64,
    /// The slowest phone only.
    slowest_laps: f64,
    slowest_chunks: f64,
    /// Stages on battery, besides.
    battery_laps: f64,
    battery_chunks: f64,
}

impl Measure {
    fn stage(&self, phone: &Phone, lap_ms: f64, chunk_ms: f64) -> f64 {
        let everywhere = self.laps * lap_ms + self.chunks * chunk_ms;
        match phone.power.drains() {
            true => everywhere + self.battery_laps * lap_ms + self.battery_chunks * chunk_ms,
            false => everywhere,
        }
    }

    fn slowest(&self, lap_ms: f64, chunk_ms: f64) -> f64 {
        self.slowest_laps * lap_ms + self.slowest_chunks * chunk_ms
    }
}

/// Optimum of the relaxation.
#[derive(Debug, Clone, PartialEq)]
struct Relaxed {
    bound_ms: f64,
    peer_shares: Vec<f64>,
}

/// Blocks of one kind.
struct Blocks {
    kind: UnitKind,
    count: f64,
    /// Of the lightest: relaxing the memory rows keeps the bound a bound.
    unit_bytes: f64,
}

/// One executor of one phone in the programme.
struct Column {
    used: Variable,
    /// Share of each kind of blocks, in the order of the blocks.
    shares: Vec<Variable>,
}

/// The relaxation in units of a known plan's cost.
///
/// minilp panics on a singular basis, and the numbers in it come from other phones. So every coefficient is brought into 0..=1: a cost above
/// the known plan's counts as that (no better plan pays it), and what enters the basis is rounded down to a coarse grid. Both only lower
/// the optimum.
struct Programme<'a> {
    ground: &'a Ground<'a>,
    measure: Measure,
    known_ms: f64,
    blocks: Vec<Blocks>,
    lp: minilp::Problem,
}

/// Steps of the coefficients in the basis.
const GRID: f64 = 4096.0;
/// Simplex answers are optimal up to 1e-8 per variable; a bound gives that much away.
const SLACK: f64 = 1e-6;

/// `known_ms`: what some plan costs in this measure.
fn relax(ground: &Ground, measure: Measure, known_ms: f64) -> Result<Relaxed, PlanError> {
    if known_ms <= 0.0 {
        return Ok(Relaxed {
            bound_ms: 0.0,
            peer_shares: vec![0.0; ground.peers.len()],
        });
    }
    let programme = Programme {
        ground,
        measure,
        known_ms,
        blocks: blocks(ground),
        lp: minilp::Problem::new(OptimizationDirection::Minimize),
    };
    programme.solve()
}

impl Programme<'_> {
    fn solve(mut self) -> Result<Relaxed, PlanError> {
        let slowest = self.lp.add_var(1.0, (0.0, 1.0));
        let ring_cost = self.cost(self.ring_ms());
        let ring = self.lp.add_var(ring_cost, (0.0, 1.0));
        let mut phones = Vec::new();
        for phone in core::iter::once(&self.ground.host).chain(&self.ground.peers) {
            let entry_ms = self.entry_ms(phone)?;
            let columns: Vec<_> = phone
                .speeds
                .iter()
                .map(|speed| self.add_column(phone, speed, entry_ms))
                .collect();
            self.add_use_rows(phone, &columns, ring);
            self.add_memory_rows(phone, &columns);
            self.add_slowest_row(phone, &columns, slowest);
            phones.push(columns);
        }
        for at in 0..self.blocks.len() {
            let shares = phones
                .iter()
                .flatten()
                .filter_map(|column| column.shares.get(at));
            self.lp
                .add_constraint(shares.map(|&share| (share, 1.0)), ComparisonOp::Eq, 1.0);
        }
        let solution = self.lp.solve().map_err(|error| PlanError::Numbers {
            detail: format!("the linear programme failed: {error}"),
        })?;
        let all: f64 = self.blocks.iter().map(|kind| kind.count).sum();
        let share = |columns: &Vec<Column>| {
            let of_kinds = columns
                .iter()
                .flat_map(|column| column.shares.iter().zip(&self.blocks));
            of_kinds
                .map(|(&share, kind)| solution[share] * kind.count)
                .sum::<f64>()
                / all.max(1.0)
        };
        Ok(Relaxed {
            bound_ms: (solution.objective() - SLACK).max(0.0) * self.known_ms,
            peer_shares: phones.iter().skip(1).map(share).collect(),
        })
    }

    /// A cost in units of the known plan's.
    fn cost(&self, ms: f64) -> f64 {
        (ms / self.known_ms).min(1.0)
    }

    /// One executor of a phone; the host's brings embedding and head with it.
    fn add_column(&mut self, phone: &Phone, speed: &Speed, entry_ms: f64) -> Column {
        let measure = &self.measure;
        let mut used_ms = entry_ms + measure.stage(phone, speed.ms_per_call, speed.ms_per_call);
        if self.is_host(phone) {
            used_ms += measure.stage(phone, speed.lap.embedding, speed.chunk.embedding);
            used_ms += measure.stage(phone, speed.lap.head, 0.0);
            used_ms += measure.chunks * speed.head_column_ms;
        }
        let stage_ms = |kind: &Blocks| {
            kind.count * measure.stage(phone, speed.lap.of(kind.kind), speed.chunk.of(kind.kind))
        };
        let used_cost = self.cost(used_ms);
        let share_costs: Vec<f64> = self
            .blocks
            .iter()
            .map(|kind| self.cost(stage_ms(kind)))
            .collect();
        Column {
            used: self.lp.add_var(used_cost, (0.0, 1.0)),
            shares: share_costs
                .into_iter()
                .map(|cost| self.lp.add_var(cost, (0.0, 1.0)))
                .collect(),
        }
    }

    /// One executor at most, on the host exactly one; blocks only on a phone that is used; a used peer closes the ring.
    fn add_use_rows(&mut self, phone: &Phone, columns: &[Column], ring: Variable) {
        let once = columns.iter().map(|column| (column.used, 1.0));
        if self.is_host(phone) {
            self.lp.add_constraint(once, ComparisonOp::Eq, 1.0);
        } else {
            self.lp
                .add_constraint(once.chain([(ring, -1.0)]), ComparisonOp::Le, 0.0);
        }
        for column in columns {
            for &share in &column.shares {
                self.lp
                    .add_constraint([(share, 1.0), (column.used, -1.0)], ComparisonOp::Le, 0.0);
            }
        }
    }

    /// A phone used in part holds only that part of what it could: a hop is paid for every full phone at least.
    fn add_memory_rows(&mut self, phone: &Phone, columns: &[Column]) {
        let offered = match self.is_host(phone) {
            true => self.ground.host_block_bytes().unwrap_or(0),
            false => phone.usable_bytes,
        };
        let everything = UnitRange {
            start: 0,
            end: self.ground.end,
        };
        let total = self.ground.bytes(everything).max(1) as f64;
        let offered = (offered as f64 / total * GRID).ceil() / GRID;
        for column in columns {
            let held = column.shares.iter().zip(&self.blocks);
            let held =
                held.map(|(&share, kind)| (share, down(kind.count * kind.unit_bytes / total)));
            self.lp.add_constraint(
                held.chain([(column.used, -offered.min(1.0))]),
                ComparisonOp::Le,
                0.0,
            );
        }
    }

    /// `slowest` is what is paid for the slowest phone.
    fn add_slowest_row(&mut self, phone: &Phone, columns: &[Column], slowest: Variable) {
        let mut busy = vec![(slowest, -1.0)];
        for (speed, column) in phone.speeds.iter().zip(columns) {
            let measure = &self.measure;
            let paid =
                |lap_ms: f64, chunk_ms: f64| down(self.cost(measure.slowest(lap_ms, chunk_ms)));
            let (mut lap_ms, mut chunk_ms) = (speed.ms_per_call, speed.ms_per_call);
            if self.is_host(phone) {
                lap_ms += speed.lap.embedding + speed.lap.head;
                chunk_ms += speed.chunk.embedding;
            }
            busy.push((column.used, paid(lap_ms, chunk_ms)));
            let shares = column.shares.iter().zip(&self.blocks);
            busy.extend(shares.map(|(&share, kind)| {
                let (lap_ms, chunk_ms) = (speed.lap.of(kind.kind), speed.chunk.of(kind.kind));
                (share, paid(kind.count * lap_ms, kind.count * chunk_ms))
            }));
        }
        self.lp.add_constraint(busy, ComparisonOp::Le, 0.0);
    }

    /// If any peer is used the ring closes with a hop to the host and a second call there.
    fn ring_ms(&self) -> f64 {
        let (ground, measure) = (self.ground, &self.measure);
        let lap_columns = ground.problem.workload.lap.columns;
        let home = ground.peers.iter().filter_map(|peer| {
            let hop = |columns| ground.hop_ms(peer.member, ground.host.member, columns).ok();
            Some(measure.laps * hop(lap_columns)? + measure.chunks * hop(1)?)
        });
        let call = ground.host.speeds.iter();
        let call = call.map(|speed| {
            measure.stage(&ground.host, speed.ms_per_call, 0.0) + measure.chunks * speed.ms_per_call
        });
        home.reduce(f64::min).unwrap_or(0.0) + call.reduce(f64::min).unwrap_or(0.0)
    }

    /// Every used peer is entered by one hop, at best from its nearest neighbour.
    fn entry_ms(&self, phone: &Phone) -> Result<f64, PlanError> {
        if self.is_host(phone) {
            return Ok(0.0);
        }
        let (ground, measure) = (self.ground, &self.measure);
        let lap_columns = ground.problem.workload.lap.columns;
        let chunk_columns = ground.problem.class.chunk_columns;
        let mut nearest = f64::INFINITY;
        for other in core::iter::once(&ground.host).chain(&ground.peers) {
            if other.member != phone.member {
                let hop = |columns| ground.hop_ms(other.member, phone.member, columns);
                let paid = measure.laps * hop(lap_columns)? + measure.chunks * hop(chunk_columns)?;
                nearest = nearest.min(paid);
            }
        }
        Ok(nearest)
    }

    fn is_host(&self, phone: &Phone) -> bool {
        phone.member == self.ground.host.member
    }
}

fn down(coefficient: f64) -> f64 {
    (coefficient * GRID).floor() / GRID
}

/// Kinds of blocks the model has.
fn blocks(ground: &Ground) -> Vec<Blocks> {
    let of = |kind: UnitKind| {
        let needs = || ground.problem.units.iter().filter(|unit| unit.kind == kind);
        let unit_bytes = needs().map(|unit| ground.problem.unit_bytes(unit)).min()?;
        Some(Blocks {
            kind,
            count: needs().count() as f64,
            unit_bytes: unit_bytes as f64,
        })
    };
    [UnitKind::Attention, UnitKind::Mlp]
        .into_iter()
        .filter_map(of)
        .collect()
}
