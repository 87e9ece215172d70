//! What a plan is made from.

use std::collections::BTreeMap;

use model::{EngineKind, NumericClass};

use crate::links::HopMatrix;
use crate::profile::{MemberId, PhoneProfile, UnitNeed};

/// Everything placement looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Units in order: embedding, attention and MLP blocks, head.
    pub units: Vec<UnitNeed>,
    /// Phones present, in any order; the host ([`MemberId::HOST`]) is one of them.
    pub phones: Vec<PhoneProfile>,
    /// Links between phones.
    pub hops: HopMatrix,
    /// Bytes of one column at a cut, as it travels.
    pub column_bytes: u64,
    /// Requests whose KV is held at the same time; every unit needs its KV so many times.
    pub slots: u32,
    /// Scratch memory of an executor, bytes; every phone that runs a unit needs it once.
    pub scratch_bytes: u64,
    /// The room's numeric class; copied into the plan.
    pub class: NumericClass,
    /// What to be fast at.
    pub workload: Workload,
    /// What else matters.
    pub wishes: Wishes,
    /// Phones that must use a given executor; the others get the faster one.
    pub forced_engines: BTreeMap<MemberId, EngineKind>,
}

/// A typical request: the plan minimises its expected time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workload {
    /// Columns of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
    /// Requests served at the same time; one phone computes for one while another computes for the next.
    pub requests_in_flight: u32,
    /// How a token is generated.
    pub lap: Lap,
}

impl Problem {
    /// Most requests whose KV can be asked for.
    pub const MAX_SLOTS: u32 = 64;

    /// Weights and KV of a unit, bytes.
    pub(crate) fn unit_bytes(&self, unit: &UnitNeed) -> u64 {
        let kv_bytes = unit.kv_bytes.saturating_mul(u64::from(self.slots));
        unit.weight_bytes.saturating_add(kv_bytes)
    }
}

impl Default for Workload {
    /// A chat turn: a short question, a longer answer.
    fn default() -> Self {
        Self {
            prompt_tokens: 64,
            output_tokens: 128,
            requests_in_flight: 1,
            lap: Lap::PLAIN,
        }
    }
}

/// One round of the ring while generating.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lap {
    /// Columns computed: 1, or K guesses and one.
    pub columns: u32,
    /// Tokens it yields on average: 1, up to `columns` if guesses are accepted.
    pub tokens: f64,
}

impl Lap {
    /// One token after the other.
    pub const PLAIN: Self = Self {
        columns: 1,
        tokens: 1.0,
    };
}

/// What people want besides speed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wishes {
    /// How many ms of a request one ms of computing on battery is worth; 0: batteries do not matter.
    pub energy_weight: f64,
    /// Blocks after the embedding that stay with the host whatever it costs: what leaves it is further from the text.
    pub first_blocks_on_host: u32,
}
