//! Legal cuts and the units between them, derived from the ops.
//!
//! A cut is legal where one value carries everything that later ops read, an encoder's output apart: where a residual stream begins,
//! and after each residual add.

use core::ops::Range;

use crate::graph::{CacheSpec, Graph, Op, Unit, UnitKind, ValueId, Weight};

impl Graph {
    /// A graph cut into units. Its last op makes the logits.
    pub fn new(
        architecture: &str,
        max_context_columns: u32,
        weights: Vec<Weight>,
        values: Vec<u32>,
        caches: Vec<CacheSpec>,
        ops: Vec<Op>,
    ) -> Self {
        let width = |value: ValueId| values.get(value.0 as usize).copied().unwrap_or(0);
        let memory = memory(&ops);
        let units = units(&ops, &values, memory);
        Self {
            architecture: architecture.to_owned(),
            hidden_width: units.first().map_or(0, |unit| width(unit.output)),
            vocabulary: ops.last().map_or(0, |op| width(op.output())),
            max_context_columns,
            weights,
            values,
            caches,
            ops,
            units,
            memory,
        }
    }

    /// Whether a value crosses a legal cut: it is rounded to the wire dtype wherever it is made (numeric contract, rule 1).
    pub fn crosses_cut(&self, value: ValueId) -> bool {
        let below_head = self.units.len().saturating_sub(1);
        self.units
            .iter()
            .take(below_head)
            .any(|unit| unit.output == value)
    }
}

/// What the keys of attention to another pass are made of, through ops of one operand each.
fn memory(ops: &[Op]) -> Option<ValueId> {
    let mut value = ops.iter().find_map(|op| match op {
        Op::CrossAttention { k, .. } => Some(*k),
        _ => None,
    })?;
    let maker = |value| ops.iter().find(|op| op.output() == value);
    while let Some(Op::Linear { x, .. } | Op::RmsNorm { x, .. } | Op::LayerNorm { x, .. }) =
        maker(value)
    {
        value = *x;
    }
    Some(value)
}

fn units(ops: &[Op], values: &[u32], memory: Option<ValueId>) -> Vec<Unit> {
    let mut units = Vec::new();
    let (mut start, mut input) = (0, None);
    for end in legal_cuts(ops, values, memory) {
        if let Some(unit) = unit(ops, start..end, input) {
            input = Some(unit.output);
            units.push(unit);
        }
        start = end;
    }
    units.extend(unit(ops, start..ops.len(), input));
    units
}

/// Op counts after which only the value just written is read later on, or the memory, and that value is the residual stream: it
/// begins with the first such value that has several readers (a block and the add around it), and goes on with every add. An
/// encoder's ends with the memory.
fn legal_cuts(ops: &[Op], values: &[u32], memory: Option<ValueId>) -> Vec<usize> {
    let mut readers = vec![Readers::default(); values.len()];
    for (index, op) in ops.iter().enumerate() {
        for value in op.inputs() {
            if let Some(readers) = readers.get_mut(value.0 as usize) {
                readers.count += 1;
                readers.last = index;
            }
        }
    }
    let mut cuts = Vec::new();
    let mut others_read_until = 0;
    let mut in_stream = false;
    for (index, op) in ops.iter().enumerate() {
        let written = readers
            .get(op.output().0 as usize)
            .copied()
            .unwrap_or_default();
        let alone = others_read_until <= index && written.last > index;
        let begins = !in_stream && written.count > 1;
        let goes_on = in_stream && matches!(op, Op::Add { .. });
        if alone && (begins || goes_on) {
            cuts.push(index + 1);
            in_stream = true;
        }
        match memory == Some(op.output()) {
            true => in_stream = false,
            false => others_read_until = others_read_until.max(written.last),
        }
    }
    cuts
}

/// Of one value.
#[derive(Clone, Copy, Default)]
struct Readers {
    count: u32,
    /// Index of the last op that reads it.
    last: usize,
}

fn unit(ops: &[Op], range: Range<usize>, input: Option<ValueId>) -> Option<Unit> {
    let own = ops.get(range.clone())?;
    let mut weights = Vec::new();
    for weight in own.iter().flat_map(Op::weights) {
        if !weights.contains(&weight) {
            weights.push(weight);
        }
    }
    Some(Unit {
        kind: kind(own)?,
        ops: range,
        input: input.filter(|_| !own.iter().any(|op| matches!(op, Op::Embed { .. }))),
        output: own.last()?.output(),
        weights,
        caches: own.iter().filter_map(Op::cache).collect(),
    })
}

fn kind(ops: &[Op]) -> Option<UnitKind> {
    let has = |what: fn(&Op) -> bool| ops.iter().any(what);
    Some(match ops.last()? {
        _ if has(|op| matches!(op, Op::Embed { .. })) => UnitKind::Embedding,
        Op::Add { .. } if has(|op| op.cache().is_some()) => UnitKind::Attention,
        Op::Add { .. } => UnitKind::Mlp,
        _ => UnitKind::Head,
    })
}
