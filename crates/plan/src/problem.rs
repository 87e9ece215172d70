//! What a plan is made from.

use std::collections::BTreeMap;

use model::{EngineKind, NumericClass};

use crate::profile::{MemberId, PhoneProfile, UnitNeed};

/// Everything placement looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Units in order: embedding, attention and MLP blocks, head.
    pub units: Vec<UnitNeed>,
    /// Phones present, in any order; the host ([`MemberId::HOST`]) is one of them.
    pub phones: Vec<PhoneProfile>,
    /// One-way times between phones.
    pub hops: HopMatrix,
    /// Scratch memory of an executor, bytes; every phone that runs a unit needs it once.
    pub scratch_bytes: u64,
    /// The room's numeric class; copied into the plan.
    pub class: NumericClass,
    /// What to be fast at.
    pub workload: Workload,
    /// Phones that must use a given executor; the others get the faster one.
    pub forced_engines: BTreeMap<MemberId, EngineKind>,
}

/// A typical request: the plan minimises its expected time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// Columns of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub output_tokens: u32,
}

impl Default for Workload {
    /// A chat turn: a short question, a longer answer.
    fn default() -> Self {
        Self {
            prompt_tokens: 64,
            output_tokens: 128,
        }
    }
}

/// One-way ms between two phones for the hidden state of one column, symmetric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HopMatrix {
    ms: BTreeMap<(MemberId, MemberId), f64>,
}

impl HopMatrix {
    /// Records a measured pair; the order of the two does not matter.
    pub fn set(&mut self, a: MemberId, b: MemberId, ms: f64) {
        self.ms.insert((a.min(b), a.max(b)), ms);
    }

    /// ms from `a` to `b`. A pair that was not measured is relayed by the host. `None` if one of them does not reach the host.
    pub fn ms(&self, a: MemberId, b: MemberId) -> Option<f64> {
        let direct = |a: MemberId, b: MemberId| self.ms.get(&(a.min(b), a.max(b))).copied();
        if a == b {
            return Some(0.0);
        }
        direct(a, b).or_else(|| Some(direct(a, MemberId::HOST)? + direct(MemberId::HOST, b)?))
    }

    /// Every measured pair.
    pub(crate) fn measured(&self) -> impl Iterator<Item = f64> + '_ {
        self.ms.values().copied()
    }
}
