//! What placement knows about phones and units, and what it decides.

use std::collections::BTreeMap;

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
    /// ms for one full prefill chunk, by unit kind.
    pub chunk_ms_per_unit: BTreeMap<UnitKind, f64>,
    /// ms per forward call whatever its length: submit and readback.
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
}

/// What one unit asks of the phone that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitNeed {
    /// Cost class.
    pub kind: UnitKind,
    /// Weight bytes; a tied tensor counts at its first unit only (embedding and head are both pinned to the host).
    pub weight_bytes: u64,
    /// KV bytes at the room's context.
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

/// Which member runs which units, in ring order: the first stage holds the embedding, the last the head, both on the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of this plan; on every frame.
    pub epoch: u32,
    /// Stages in unit order, covering every unit exactly once.
    pub stages: Vec<Stage>,
    /// The room's numeric class.
    pub class: NumericClass,
    /// Predicted ms per generated token, from the cost model.
    pub predicted_ms_per_token: f64,
    /// Lower bound of the linear programme, ms per generated token.
    pub lower_bound_ms_per_token: f64,
}
