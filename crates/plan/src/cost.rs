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
    /// One generated token of one request: every stage, every hop, back to the host, by the tokens of a lap.
    pub ms_per_token: f64,
    /// The workload's prompt, in chunks, pipelined through the ring, up to the first logits.
    pub prefill_ms: f64,
    /// Every chunk after the first adds so much: the slowest stage or transfer.
    pub slowest_chunk_ms: f64,
    /// From question to last token.
    pub latency_ms: f64,
    /// Time per request with the workload's requests in flight: the latency's share, or the time of the busiest phone if that is longer.
    pub request_ms: f64,
    /// What phones on battery compute for one request.
    pub battery_ms: f64,
    /// What plans are compared by: [`Self::request_ms`] and the room's wishes.
    pub objective_ms: f64,
    /// Bytes that travel between phones for one generated token.
    pub bytes_per_token: u64,
    /// One entry per stage, in ring order.
    pub stages: Vec<StageCost>,
    /// One entry per member that runs a stage, ascending.
    pub members: Vec<MemberCost>,
}

/// Predicted times of one stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageCost {
    /// One lap, with the call.
    pub lap_ms: f64,
    /// One prefill chunk, with the call; the head runs for one column only.
    pub chunk_ms: f64,
    /// What a lap sends to the next stage; 0 if that is on the same phone.
    pub hop_ms: f64,
    /// The same for a chunk; only its last column goes to the head.
    pub chunk_hop_ms: f64,
}

/// What one member contributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemberCost {
    /// Who.
    pub member: MemberId,
    /// Weights, KV and scratch memory of its stages.
    pub bytes: u64,
    /// Computes so long for one request, ms.
    pub busy_ms: f64,
}

impl Cost {
    /// What the busiest phone computes for one request, ms.
    pub fn busiest_ms(&self) -> f64 {
        busiest_ms(self.members.iter())
    }
}

fn busiest_ms<'a>(members: impl Iterator<Item = &'a MemberCost>) -> f64 {
    members.map(|member| member.busy_ms).fold(0.0, f64::max)
}

/// Cost of stages in ring order. The stages need not be a valid plan, but every phone and executor must have been measured.
pub fn cost(problem: &Problem, stages: &[Stage]) -> Result<Cost, PlanError> {
    of_stages(&Ground::new(problem)?, stages)
}

pub(crate) fn of_stages(ground: &Ground, stages: &[Stage]) -> Result<Cost, PlanError> {
    let workload = &ground.problem.workload;
    let mut costs = Vec::with_capacity(stages.len());
    let mut members = BTreeMap::<MemberId, MemberCost>::new();
    let mut slowest_ms = 0.0_f64;
    let mut travelling_bytes = 0_u64;
    let followers = stages.iter().skip(1).chain(stages.first());
    for (stage, follower) in stages.iter().zip(followers) {
        let speed = speed_of(ground, stage.member, stage.engine)?;
        let (from, to) = (stage.member, follower.member);
        let columns = chunk_columns_to(ground, follower.units);
        costs.push(StageCost {
            lap_ms: lap_ms(ground, speed, stage.units),
            chunk_ms: chunk_ms(ground, speed, stage.units),
            hop_ms: ground.hop_ms(from, to, workload.lap.columns)?,
            chunk_hop_ms: ground.hop_ms(from, to, columns)?,
        });
        slowest_ms = slowest_ms
            .max(steady_chunk_ms(ground, speed, stage.units))
            .max(ground.transfer_ms(from, to, columns));
        if from != to {
            let columns = u64::from(workload.lap.columns);
            travelling_bytes += ground.problem.column_bytes.saturating_mul(columns);
        }
        let member = members.entry(from).or_insert(MemberCost {
            member: from,
            bytes: ground.problem.scratch_bytes,
            busy_ms: 0.0,
        });
        member.bytes += ground.bytes(stage.units);
        member.busy_ms += busy_ms(ground, speed, stage.units);
    }
    let sum = |of: fn(&StageCost) -> f64| costs.iter().map(of).sum::<f64>();
    let ms_per_token = sum(|stage| stage.lap_ms + stage.hop_ms) / workload.lap.tokens;
    let once_ms = sum(|stage| stage.chunk_ms + stage.chunk_hop_ms);
    let prefill_ms = once_ms + f64::from(ground.chunks() - 1) * slowest_ms;
    let latency_ms = prefill_ms + f64::from(workload.output_tokens) * ms_per_token;
    let busiest_ms = busiest_ms(members.values());
    let request_ms = match workload.requests_in_flight {
        // What one phone computes is part of the latency.
        1 => latency_ms,
        several => (latency_ms / f64::from(several)).max(busiest_ms),
    };
    let on_battery = members
        .values()
        .filter(|member| drains(ground, member.member));
    let battery_ms = on_battery.map(|member| member.busy_ms).sum::<f64>();
    Ok(Cost {
        ms_per_token,
        prefill_ms,
        slowest_chunk_ms: slowest_ms,
        latency_ms,
        request_ms,
        battery_ms,
        objective_ms: request_ms + ground.problem.wishes.energy_weight * battery_ms,
        bytes_per_token: (travelling_bytes as f64 / workload.lap.tokens) as u64,
        stages: costs,
        members: members.into_values().collect(),
    })
}

/// One lap through a run of units.
pub(crate) fn lap_ms(ground: &Ground, speed: &Speed, units: UnitRange) -> f64 {
    speed.ms_per_call + speed.lap.times(ground.counts(units))
}

/// One prefill chunk through a run of units; of the last chunk the head sees the last column only.
pub(crate) fn chunk_ms(ground: &Ground, speed: &Speed, units: UnitRange) -> f64 {
    let mut counts = ground.counts(units);
    let head_ms = f64::from(counts.head) * speed.head_column_ms;
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

/// What a stage computes for one request.
pub(crate) fn busy_ms(ground: &Ground, speed: &Speed, units: UnitRange) -> f64 {
    ground.laps() * lap_ms(ground, speed, units)
        + chunk_ms(ground, speed, units)
        + f64::from(ground.chunks() - 1) * steady_chunk_ms(ground, speed, units)
}

/// Whether computing on this phone counts against the room's wish to spare batteries.
pub(crate) fn drains(ground: &Ground, member: MemberId) -> bool {
    ground
        .phone(member)
        .is_some_and(|phone| phone.power.drains())
}

/// Columns of a chunk that travel to these units.
fn chunk_columns_to(ground: &Ground, units: UnitRange) -> u32 {
    if units.start == ground.head() {
        1
    } else {
        ground.problem.class.chunk_columns
    }
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
