//! What placement knows about phones and units, and what it decides.

use std::collections::BTreeMap;

use crate::cost::Cost;
use model::{EngineKind, NumericClass, UnitKind, UnitRange};
use serde::{Deserialize, Serialize};

/// A member of a room. The host is always 0; numbers are never reused within a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId(pub u32);

impl MemberId {
    /// The page that started the session.
    pub const HOST: Self = Self(0);
}

/// Speed of one executor on one phone, measured with the kernels that will run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineProfile {
    /// Which executor.
    pub engine: EngineKind,
    /// Adapter or CPU variant, for people.
    pub variant: String,
    /// ms for one generated column, by unit kind.
    pub decode_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// ms for [`NumericClass::MAX_DECODE_COLUMNS`] columns in one decode call, by unit kind; empty if not measured.
    pub verify_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// ms for one full prefill chunk, by unit kind.
    pub chunk_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// What every column that is already cached adds to one column of an attention unit, ms; 0 if not measured.
    pub attention_ms_per_cached_column: f64,
    /// ms per forward call whatever its length: handing the job over to the engine and back, submit and readback.
    pub ms_per_call: f64,
}

/// One phone as placement sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhoneProfile {
    /// Who.
    pub member: MemberId,
    /// Bytes it may hold: weights, KV and scratch.
    pub budget_bytes: u64,
    /// One entry per executor it can run.
    pub engines: Vec<EngineProfile>,
    /// What its battery does.
    pub power: Power,
    /// How fast it downloads weights, bytes per ms; `None` if not measured.
    pub download_bytes_per_ms: Option<f64>,
    /// Its page has been hidden for a while: its browser may stop it at any time.
    pub hidden: bool,
    /// Its downloads cost money or patience: it keeps nothing that the plan does not need.
    pub metered: bool,
}

impl PhoneProfile {
    /// Whether it may be gone soon, so that it gets units only if they fit nowhere else.
    pub fn may_go(&self) -> bool {
        self.hidden || self.power.is_low()
    }
}

/// What a phone's battery does, where its browser tells.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub enum Power {
    /// Its browser does not tell; treated as charging.
    #[default]
    Unknown,
    /// Charging, or without a battery.
    Charging,
    /// On battery.
    Battery {
        /// Charge left, 0 to 1.
        share: f64,
    },
}

impl Power {
    /// Charge below which a phone on battery gets nothing unless it is needed.
    pub const LOW_SHARE: f64 = 0.15;

    /// Whether it is something a battery can do; another phone may claim anything.
    pub fn is_sane(self) -> bool {
        (0.0..=1.0).contains(&self.share())
    }

    /// Whether computing drains it.
    pub fn drains(self) -> bool {
        matches!(self, Self::Battery { .. })
    }

    /// Charge left, as far as known, 0 to 1.
    pub fn share(self) -> f64 {
        match self {
            Self::Battery { share } => share,
            Self::Unknown | Self::Charging => 1.0,
        }
    }

    /// Whether it should be spared.
    pub fn is_low(self) -> bool {
        matches!(self, Self::Battery { share } if share < Self::LOW_SHARE)
    }
}

/// What one unit asks of the phone that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitNeed {
    /// Cost class.
    pub kind: UnitKind,
    /// Weight bytes; a tied tensor counts at its first unit only (embedding and head are both pinned to the host).
    pub weight_bytes: u64,
    /// KV bytes of one request at the room's context.
    pub kv_bytes: u64,
}

/// A member runs a contiguous run of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Who.
    pub member: MemberId,
    /// Which units.
    pub units: UnitRange,
    /// With which executor.
    pub engine: EngineKind,
}

/// A member keeps weights and KV memory of a run of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Who.
    pub member: MemberId,
    /// Which units.
    pub units: UnitRange,
}

/// Which member runs which units, in ring order: the first stage holds the embedding, the last the head, both on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of this plan; on every frame.
    pub epoch: u32,
    /// Stages in unit order, covering every unit exactly once.
    pub stages: Vec<Stage>,
    /// What members keep loaded, at most one run each: it covers a member's stage (the head besides), and a phone that waits may have one
    /// too. Whatever moves within it needs no download.
    pub held: Vec<Held>,
    /// The room's numeric class.
    pub class: NumericClass,
    /// Requests whose KV every member holds at the same time, each in a slot.
    pub slots: u32,
    /// Predicted ms per generated token, from the cost model.
    pub predicted_ms_per_token: f64,
    /// No plan generates a token in less, ms; from the linear programme.
    pub lower_bound_ms_per_token: f64,
    /// Predicted time of the workload's request, ms; the plan was chosen by it and by the room's wishes.
    pub predicted_request_ms: f64,
    /// Predicted request time plus what the wishes weigh, ms: what the search minimised.
    pub objective_ms: f64,
    /// No plan has a smaller objective, ms: proved by the search, or by the linear programme.
    pub lower_bound_objective_ms: f64,
    /// Bytes that travel between phones for one generated token.
    pub bytes_per_token: u64,
}

impl Plan {
    /// Takes over what the cost model says.
    pub(crate) fn predict(&mut self, cost: &Cost) {
        self.predicted_ms_per_token = cost.ms_per_token;
        self.predicted_request_ms = cost.request_ms;
        self.objective_ms = cost.objective_ms;
        self.bytes_per_token = cost.bytes_per_token;
    }

    /// Gives up what is not needed now.
    pub(crate) fn hold_only_stages(&mut self) {
        let mut held: Vec<Held> = Vec::new();
        for stage in &self.stages {
            if held.iter().all(|held| held.member != stage.member) {
                held.push(Held {
                    member: stage.member,
                    units: stage.units,
                });
            }
        }
        self.held = held;
    }

    /// Everything a member keeps loaded: its run, and the head on the host.
    pub fn held_by(&self, member: MemberId) -> impl Iterator<Item = UnitRange> + '_ {
        let held = self.held.iter().filter(move |held| held.member == member);
        let stages = self.stages.iter();
        let apart = stages.filter(move |stage| {
            let within = |held: &Held| {
                held.member == member
                    && held.units.start <= stage.units.start
                    && stage.units.end <= held.units.end
            };
            stage.member == member && !self.held.iter().any(within)
        });
        held.map(|held| held.units)
            .chain(apart.map(|stage| stage.units))
    }

    /// How much better another plan might be at most, as a share of this one's objective; 0: none is.
    pub fn gap(&self) -> f64 {
        if self.objective_ms > 0.0 {
            (1.0 - self.lower_bound_objective_ms / self.objective_ms).max(0.0)
        } else {
            0.0
        }
    }
}
