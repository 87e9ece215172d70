//! A linear relaxation of placement: units may be split and phones half used. Nothing is faster than its optimum.

use minilp::{ComparisonOp, OptimizationDirection, Variable};
use model::{UnitKind, UnitRange};

use crate::error::PlanError;
use crate::ground::{Ground, Phone, Speed};
use crate::problem::Problem;

/// No plan of the problem is faster.
#[derive(Debug, Clone, PartialEq)]
pub struct LowerBound {
    /// One generated token.
    pub ms_per_token: f64,
    /// The workload's request.
    pub request_ms: f64,
}

/// Solves the relaxation for both measures.
pub fn lower_bound(problem: &Problem) -> Result<LowerBound, PlanError> {
    let ground = Ground::new(problem)?;
    Ok(LowerBound {
        ms_per_token: relax(&ground, Measure::token())?.bound_ms,
        request_ms: relax(&ground, Measure::request(&ground))?.bound_ms,
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

/// Simplex answers carry rounding errors; a bound gives that much away.
const ROUNDING: f64 = 1e-7;

pub(crate) fn relax(ground: &Ground, measure: Measure) -> Result<Relaxed, PlanError> {
    let blocks = blocks(ground);
    let scale_ms = scale_ms(ground, &blocks, measure);
    let mut programme = minilp::Problem::new(OptimizationDirection::Minimize);
    let slowest = programme.add_var(measure.further_chunks, (0.0, f64::INFINITY));
    let ring = programme.add_var(ring_ms(ground, measure) / scale_ms, (0.0, 1.0));

    let mut phones = Vec::new();
    for phone in core::iter::once(&ground.host).chain(&ground.peers) {
        let enter_ms = entry_hop_ms(ground, phone)? * (measure.decode + measure.chunk);
        let columns: Vec<_> = phone
            .speeds
            .iter()
            .map(|speed| {
                add_column(
                    &mut programme,
                    &blocks,
                    speed,
                    measure,
                    (is_host(ground, phone), enter_ms, scale_ms),
                )
            })
            .collect();
        add_phone_rows(
            &mut programme,
            ground,
            phone,
            &columns,
            &blocks,
            (slowest, ring, scale_ms),
        );
        phones.push(columns);
    }
    for at in 0..blocks.len() {
        let shares = phones
            .iter()
            .flatten()
            .filter_map(|column| column.shares.get(at));
        programme.add_constraint(shares.map(|&share| (share, 1.0)), ComparisonOp::Eq, 1.0);
    }
    let solution = programme.solve().map_err(|error| PlanError::Numbers {
        detail: format!("the linear programme failed: {error}"),
    })?;
    let all: f64 = blocks.iter().map(|kind| kind.count).sum();
    let share = |columns: &Vec<Column>| {
        let of_kinds = columns
            .iter()
            .flat_map(|column| column.shares.iter().zip(&blocks));
        of_kinds
            .map(|(&share, kind)| solution[share] * kind.count)
            .sum::<f64>()
            / all.max(1.0)
    };
    Ok(Relaxed {
        bound_ms: (solution.objective() * scale_ms * (1.0 - ROUNDING)).max(0.0),
        peer_shares: phones.iter().skip(1).map(share).collect(),
    })
}

fn is_host(ground: &Ground, phone: &Phone) -> bool {
    phone.member == ground.host.member
}

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

/// The programme's unit of time: about what one phone alone would take, so that coefficients are near 1.
fn scale_ms(ground: &Ground, blocks: &[Blocks], measure: Measure) -> f64 {
    let speeds = core::iter::once(&ground.host)
        .chain(&ground.peers)
        .flat_map(|phone| &phone.speeds);
    let all_blocks = |speed: &Speed| {
        blocks
            .iter()
            .map(|kind| kind.count * stage_ms(speed, kind.kind, measure))
            .sum::<f64>()
    };
    speeds.map(all_blocks).fold(1e-3, f64::max)
}

fn stage_ms(speed: &Speed, kind: UnitKind, measure: Measure) -> f64 {
    measure.stage(speed.decode.of(kind), speed.chunk.of(kind))
}

/// If any peer is used the ring closes with a hop to the host and a second call there.
fn ring_ms(ground: &Ground, measure: Measure) -> f64 {
    let home = ground
        .peers
        .iter()
        .filter_map(|peer| ground.problem.hops.ms(peer.member, ground.host.member));
    let call = ground.host.speeds.iter().map(|speed| speed.ms_per_call);
    let least = |ms: &mut dyn Iterator<Item = f64>| ms.reduce(f64::min).unwrap_or(0.0);
    (measure.decode + measure.chunk) * (least(&mut home.into_iter()) + least(&mut call.into_iter()))
}

/// Every used peer is entered by one hop, at best from its nearest neighbour.
fn entry_hop_ms(ground: &Ground, phone: &Phone) -> Result<f64, PlanError> {
    if is_host(ground, phone) {
        return Ok(0.0);
    }
    let mut nearest = ground.hop_ms(ground.host.member, phone.member)?;
    for other in ground
        .peers
        .iter()
        .filter(|other| other.member != phone.member)
    {
        nearest = nearest.min(ground.hop_ms(other.member, phone.member)?);
    }
    Ok(nearest)
}

fn add_column(
    programme: &mut minilp::Problem,
    blocks: &[Blocks],
    speed: &Speed,
    measure: Measure,
    (host, enter_ms, scale_ms): (bool, f64, f64),
) -> Column {
    let mut used_ms = enter_ms + measure.stage(speed.ms_per_call, speed.ms_per_call);
    if host {
        used_ms += measure.stage(speed.decode.embedding, speed.chunk.embedding)
            + measure.stage(speed.decode.head, speed.decode.head);
    }
    let shares = blocks
        .iter()
        .map(|kind| kind.count * stage_ms(speed, kind.kind, measure) / scale_ms);
    Column {
        used: programme.add_var(used_ms / scale_ms, (0.0, 1.0)),
        shares: shares.map(|ms| programme.add_var(ms, (0.0, 1.0))).collect(),
    }
}

fn add_phone_rows(
    programme: &mut minilp::Problem,
    ground: &Ground,
    phone: &Phone,
    columns: &[Column],
    blocks: &[Blocks],
    (slowest, ring, scale_ms): (Variable, Variable, f64),
) {
    let host = is_host(ground, phone);
    let once = columns.iter().map(|column| (column.used, 1.0));
    if host {
        programme.add_constraint(once, ComparisonOp::Eq, 1.0);
    } else {
        programme.add_constraint(once, ComparisonOp::Le, 1.0);
        let closes = columns
            .iter()
            .map(|column| (column.used, 1.0))
            .chain([(ring, -1.0)]);
        programme.add_constraint(closes, ComparisonOp::Le, 0.0);
    }
    for column in columns {
        for &share in &column.shares {
            programme.add_constraint([(share, 1.0), (column.used, -1.0)], ComparisonOp::Le, 0.0);
        }
    }
    let offered = if host {
        ground.host_block_bytes().unwrap_or(0)
    } else {
        phone.usable_bytes
    };
    let total = ground
        .bytes(UnitRange {
            start: 0,
            end: ground.end,
        })
        .max(1) as f64;
    let held = columns
        .iter()
        .flat_map(|column| column.shares.iter().zip(blocks));
    let held = held.map(|(&share, kind)| (share, kind.count * kind.unit_bytes / total));
    programme.add_constraint(held, ComparisonOp::Le, (offered as f64 / total).min(1.0));

    let busy = phone
        .speeds
        .iter()
        .zip(columns)
        .flat_map(|(speed, column)| {
            let call_ms = speed.ms_per_call + if host { speed.chunk.embedding } else { 0.0 };
            let of_blocks = column.shares.iter().zip(blocks);
            let of_blocks = of_blocks
                .map(|(&share, kind)| (share, kind.count * speed.chunk.of(kind.kind) / scale_ms));
            of_blocks.chain([(column.used, call_ms / scale_ms)])
        });
    programme.add_constraint(busy.chain([(slowest, -1.0)]), ComparisonOp::Le, 0.0);
}
