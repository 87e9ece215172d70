//! How phones and links change while they work: estimates from live traffic.
//!
//! The host knows how long a lap took by its own clock. What a phone says it computed only decides whose share of the lap is whose.

use std::collections::BTreeMap;

use crate::cost;
use crate::error::PlanError;
use crate::problem::Problem;
use crate::profile::{MemberId, Plan};

/// An observation counts half as much after so long, ms.
pub const HALF_LIFE_MS: f64 = 1000.0;
/// However long the pause before it, one observation counts at most half: a hiccup is not a trend.
const LARGEST_WEIGHT: f64 = 0.5;
/// Factors beyond this are hiccups of a clock or lies.
const LARGEST_FACTOR: f64 = 64.0;

/// Exponentially weighted mean by time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ewma {
    mean: f64,
    updated_ms: u64,
}

impl Ewma {
    /// Starts from a value.
    pub const fn new(now_ms: u64, value: f64) -> Self {
        Self {
            mean: value,
            updated_ms: now_ms,
        }
    }

    /// Takes an observation; what is not a number is not one.
    pub fn observe(&mut self, now_ms: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let elapsed_ms = now_ms.saturating_sub(self.updated_ms) as f64;
        let weight = (1.0 - (-elapsed_ms / HALF_LIFE_MS).exp2()).min(LARGEST_WEIGHT);
        self.mean += weight * (value - self.mean);
        self.updated_ms = now_ms.max(self.updated_ms);
    }

    /// The mean.
    pub const fn value(&self) -> f64 {
        self.mean
    }
}

/// Compute times of phones relative to their measurements: 1 as measured, 4 four times as slow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    factors: BTreeMap<MemberId, Ewma>,
}

impl Drift {
    /// Takes in one decode lap: its time by the host's clock, and the compute ms that each stage of the plan, in ring order, says it took.
    /// `problem` holds the phones as they were measured. `alone`: no other request was in flight; otherwise what nobody claims may be
    /// waiting, and is charged to nobody.
    ///
    /// # Errors
    /// The plan or its numbers cannot be used.
    pub fn observe_lap(
        &mut self,
        now_ms: u64,
        problem: &Problem,
        plan: &Plan,
        lap_ms: f64,
        claimed_ms: &[f64],
        alone: bool,
    ) -> Result<(), PlanError> {
        let cost = cost::cost(problem, &plan.stages)?;
        let hops_ms: f64 = match alone {
            true => cost.stages.iter().map(|stage| stage.hop_ms).sum(),
            // Whatever is not computing may be waiting.
            false => lap_ms,
        };
        let predicted_ms: Vec<f64> = cost.stages.iter().map(|stage| stage.lap_ms).collect();
        let hosts: Vec<bool> = plan
            .stages
            .iter()
            .map(|stage| stage.member == MemberId::HOST)
            .collect();
        let took_ms = believed_ms(lap_ms, hops_ms, claimed_ms, &predicted_ms, &hosts);
        let mut by_member = BTreeMap::<MemberId, (f64, f64)>::new();
        for ((stage, took_ms), predicted_ms) in plan.stages.iter().zip(took_ms).zip(predicted_ms) {
            let sums = by_member.entry(stage.member).or_default();
            sums.0 += took_ms;
            sums.1 += predicted_ms;
        }
        for (member, (took_ms, predicted_ms)) in by_member {
            if predicted_ms > 0.0 {
                let factor = (took_ms / predicted_ms).clamp(1.0 / LARGEST_FACTOR, LARGEST_FACTOR);
                let mean = self.factors.entry(member);
                mean.or_insert(Ewma::new(now_ms, 1.0))
                    .observe(now_ms, factor);
            }
        }
        Ok(())
    }

    /// How much slower than measured a phone is.
    pub fn factor(&self, member: MemberId) -> f64 {
        self.factors.get(&member).map_or(1.0, Ewma::value)
    }

    /// Makes the phones of a problem as fast as they are now.
    pub fn apply(&self, problem: &mut Problem) {
        for phone in &mut problem.phones {
            let factor = self.factor(phone.member);
            for engine in &mut phone.engines {
                let kinds = engine
                    .decode_ms_per_unit
                    .values_mut()
                    .chain(engine.verify_ms_per_unit.values_mut())
                    .chain(engine.chunk_ms_per_unit.values_mut());
                for ms in kinds.chain([
                    &mut engine.attention_ms_per_cached_column,
                    &mut engine.ms_per_call,
                ]) {
                    *ms *= factor;
                }
            }
        }
    }

    /// A phone left, or was measured anew.
    pub fn forget(&mut self, member: MemberId) {
        self.factors.remove(&member);
    }
}

/// What each stage took, from the host's clock and everyone's claims. The host's own stages are believed. Claims of the others are scaled down
/// to what is left of the lap; time that nobody claims, beyond twice what the network should take, is charged by predicted shares.
fn believed_ms(
    lap_ms: f64,
    hops_ms: f64,
    claimed_ms: &[f64],
    predicted_ms: &[f64],
    hosts: &[bool],
) -> Vec<f64> {
    let of_peers = |values: &[f64]| -> f64 {
        let peers = values.iter().zip(hosts).filter(|(_, host)| !**host);
        peers.map(|(ms, _)| ms).sum()
    };
    let mut took_ms: Vec<f64> = (0..predicted_ms.len())
        .map(|stage| claimed_ms.get(stage).copied().unwrap_or(0.0))
        .map(|ms| if ms.is_finite() { ms.max(0.0) } else { 0.0 })
        .collect();
    let own_ms = took_ms.iter().sum::<f64>() - of_peers(&took_ms);
    let (claimed_ms, predicted_ms_of_peers) = (of_peers(&took_ms), of_peers(predicted_ms));
    let most_ms = (lap_ms - own_ms).max(0.0);
    let unclaimed_ms = (most_ms - claimed_ms - 2.0 * hops_ms).max(0.0);
    for ((ms, predicted_ms), _) in took_ms
        .iter_mut()
        .zip(predicted_ms)
        .zip(hosts)
        .filter(|(_, host)| !**host)
    {
        if claimed_ms > most_ms {
            *ms *= most_ms / claimed_ms;
        } else if predicted_ms_of_peers > 0.0 {
            *ms += unclaimed_ms * predicted_ms / predicted_ms_of_peers;
        }
    }
    took_ms
}
