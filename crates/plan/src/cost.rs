//! What a plan costs: the single truth. Solvers are judged by it.

use std::collections::BTreeMap;

use model::{EngineKind, UnitRange};

use crate::error::PlanError;
use crate::ground::{Ground, Speed};
use crate::problem::Problem;
use crate::profile::{MemberId, Stage};

/// Predicted times and memory of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// One generated token: every stage, every hop, back to the host.
    pub ms_per_token: f64,
    /// The workload's prompt, in chunks, pipelined through the ring, up to the first logits.
    pub prefill_ms: f64,
    /// The workload's whole request: what plans are compared by.
    pub request_ms: f64,
    /// One entry per stage, in ring order.
    pub stages: Vec<StageCost>,
    /// One entry per member that runs a stage, ascending.
    pub members: Vec<MemberBytes>,
}

/// Predicted times of one stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageCost {
    /// One generated column, with the call.
    pub decode_ms: f64,
    /// One prefill chunk, with the call; the head runs for one column only.
    pub chunk_ms: f64,
    /// To the next stage; 0 if it is on the same phone.
    pub hop_ms: f64,
}

/// Memory one member needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberBytes {
    /// Who.
    pub member: MemberId,
    /// Weights, KV and scratch memory.
    pub bytes: u64,
}

/// Cost of stages in ring order. The stages need not be a valid plan, but every phone and executor must have been measured.
pub fn cost(problem: &Problem, stages: &[Stage]) -> Result<Cost, PlanError> {
    of_stages(&Ground::new(problem)?, stages)
}

pub(crate) fn of_stages(ground: &Ground, stages: &[Stage]) -> Result<Cost, PlanError> {
    let mut costs = Vec::with_capacity(stages.len());
    let mut bytes = BTreeMap::<MemberId, u64>::new();
    let followers = stages.iter().skip(1).chain(stages.first());
    for (stage, follower) in stages.iter().zip(followers) {
        let speed = speed_of(ground, stage.member, stage.engine)?;
        costs.push(StageCost {
            decode_ms: decode_ms(ground, speed, stage.units),
            chunk_ms: chunk_ms(ground, speed, stage.units),
            hop_ms: ground.hop_ms(stage.member, follower.member)?,
        });
        *bytes
            .entry(stage.member)
            .or_insert(ground.problem.scratch_bytes) += ground.bytes(stage.units);
    }
    let ms_per_token = costs
        .iter()
        .map(|stage| stage.decode_ms + stage.hop_ms)
        .sum();
    let once: f64 = costs
        .iter()
        .map(|stage| stage.chunk_ms + stage.hop_ms)
        .sum();
    let prefill_ms = once + f64::from(ground.chunks() - 1) * bottleneck_ms(ground, stages)?;
    Ok(Cost {
        ms_per_token,
        prefill_ms,
        request_ms: prefill_ms + f64::from(ground.problem.workload.output_tokens) * ms_per_token,
        stages: costs,
        members: bytes
            .into_iter()
            .map(|(member, bytes)| MemberBytes { member, bytes })
            .collect(),
    })
}

/// One generated column through a run of units.
pub(crate) fn decode_ms(ground: &Ground, speed: &Speed, units: UnitRange) -> f64 {
    speed.ms_per_call + speed.decode.times(ground.counts(units))
}

/// One prefill chunk through a run of units; of the last chunk the head sees the last column only.
pub(crate) fn chunk_ms(ground: &Ground, speed: &Speed, units: UnitRange) -> f64 {
    let mut counts = ground.counts(units);
    let head_ms = f64::from(counts.head) * speed.decode.head;
    counts.head = 0;
    speed.ms_per_call + speed.chunk.times(counts) + head_ms
}

/// What a stage adds to every chunk after the first, if it is the slowest: the head waits for the last chunk.
pub(crate) fn steady_chunk_ms(ground: &Ground, speed: &Speed, units: UnitRange) -> f64 {
    let below_head = UnitRange {
        start: units.start,
        end: units.end.min(ground.head()),
    };
    if below_head.is_empty() {
        0.0
    } else {
        chunk_ms(ground, speed, below_head)
    }
}

fn bottleneck_ms(ground: &Ground, stages: &[Stage]) -> Result<f64, PlanError> {
    stages.iter().try_fold(0.0_f64, |slowest, stage| {
        let speed = speed_of(ground, stage.member, stage.engine)?;
        Ok(slowest.max(steady_chunk_ms(ground, speed, stage.units)))
    })
}

fn speed_of<'a>(
    ground: &'a Ground,
    member: MemberId,
    engine: EngineKind,
) -> Result<&'a Speed, PlanError> {
    let phone = ground.phone(member);
    let speed = phone.and_then(|phone| phone.speeds.iter().find(|speed| speed.engine == engine));
    speed.ok_or(PlanError::NotMeasured { member, engine })
}
