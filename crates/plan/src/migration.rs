//! What it costs to go from one plan to another while an answer is being written.

use std::collections::BTreeMap;

use model::UnitRange;

use crate::cost;
use crate::error::PlanError;
use crate::ground::Ground;
use crate::problem::Problem;
use crate::profile::{MemberId, Plan};

/// Downloads where none was measured, bytes per ms: 8 Mbit/s, less than most homes have.
const ASSUMED_DOWNLOAD_BYTES_PER_MS: f64 = 1000.0;
/// What switching takes besides caches: the last frames of the old plan, and everyone's word that they follow, in round trips.
const SWITCH_ROUND_TRIPS: f64 = 2.0;

/// How the caches of units that move get to their new phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvRoute {
    /// From the old phone.
    Transfer,
    /// The columns so far run through the new ring again.
    Prefill,
}

/// Units that change their phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitMove {
    /// Which.
    pub units: UnitRange,
    /// Their phone so far.
    pub from: MemberId,
    /// Their next phone.
    pub to: MemberId,
    /// The next phone has their weights already.
    pub held: bool,
}

/// What going from one plan to another takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Migration {
    /// In unit order.
    pub moves: Vec<UnitMove>,
    /// Until every phone has its weights, ms; the old plan goes on meanwhile.
    pub load_ms: f64,
    /// The answer stands still for so long, ms.
    pub pause_ms: f64,
    /// What makes it so.
    pub kv: KvRoute,
}

/// Cost of switching with `columns` cached, of all requests together: weights that nobody on the new side holds are downloaded in the background, then the caches
/// follow by whichever way is faster.
pub fn migration(
    problem: &Problem,
    from: &Plan,
    to: &Plan,
    columns: u32,
) -> Result<Migration, PlanError> {
    let ground = Ground::new(problem)?;
    let moves = moves(&ground, from, to);
    let prefill_ms = prefill_ms(problem, to, columns)?;
    let transfer_ms = transfer_ms(&ground, &moves, columns);
    let (kv, kv_ms) = match transfer_ms.filter(|&ms| ms <= prefill_ms) {
        Some(ms) => (KvRoute::Transfer, ms),
        None => (KvRoute::Prefill, prefill_ms),
    };
    let farthest_ms = to
        .stages
        .iter()
        .filter_map(|stage| problem.hops.ms(MemberId::HOST, stage.member))
        .fold(0.0, f64::max);
    let kv_ms = if moves.is_empty() { 0.0 } else { kv_ms };
    Ok(Migration {
        load_ms: load_ms(&ground, &moves),
        pause_ms: kv_ms + SWITCH_ROUND_TRIPS * 2.0 * farthest_ms,
        kv,
        moves,
    })
}

/// Runs of units whose phone changes.
fn moves(ground: &Ground, from: &Plan, to: &Plan) -> Vec<UnitMove> {
    let owner = |plan: &Plan, unit: u32| {
        let mut stages = plan.stages.iter();
        let stage = stages.find(|stage| stage.units.contains(unit));
        stage.map(|stage| stage.member)
    };
    let holds = |member: MemberId, unit: u32| {
        let mut held = from.held_by(member);
        held.any(|held| held.contains(unit))
    };
    let mut moves: Vec<UnitMove> = Vec::new();
    for unit in 0..ground.end {
        let (Some(from), Some(to)) = (owner(from, unit), owner(to, unit)) else {
            continue;
        };
        if from == to {
            continue;
        }
        let held = holds(to, unit);
        match moves.last_mut() {
            Some(last)
                if last.units.end == unit
                    && (last.from, last.to, last.held) == (from, to, held) =>
            {
                last.units.end += 1;
            }
            _ => moves.push(UnitMove {
                units: UnitRange {
                    start: unit,
                    end: unit + 1,
                },
                from,
                to,
                held,
            }),
        }
    }
    moves
}

/// Phones download at the same time.
fn load_ms(ground: &Ground, moves: &[UnitMove]) -> f64 {
    let mut by_phone = BTreeMap::<MemberId, f64>::new();
    for step in moves.iter().filter(|step| !step.held) {
        let profile = ground.problem.phones.iter();
        let rate = profile
            .filter(|phone| phone.member == step.to)
            .find_map(|phone| phone.download_bytes_per_ms);
        let weights = units(ground, step.units).map(|unit| unit.weight_bytes);
        *by_phone.entry(step.to).or_default() +=
            weights.sum::<u64>() as f64 / rate.unwrap_or(ASSUMED_DOWNLOAD_BYTES_PER_MS);
    }
    by_phone.into_values().fold(0.0, f64::max)
}

/// Pairs send at the same time; `None` if a pair's throughput is not known.
fn transfer_ms(ground: &Ground, moves: &[UnitMove], columns: u32) -> Option<f64> {
    let context = f64::from(ground.problem.class.context_columns);
    let cached = (f64::from(columns) / context).min(f64::from(ground.problem.slots));
    let hops = &ground.problem.hops;
    let mut by_pair = BTreeMap::<(MemberId, MemberId), f64>::new();
    for step in moves {
        if !hops.has_rate(step.from, step.to) {
            return None;
        }
        let kv_bytes: u64 = units(ground, step.units).map(|unit| unit.kv_bytes).sum();
        let bytes = (kv_bytes as f64 * cached).ceil() as u64;
        *by_pair.entry((step.from, step.to)).or_default() +=
            hops.transfer_ms(step.from, step.to, bytes)?;
    }
    let mut with_hop = by_pair
        .into_iter()
        .map(|((from, to), ms)| Some(ms + hops.ms(from, to)?));
    with_hop.try_fold(0.0, |slowest: f64, ms| Some(slowest.max(ms?)))
}

/// Everything cached once more through the new ring.
fn prefill_ms(problem: &Problem, to: &Plan, columns: u32) -> Result<f64, PlanError> {
    if columns == 0 {
        return Ok(0.0);
    }
    let mut again = problem.clone();
    again.workload.prompt_tokens = columns;
    Ok(cost::cost(&again, &to.stages)?.prefill_ms)
}

fn units<'a>(
    ground: &'a Ground,
    range: UnitRange,
) -> impl Iterator<Item = &'a crate::profile::UnitNeed> {
    let from = ground.problem.units.iter().skip(range.start as usize);
    from.take(range.len() as usize)
}
