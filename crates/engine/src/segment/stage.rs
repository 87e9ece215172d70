//! One segment made ready to run: where its values live, and which columns of each are needed.

use model::{CacheId, Graph, Op, Unit, UnitRange, ValueId};

use super::{
    call::{check_class, check_positions},
    misuse, operands,
};
use crate::{EngineError, Setup, Want};

/// Columns of a value that somebody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// None.
    Nothing,
    /// The last of the call.
    Last,
    /// All of the call.
    Every,
}

impl Demand {
    /// How many of `columns`.
    pub fn of(self, columns: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Last => columns.min(1),
            Self::Every => columns,
        }
    }
}

impl From<Want> for Demand {
    fn from(want: Want) -> Self {
        match want {
            Want::EveryColumn => Self::Every,
            Want::LastColumn => Self::Last,
            Want::Nothing => Self::Nothing,
        }
    }
}

/// Buffer of a stage's last value: the caller's `out`.
pub const OUT: usize = 0;

/// Buffers that all stages share, since one stage runs at a time. Entry [`OUT`] is the caller's.
pub struct Buffers {
    /// Elements per column of each buffer.
    pub widths: Vec<u32>,
}

/// When a buffer is free for another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// After the last op that reads its value.
    AfterOp,
    /// After the unit of that op: one kernel may read what its first op reads and write what its last op writes.
    AfterUnit,
}

/// A segment and what is cached for it.
pub struct Stage {
    /// Which units.
    pub range: UnitRange,
    /// What enters; `None` for token ids.
    pub input: Option<ValueId>,
    /// What leaves.
    pub output: ValueId,
    /// Whether that is logits: a product that nothing reads.
    gives_logits: bool,
    /// Of a decoder behind an encoder: what its units attend to besides their own columns.
    pub memory: Option<ValueId>,
    /// Its columns see each other, so they come in one call.
    pub is_encoder: bool,
    /// Caches its ops own.
    pub caches: Vec<CacheId>,
    /// Columns in those caches, of each slot.
    pub cached_columns: Vec<u32>,
    /// Columns of the memory, of each slot.
    pub memory_columns: Vec<u32>,
    /// Buffer of each value; `None` for values of other segments.
    buffers: Vec<Option<usize>>,
    /// Of each value, whether it is made of the memory alone: when that comes, not in every call.
    made_of_memory: Vec<bool>,
    /// Demand on each value for each [`Want`].
    demands: [Vec<Demand>; 3],
}

/// The stages of a member, and the buffers that they share.
///
/// # Errors
/// Stages or a class that do not fit the graph.
pub fn stages(setup: &Setup, reuse: Reuse) -> Result<(Vec<Stage>, Buffers), EngineError> {
    check_class(setup.class)?;
    let mut buffers = Buffers::new();
    let mut stages = Vec::with_capacity(setup.stages.len());
    for range in &setup.stages {
        let stage = Stage::new(&setup.graph, *range, setup.slots, reuse, &mut buffers);
        stages.push(stage?);
    }
    check_positions(&setup.graph, setup.class, &stages)?;
    Ok((stages, buffers))
}

impl Buffers {
    /// Only the caller's.
    fn new() -> Self {
        Self { widths: vec![0] }
    }
}

impl Stage {
    /// Checks every op of the segment and gives every value a buffer.
    ///
    /// # Errors
    /// Units the model does not have, no slot, or ops that do not fit their operands.
    fn new(
        graph: &Graph,
        range: UnitRange,
        slots: u32,
        reuse: Reuse,
        buffers: &mut Buffers,
    ) -> Result<Self, EngineError> {
        let units = graph
            .units
            .get(range.start as usize..range.end as usize)
            .unwrap_or_default();
        let (Some(first), Some(last)) = (units.first(), units.last()) else {
            return Err(misuse(format!(
                "the model has no units {}..{}",
                range.start, range.end
            )));
        };
        let ops = graph
            .ops
            .get(first.ops.start..last.ops.end)
            .unwrap_or_default();
        for op in ops {
            operands::check(graph, op)?;
        }
        if slots == 0 {
            return Err(misuse("a segment without a slot for KV".into()));
        }
        let steps: Vec<&[Op]> = match reuse {
            Reuse::AfterOp => ops.chunks(1).collect(),
            Reuse::AfterUnit => {
                let of_unit = |unit: &Unit| graph.ops.get(unit.ops.clone()).unwrap_or_default();
                units.iter().map(of_unit).collect()
            }
        };
        if units.iter().skip(1).any(|unit| unit.input.is_none()) {
            return Err(misuse(format!(
                "units {}..{} go from an encoder on to its decoder",
                range.start, range.end
            )));
        }
        let produced = |value: ValueId| ops.iter().any(|op| op.output() == value);
        let read = |value: &ValueId| ops.iter().flat_map(Op::inputs).any(|x| x == *value);
        let memory = graph.memory.filter(|memory| !produced(*memory));
        let memory = memory.filter(read);
        let input_width = first
            .input
            .map(|input| graph.values.get(input.0 as usize).copied());
        if !produced(last.output)
            || input_width.is_some_and(|width| width != Some(graph.hidden_width))
        {
            return Err(misuse(format!(
                "units {}..{} have no input or output",
                range.start, range.end
            )));
        }
        Ok(Self {
            range,
            input: first.input,
            output: last.output,
            gives_logits: range.end as usize == graph.units.len()
                && matches!(ops.last(), Some(Op::Linear { out, .. }) if *out == last.output),
            memory,
            is_encoder: ops.iter().any(sees_ahead),
            caches: units
                .iter()
                .flat_map(|unit| unit.caches.iter().copied())
                .collect(),
            cached_columns: vec![0; slots as usize],
            memory_columns: vec![0; slots as usize],
            buffers: place(graph, &steps, [first.input, memory], last.output, buffers)?,
            made_of_memory: made_of(graph, ops, memory),
            demands: [Demand::Nothing, Demand::Last, Demand::Every]
                .map(|want| demands(graph, ops, last.output, want)),
        })
    }

    /// A call in this slot ran up to here.
    pub fn ran(&mut self, slot: usize, end: u32) {
        if let Some(cached) = self.cached_columns.get_mut(slot) {
            *cached = end;
        }
    }

    /// What the columns of this slot attend to besides themselves has so many.
    pub fn remembers(&mut self, slot: usize, columns: u32) {
        if let Some(remembered) = self.memory_columns.get_mut(slot) {
            *remembered = columns;
        }
    }

    /// Forgets cached columns from `columns` on.
    pub fn truncate(&mut self, columns: u32) {
        for cached in &mut self.cached_columns {
            *cached = (*cached).min(columns);
        }
    }

    /// Its ops.
    pub fn ops<'graph>(&self, graph: &'graph Graph) -> &'graph [Op] {
        let units = &graph.units[self.range.start as usize..self.range.end as usize];
        match (units.first(), units.last()) {
            (Some(first), Some(last)) => &graph.ops[first.ops.start..last.ops.end],
            _ => &[],
        }
    }

    /// Elements per column of what leaves.
    pub fn output_width(&self, graph: &Graph) -> u32 {
        graph.values[self.output.0 as usize]
    }

    /// Whether a value is the logits.
    pub fn is_logits(&self, value: ValueId) -> bool {
        self.gives_logits && value == self.output
    }

    /// Buffer that holds `value`.
    pub fn buffer(&self, value: ValueId) -> usize {
        self.buffers
            .get(value.0 as usize)
            .copied()
            .flatten()
            .unwrap_or(OUT)
    }

    /// Whether a value is made of the memory alone.
    pub fn is_made_of_memory(&self, value: ValueId) -> bool {
        self.made_of_memory.get(value.0 as usize) == Some(&true)
    }

    /// Columns of `value` that a call with this `want` computes.
    pub fn demand(&self, value: ValueId, want: Want) -> Demand {
        self.demands[Demand::from(want) as usize]
            .get(value.0 as usize)
            .copied()
            .unwrap_or(Demand::Nothing)
    }
}

fn sees_ahead(op: &Op) -> bool {
    matches!(op, Op::BiasedAttention { causal: false, .. })
}

/// Of each value, whether ops make it of `memory` alone.
fn made_of(graph: &Graph, ops: &[Op], memory: Option<ValueId>) -> Vec<bool> {
    let mut made = vec![false; graph.values.len()];
    for op in ops {
        let of_memory = |x: ValueId| Some(x) == memory || made[x.0 as usize];
        let (alone, any) = (op.inputs().all(of_memory), op.inputs().next().is_some());
        made[op.output().0 as usize] = alone && any;
    }
    made
}

/// A buffer is free again after the last step that reads its value.
fn place(
    graph: &Graph,
    steps: &[&[Op]],
    entering: [Option<ValueId>; 2],
    output: ValueId,
    buffers: &mut Buffers,
) -> Result<Vec<Option<usize>>, EngineError> {
    let mut last_read = vec![0; graph.values.len()];
    for (index, step) in steps.iter().enumerate() {
        for value in step.iter().flat_map(Op::inputs) {
            last_read[value.0 as usize] = index;
        }
    }
    let mut places: Vec<Option<usize>> = vec![None; graph.values.len()];
    let mut free: Vec<usize> = (OUT + 1..buffers.widths.len()).collect();
    for input in entering.into_iter().flatten() {
        places[input.0 as usize] = Some(take(graph, input, &mut free, buffers));
    }
    places[output.0 as usize] = Some(OUT);
    for (index, step) in steps.iter().enumerate() {
        for op in *step {
            if op.inputs().any(|value| places[value.0 as usize].is_none()) {
                return Err(misuse(format!(
                    "operation {op:?} reads a value of another segment"
                )));
            }
            if op.output() != output {
                places[op.output().0 as usize] = Some(take(graph, op.output(), &mut free, buffers));
            }
        }
        for value in step
            .iter()
            .flat_map(Op::inputs)
            .filter(|value| last_read[value.0 as usize] == index)
        {
            let buffer =
                places[value.0 as usize].filter(|buffer| *buffer != OUT && !free.contains(buffer));
            free.extend(buffer);
        }
    }
    Ok(places)
}

/// A free buffer of the value's width, or a new one.
fn take(graph: &Graph, value: ValueId, free: &mut Vec<usize>, buffers: &mut Buffers) -> usize {
    let width = graph.values[value.0 as usize];
    match free
        .iter()
        .position(|buffer| buffers.widths[*buffer] == width)
    {
        Some(index) => free.swap_remove(index),
        None => {
            buffers.widths.push(width);
            buffers.widths.len() - 1
        }
    }
}

/// From what is wanted of the last value back to what every op must compute. Keys and values are always wanted.
fn demands(graph: &Graph, ops: &[Op], output: ValueId, want: Demand) -> Vec<Demand> {
    let mut demands = vec![Demand::Nothing; graph.values.len()];
    demands[output.0 as usize] = want;
    for op in ops.iter().rev() {
        let wanted = demands[op.output().0 as usize];
        let mut ask = |value: ValueId, demand: Demand| {
            let current = &mut demands[value.0 as usize];
            *current = demand.max(*current);
        };
        for value in op.inputs() {
            ask(value, wanted);
        }
        if let Op::Attention { k, v, .. }
        | Op::BiasedAttention { k, v, .. }
        | Op::CrossAttention { k, v, .. } = op
        {
            ask(*k, Demand::Every);
            ask(*v, Demand::Every);
        }
    }
    demands
}
