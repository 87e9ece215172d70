//! Legal cuts and the units between them, derived from the ops.
//!
//! A cut is legal where one value carries everything that later ops read: after the embedding and after each residual add.

use core::ops::Range;

use crate::graph::{CacheId, Graph, Op, Unit, UnitKind, ValueId, WeightId};

impl Op {
    /// The value it writes.
    pub const fn output(&self) -> ValueId {
        match self {
            Self::Embed { out, .. }
            | Self::RmsNorm { out, .. }
            | Self::Linear { out, .. }
            | Self::Rope { out, .. }
            | Self::Attention { out, .. }
            | Self::SiluMul { out, .. }
            | Self::Add { out, .. } => *out,
        }
    }

    /// The values it reads.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + use<> {
        let inputs = match self {
            Self::Embed { .. } => [None, None, None],
            Self::RmsNorm { x, .. } | Self::Linear { x, .. } | Self::Rope { x, .. } => {
                [Some(*x), None, None]
            }
            Self::Attention { q, k, v, .. } => [Some(*q), Some(*k), Some(*v)],
            Self::SiluMul { gate, up, .. } => [Some(*gate), Some(*up), None],
            Self::Add { a, b, .. } => [Some(*a), Some(*b), None],
        };
        inputs.into_iter().flatten()
    }

    /// The weight it reads.
    pub const fn weight(&self) -> Option<WeightId> {
        match self {
            Self::Embed { weight, .. }
            | Self::RmsNorm { weight, .. }
            | Self::Linear { weight, .. } => Some(*weight),
            Self::Rope { .. }
            | Self::Attention { .. }
            | Self::SiluMul { .. }
            | Self::Add { .. } => None,
        }
    }

    /// The cache it owns.
    pub const fn cache(&self) -> Option<CacheId> {
        match self {
            Self::Attention { cache, .. } => Some(*cache),
            _ => None,
        }
    }
}

impl Graph {
    /// Whether a value crosses a legal cut: it is rounded to the wire dtype wherever it is made (numeric contract, rule 1).
    pub fn crosses_cut(&self, value: ValueId) -> bool {
        let below_head = self.units.len().saturating_sub(1);
        self.units
            .iter()
            .take(below_head)
            .any(|unit| unit.output == value)
    }
}

/// The units of a graph's ops.
pub(crate) fn units(ops: &[Op], values: &[u32]) -> Vec<Unit> {
    let mut units = Vec::new();
    let (mut start, mut input) = (0, None);
    for end in legal_cuts(ops, values) {
        if let Some(unit) = unit(ops, start..end, input) {
            input = Some(unit.output);
            units.push(unit);
        }
        start = end;
    }
    units.extend(unit(ops, start..ops.len(), input));
    units
}

/// Op counts after which only the value just written is read later on.
fn legal_cuts(ops: &[Op], values: &[u32]) -> Vec<usize> {
    let mut last_read = vec![0; values.len()];
    for (index, op) in ops.iter().enumerate() {
        for value in op.inputs() {
            if let Some(last) = last_read.get_mut(value.0 as usize) {
                *last = index;
            }
        }
    }
    let mut cuts = Vec::new();
    let mut others_read_until = 0;
    for (index, op) in ops.iter().enumerate() {
        let read_until = last_read.get(op.output().0 as usize).copied().unwrap_or(0);
        let carries = matches!(op, Op::Embed { .. } | Op::Add { .. });
        if carries && others_read_until <= index && read_until > index {
            cuts.push(index + 1);
        }
        others_read_until = others_read_until.max(read_until);
    }
    cuts
}

fn unit(ops: &[Op], range: Range<usize>, input: Option<ValueId>) -> Option<Unit> {
    let own = ops.get(range.clone())?;
    let mut weights = Vec::new();
    for weight in own.iter().filter_map(Op::weight) {
        if !weights.contains(&weight) {
            weights.push(weight);
        }
    }
    Some(Unit {
        kind: kind(own)?,
        ops: range,
        input,
        output: own.last()?.output(),
        weights,
        caches: own.iter().filter_map(Op::cache).collect(),
    })
}

fn kind(ops: &[Op]) -> Option<UnitKind> {
    Some(match ops.last()? {
        Op::Embed { .. } => UnitKind::Embedding,
        Op::Add { .. } if ops.iter().any(|op| op.cache().is_some()) => UnitKind::Attention,
        Op::Add { .. } => UnitKind::Mlp,
        _ => UnitKind::Head,
    })
}
