//! One forward call through a segment, op by op.

use model::{Graph, NumericClass, Op, Unit, ValueId, WireDtype};

use super::{
    attention::{self, Cache},
    ops, round,
    tensor::{Tensor, padded, part, upload},
    weights::Weights,
};
use crate::{
    EngineError, Input, Phase,
    segment::{Call, Demand, Heads, OUT, Rotations, Stage, misuse, weight, without_kernel},
};

/// What a call meets and does not change.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// Where the tensors are.
    pub device: &'a cubecl::Device,
    /// The model.
    pub graph: &'a Graph,
    /// Its weights.
    pub weights: &'a Weights,
    /// Rounding, chunk grid, context.
    pub class: NumericClass,
    /// The stage that runs.
    pub stage: &'a Stage,
    /// Angles of the call's columns.
    pub rotations: &'a Rotations,
}

/// A call on its way.
pub struct Walk<'a> {
    segment: Segment<'a>,
    call: &'a Call<'a>,
    caches: &'a mut [Option<Cache>],
    /// Columns of every value, those of the call first.
    columns: usize,
    /// Cosines and sines (columns x 1 x pairs), by rotation.
    angles: Vec<[Tensor; 2]>,
    /// What attention ops with these heads add to their scores.
    biases: Vec<(Heads, Tensor)>,
    /// By buffer.
    values: Vec<Option<Tensor>>,
}

/// Columns that calls of a phase compute, however few they are asked for: shapes that never change meet the same kernels, so a
/// column's bits depend neither on how many run with it nor on which are wanted.
pub fn columns(class: NumericClass, phase: Phase) -> usize {
    match phase {
        Phase::Prefill => class.chunk_columns as usize,
        Phase::Decode => NumericClass::MAX_DECODE_COLUMNS as usize,
    }
}

impl<'a> Walk<'a> {
    /// At the start; `buffers` as the stage's values need.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(
        segment: Segment<'a>,
        call: &'a Call<'a>,
        caches: &'a mut [Option<Cache>],
        buffers: usize,
    ) -> Result<Self, EngineError> {
        let columns = columns(segment.class, call.phase);
        let angles = segment.rotations.iter().map(|rotation| {
            [0, 1].map(|which| {
                let every_second = rotation.cos_sin().iter().skip(which).step_by(2);
                let shape = [columns, 1, rotation.rotary_dim() as usize / 2];
                upload(segment.device, every_second.copied().collect(), shape)
            })
        });
        let mut values = vec![None; buffers];
        if let (Some(value), Input::Hidden(hidden)) = (segment.stage.input, call.input) {
            let width = segment.graph.hidden_width as usize;
            let hidden = padded(hidden.iter().copied(), columns * width)?;
            values[segment.stage.buffer(value)] =
                Some(upload(segment.device, hidden, [columns, width]));
        }
        Ok(Self {
            angles: angles.collect(),
            segment,
            call,
            caches,
            columns,
            biases: Vec::new(),
            values,
        })
    }

    /// Runs every unit of the stage; the wanted columns of its last value, if any.
    ///
    /// # Errors
    /// A weight or cache of another segment.
    pub fn run(mut self) -> Result<Option<Tensor>, EngineError> {
        let Segment { graph, stage, .. } = self.segment;
        for unit in &graph.units[stage.range.start as usize..stage.range.end as usize] {
            for op in &graph.ops[unit.ops.clone()] {
                self.execute(op)?;
            }
            self.round(unit)?;
        }
        let columns = self.call.columns;
        let wanted = Demand::from(self.call.want).of(columns);
        if wanted == 0 {
            return Ok(None);
        }
        let width = stage.output_width(graph) as usize;
        let last = self.values[OUT].take();
        Ok(last.map(|value| part(&value, [columns - wanted..columns, 0..width])))
    }

    /// Whether or not the plan cuts here (numeric contract, rule 1).
    fn round(&mut self, unit: &Unit) -> Result<(), EngineError> {
        let Segment { graph, class, .. } = self.segment;
        if class.wire == WireDtype::F16Scaled
            && graph.crosses_cut(unit.output)
            && self.is_needed(unit.output)
        {
            let rounded = round::to_scaled_halves(self.value(unit.output)?);
            self.put(unit.output, rounded);
        }
        Ok(())
    }

    fn execute(&mut self, op: &Op) -> Result<(), EngineError> {
        if let Op::Attention { k, v, .. } = *op {
            let (keys, values) = (self.value(k)?, self.value(v)?);
            let call = self.call.position..self.call.position + self.call.columns;
            self.cache(op)?.write(call, &keys, &values);
        }
        if self.is_needed(op.output()) {
            let out = self.compute(op)?;
            self.put(op.output(), out);
        }
        Ok(())
    }

    fn compute(&mut self, op: &Op) -> Result<Tensor, EngineError> {
        let Segment { graph, weights, .. } = self.segment;
        let no_rows = || misuse(format!("operation {op:?} meets a weight without rows"));
        Ok(match *op {
            Op::Embed { weight, .. } => {
                let Input::Tokens(tokens) = self.call.input else {
                    return Err(misuse("an embedding without tokens".into()));
                };
                let mut rows: Vec<_> = tokens.iter().map(|token| *token as usize).collect();
                rows.resize(self.columns, 0);
                weights
                    .matrix(graph, weight)?
                    .rows(&rows)
                    .ok_or_else(no_rows)?
            }
            Op::Positions {
                weight: table,
                offset,
                ..
            } => {
                let last = (weight(graph, table)?.rows as usize).saturating_sub(1);
                let first = offset as usize + self.call.position;
                let rows: Vec<_> = (first..first + self.columns)
                    .map(|row| row.min(last))
                    .collect();
                weights
                    .matrix(graph, table)?
                    .rows(&rows)
                    .ok_or_else(no_rows)?
            }
            Op::RmsNorm { x, weight, eps, .. } => {
                ops::rms_norm(self.value(x)?, weights.row(graph, weight)?, eps)
            }
            Op::LayerNorm {
                x,
                weight,
                bias,
                eps,
                ..
            } => ops::layer_norm(
                self.value(x)?,
                weights.row(graph, weight)?,
                weights.row(graph, bias)?,
                eps,
            ),
            Op::Linear {
                x, weight, bias, ..
            } => {
                let bias = bias.map(|bias| weights.row(graph, bias)).transpose()?;
                let pieces = weights.matrix(graph, weight)?.pieces();
                ops::linear(&self.value(x)?, pieces, bias).ok_or_else(no_rows)?
            }
            Op::Rope {
                x,
                head_dim,
                pairing,
                frequencies,
                ..
            } => {
                let index = self.segment.rotations.index(frequencies);
                let angles = index.and_then(|index| self.angles.get(index));
                let [cos, sin] = angles.ok_or_else(|| misuse("no rotation table".into()))?;
                ops::rope(self.value(x)?, head_dim as usize, pairing, [cos, sin])
            }
            Op::Attention { q, .. } => {
                let heads = Heads::of(op).ok_or_else(no_rows)?;
                let (queries, bias) = (self.value(q)?, self.bias(heads));
                self.cache(op)?.attend(heads, queries, bias)
            }
            Op::BiasedAttention { .. } | Op::CrossAttention { .. } => {
                return Err(without_kernel(op));
            }
            Op::Activate { function, x, .. } => ops::activate(function, self.value(x)?),
            Op::Gate {
                function, gate, up, ..
            } => ops::gate(function, self.value(gate)?, self.value(up)?),
            Op::Scale { x, factor, .. } => ops::scale(self.value(x)?, factor),
            Op::Add { a, b, .. } => ops::add(self.value(a)?, self.value(b)?),
        })
    }

    /// Computed once per call for all ops with the same heads.
    fn bias(&mut self, heads: Heads) -> Tensor {
        if let Some((_, bias)) = self.biases.iter().find(|(known, _)| *known == heads) {
            return bias.clone();
        }
        let context = self.segment.class.context_columns as usize;
        let position = self.call.position;
        let bias = attention::bias(self.segment.device, heads, position, self.columns, context);
        self.biases.push((heads, bias.clone()));
        bias
    }

    fn cache(&mut self, op: &Op) -> Result<&mut Cache, EngineError> {
        let cache = op
            .cache()
            .and_then(|cache| self.caches.get_mut(cache.0 as usize));
        cache
            .and_then(Option::as_mut)
            .ok_or_else(|| misuse("a KV cache of another segment".into()))
    }

    fn is_needed(&self, value: ValueId) -> bool {
        self.segment.stage.demand(value, self.call.want) != Demand::Nothing
    }

    fn value(&self, value: ValueId) -> Result<Tensor, EngineError> {
        self.values[self.segment.stage.buffer(value)]
            .clone()
            .ok_or_else(|| misuse(format!("value number {} was not computed", value.0)))
    }

    fn put(&mut self, value: ValueId, tensor: Tensor) {
        self.values[self.segment.stage.buffer(value)] = Some(tensor);
    }
}
