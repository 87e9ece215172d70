//! A linear relaxation of placement: units may be split and phones half used. Nothing is faster than its optimum.

use minilp::{ComparisonOp, OptimizationDirection, Variable};
use model::{UnitKind, UnitRange};

use crate::cost;
use crate::error::PlanError;
use crate::ground::{Ground, Phone, Speed};
use crate::problem::Problem;
use crate::solve;

/// No plan of the problem is faster.
#[derive(Debug, Clone, PartialEq)]
pub struct LowerBound {
    /// One generated token.
    pub ms_per_token: f64,
    /// The workload's request.
    pub request_ms: f64,
}

/// Solves the relaxation for both measures. The plan is solved first, since its cost scales the programme.
pub fn lower_bound(problem: &Problem) -> Result<LowerBound, PlanError> {
    let ground = Ground::new(problem)?;
    let known = cost::of_stages(&ground, &solve::cheapest_stages(&ground)?)?;
    Ok(LowerBound {
        ms_per_token: relax(&ground, Measure::token(), known.ms_per_token)?.bound_ms,
        request_ms: relax(&ground, Measure::request(&ground), known.request_ms)?.bound_ms,
    })
}

/// How often a request pays for a decode step, a first chunk and a further chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    decode: f64,
    chunk: f64,
    further_chunks: f64,
}

impl Measure {
    pub fn token() -> Self {
        Self {
            decode: 1.0,
            chunk: 0.0,
            further_chunks: 0.0,
        }
    }

    pub fn request(ground: &Ground) -> Self {
        Self {
            decode: f64::from(ground.problem.workload.output_tokens),
            chunk: 1.0,
            further_chunks: f64::from(ground.chunks() - 1),
        }
    }

    /// How often a hop or a call is paid.
    fn once(&self) -> f64 {
        self.decode + self.chunk
    }

    fn stage(&self, decode_ms: f64, chunk_ms: f64) -> f64 {
        self.decode * decode_ms + self.chunk * chunk_ms
    }
}

/// Optimum of the relaxation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Relaxed {
    pub bound_ms: f64,
    /// Share of all blocks on each peer, in the order of `Ground::peers`.
    pub peer_shares: Vec<f64>,
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
pub(crate) fn relax(
    ground: &Ground,
    measure: Measure,
    known_ms: f64,
) -> Result<Relaxed, PlanError> {
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
            self.add_memory_row(phone, &columns);
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
        let mut used_ms = entry_ms + self.measure.stage(speed.ms_per_call, speed.ms_per_call);
        if self.is_host(phone) {
            used_ms += self
                .measure
                .stage(speed.decode.embedding, speed.chunk.embedding)
                + self.measure.stage(speed.decode.head, speed.decode.head);
        }
        let stage_ms = |kind: &Blocks| {
            kind.count
                * self
                    .measure
                    .stage(speed.decode.of(kind.kind), speed.chunk.of(kind.kind))
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

    fn add_memory_row(&mut self, phone: &Phone, columns: &[Column]) {
        let offered = match self.is_host(phone) {
            true => self.ground.host_block_bytes().unwrap_or(0),
            false => phone.usable_bytes,
        };
        let everything = UnitRange {
            start: 0,
            end: self.ground.end,
        };
        let total = self.ground.bytes(everything).max(1) as f64;
        let held = columns
            .iter()
            .flat_map(|column| column.shares.iter().zip(&self.blocks));
        let held = held.map(|(&share, kind)| (share, down(kind.count * kind.unit_bytes / total)));
        let offered = (offered as f64 / total * GRID).ceil() / GRID;
        self.lp
            .add_constraint(held, ComparisonOp::Le, offered.min(1.0));
    }

    /// `slowest` is what all chunks after the first cost on the slowest phone.
    fn add_slowest_row(&mut self, phone: &Phone, columns: &[Column], slowest: Variable) {
        let mut busy = vec![(slowest, -1.0)];
        for (speed, column) in phone.speeds.iter().zip(columns) {
            let embedding_ms = if self.is_host(phone) {
                speed.chunk.embedding
            } else {
                0.0
            };
            let further = |ms: f64| down(self.cost(self.measure.further_chunks * ms));
            busy.push((column.used, further(speed.ms_per_call + embedding_ms)));
            let shares = column.shares.iter().zip(&self.blocks);
            busy.extend(
                shares
                    .map(|(&share, kind)| (share, further(kind.count * speed.chunk.of(kind.kind)))),
            );
        }
        self.lp.add_constraint(busy, ComparisonOp::Le, 0.0);
    }

    /// If any peer is used the ring closes with a hop to the host and a second call there.
    fn ring_ms(&self) -> f64 {
        let hops = &self.ground.problem.hops;
        let home = self
            .ground
            .peers
            .iter()
            .filter_map(|peer| hops.ms(peer.member, self.ground.host.member));
        let call = self
            .ground
            .host
            .speeds
            .iter()
            .map(|speed| speed.ms_per_call);
        self.measure.once()
            * (home.reduce(f64::min).unwrap_or(0.0) + call.reduce(f64::min).unwrap_or(0.0))
    }

    /// Every used peer is entered by one hop, at best from its nearest neighbour.
    fn entry_ms(&self, phone: &Phone) -> Result<f64, PlanError> {
        if self.is_host(phone) {
            return Ok(0.0);
        }
        let mut nearest = self.ground.hop_ms(self.ground.host.member, phone.member)?;
        for other in self
            .ground
            .peers
            .iter()
            .filter(|other| other.member != phone.member)
        {
            nearest = nearest.min(self.ground.hop_ms(other.member, phone.member)?);
        }
        Ok(self.measure.once() * nearest)
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
        let unit_bytes = needs()
            .map(|unit| unit.weight_bytes + unit.kv_bytes)
            .min()?;
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
