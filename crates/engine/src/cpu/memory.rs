//! Everything a forward call writes to, allocated before the first one, and the walk over the ops of a segment.

use model::{
    CacheId, Graph, NumericClass, Op, ValueId, WeightId, WireDtype, graph::distance_bucket, wire,
};

use super::{
    activation_functions,
    attention::Cache,
    elementwise,
    linear::{Scratch, linear},
    rope::rotate,
    store::Store,
};
use crate::{
    EngineError, Input, Phase, Want,
    memory::zeroed,
    segment::{self, Buffers, Call, Heads, OUT, Rotations, Stage, max_columns, misuse},
};

/// What is written to while running.
pub struct Memory {
    /// One per [`Buffers`] entry: columns x width.
    values: Vec<Vec<f32>>,
    /// Of each slot, one per cache of the graph; `None` for those of other members.
    caches: Vec<Vec<Option<Cache>>>,
    rotations: Rotations,
    scratch: Scratch,
    /// Attention scores of one head.
    scores: Vec<f32>,
    /// Of each bucket of distances and head.
    biases: Vec<f32>,
    wire: WireDtype,
}

impl Memory {
    /// For calls of at most a chunk, or the most columns of a decode call.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(
        graph: &Graph,
        class: NumericClass,
        slots: u32,
        stages: &[Stage],
        buffers: &Buffers,
    ) -> Result<Self, EngineError> {
        let columns = max_columns(class) as usize;
        let context = class.context_columns as usize;
        let mut values = Vec::with_capacity(buffers.widths.len());
        for width in &buffers.widths {
            values.push(floats(columns, *width)?);
        }
        let mut caches: Vec<Vec<_>> = (0..slots)
            .map(|_| graph.caches.iter().map(|_| None).collect())
            .collect();
        let mut rotations = Rotations::default();
        let (mut longest_row, mut longest_quantised_row) = (0, 0);
        let mut most_biases = 0;
        for op in stages.iter().flat_map(|stage| stage.ops(graph)) {
            for weight in op
                .weights()
                .filter_map(|id| graph.weights.get(id.0 as usize))
            {
                let in_16_bits = weight.dtype.has_integer_products();
                if in_16_bits {
                    longest_quantised_row = weight.cols.max(longest_quantised_row);
                }
                if !in_16_bits || weight.rows == 1 {
                    longest_row = weight.cols.max(longest_row);
                }
            }
            if let Op::Rope { frequencies, .. } = op {
                rotations.add(*frequencies, columns);
            }
            if let Op::BiasedAttention { bias, .. } = op {
                let table = segment::weight(graph, *bias)?;
                most_biases = most_biases.max(table.rows as usize * table.cols as usize);
            }
            if let Some(cache) = op.cache() {
                let width = graph.caches[cache.0 as usize].width;
                for of_slot in &mut caches {
                    of_slot[cache.0 as usize] = Some(Cache::new(
                        width as usize,
                        floats(context, width)?,
                        floats(context, width)?,
                    ));
                }
            }
        }
        let scratch = Scratch::new(
            longest_row as usize,
            longest_quantised_row as usize,
            columns,
        )?;
        Ok(Self {
            values,
            caches,
            rotations,
            scratch,
            scores: zeroed(context)?,
            biases: zeroed(most_biases)?,
            wire: class.wire,
        })
    }

    /// Takes note of a weight that changes what was prepared.
    ///
    /// # Errors
    /// Rotations that make no sense.
    pub fn put_rows(&mut self, id: WeightId, bytes: &[u8]) -> Result<(), EngineError> {
        self.rotations.put_factors(id, bytes)
    }

    /// Runs every unit of the stage; `out` becomes the wanted columns of its last value.
    ///
    /// # Errors
    /// A weight or cache of another segment.
    pub fn forward(
        &mut self,
        graph: &Graph,
        store: &Store,
        stage: &Stage,
        call: &Call<'_>,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        core::mem::swap(&mut self.values[OUT], out);
        let walked = self.walk(graph, store, stage, call);
        core::mem::swap(&mut self.values[OUT], out);
        walked
    }

    fn walk(
        &mut self,
        graph: &Graph,
        store: &Store,
        stage: &Stage,
        call: &Call<'_>,
    ) -> Result<(), EngineError> {
        self.rotations.prepare(call.position, call.columns);
        self.take_input(stage, call);
        for unit in &graph.units[stage.range.start as usize..stage.range.end as usize] {
            for op in &graph.ops[unit.ops.clone()] {
                if !stage.is_made_of_memory(op.output()) {
                    self.execute(graph, store, stage, op, call)?;
                }
            }
            // Whether or not the plan cuts here (numeric contract, rule 1).
            if graph.crosses_cut(unit.output) {
                let values = &mut self.values[stage.buffer(unit.output)];
                wire::round_columns(self.wire, graph.hidden_width, values);
            }
        }
        Ok(())
    }

    /// Makes the keys and values that later calls attend to across.
    ///
    /// # Errors
    /// A weight or cache of another segment.
    pub fn remember(
        &mut self,
        graph: &Graph,
        store: &Store,
        stage: &Stage,
        memory: &segment::Memory<'_>,
    ) -> Result<(), EngineError> {
        let Some(value) = stage.memory else {
            return Ok(());
        };
        let buffer = &mut self.values[stage.buffer(value)];
        buffer.clear();
        buffer.extend_from_slice(memory.hidden);
        let call = Call {
            slot: memory.slot,
            position: 0,
            columns: memory.columns,
            phase: Phase::Prefill,
            want: Want::Nothing,
            input: Input::Hidden(memory.hidden),
        };
        for op in stage.ops(graph) {
            if stage.is_made_of_memory(op.output()) {
                self.execute(graph, store, stage, op, &call)?;
            }
            if let Op::CrossAttention { k, v, cache, .. } = *op {
                let (keys, values) = (stage.buffer(k), stage.buffer(v));
                let cache = cache_of(&mut self.caches, call.slot, cache)?;
                cache.write(0, &self.values[keys], &self.values[values]);
            }
        }
        Ok(())
    }

    /// Keeps the columns of the incoming hidden state that are needed.
    fn take_input(&mut self, stage: &Stage, call: &Call<'_>) {
        if let (Some(value), Input::Hidden(hidden)) = (stage.input, call.input) {
            let width = hidden.len() / call.columns;
            let needed = stage.demand(value, call.want).of(call.columns) * width;
            let buffer = &mut self.values[stage.buffer(value)];
            buffer.clear();
            buffer.extend_from_slice(&hidden[hidden.len() - needed..]);
        }
    }

    /// Computes the needed columns of an op's output: the last ones of the call.
    fn execute(
        &mut self,
        graph: &Graph,
        store: &Store,
        stage: &Stage,
        op: &Op,
        call: &Call<'_>,
    ) -> Result<(), EngineError> {
        let value = op.output();
        let columns = stage.demand(value, call.want).of(call.columns);
        let fills_cache = matches!(op, Op::Attention { .. } | Op::BiasedAttention { .. });
        let mut out = core::mem::take(&mut self.values[stage.buffer(value)]);
        out.resize(columns * graph.values[value.0 as usize] as usize, 0.0);
        let computed = if columns > 0 || fills_cache {
            self.compute(graph, store, stage, op, call, &mut out)
        } else {
            Ok(())
        };
        self.values[stage.buffer(value)] = out;
        computed
    }

    fn compute(
        &mut self,
        graph: &Graph,
        store: &Store,
        stage: &Stage,
        op: &Op,
        call: &Call<'_>,
        out: &mut [f32],
    ) -> Result<(), EngineError> {
        let Self {
            values,
            caches,
            rotations,
            scratch,
            scores,
            biases,
            ..
        } = self;
        let width_of = |value: ValueId| graph.values[value.0 as usize] as usize;
        let width = width_of(op.output());
        let columns = out.len() / width;
        let every_column = |value: ValueId| values[stage.buffer(value)].as_slice();
        let last_columns = |value: ValueId| {
            let held = every_column(value);
            &held[held.len() - columns * width_of(value)..]
        };
        match *op {
            Op::Embed { weight, .. } => {
                let table = store.matrix(graph, weight)?;
                let Input::Tokens(tokens) = call.input else {
                    return Err(misuse("an embedding without tokens".into()));
                };
                let tokens = &tokens[tokens.len() - columns..];
                for (token, out) in tokens.iter().zip(out.chunks_exact_mut(width)) {
                    table.dequantise_row(*token as usize, out);
                }
            }
            Op::Positions { weight, offset, .. } => {
                let table = store.matrix(graph, weight)?;
                let first = offset as usize + call.position + call.columns - columns;
                for (row, out) in (first..).zip(out.chunks_exact_mut(width)) {
                    table.dequantise_row(row, out);
                }
            }
            Op::RmsNorm { x, weight, eps, .. } => {
                let gain = store.matrix(graph, weight)?.only_row(&mut scratch.rows);
                elementwise::rms_norm(last_columns(x), gain, eps, out);
            }
            Op::LayerNorm {
                x,
                weight,
                bias,
                eps,
                ..
            } => {
                let (gain, rest) = scratch.rows.split_at_mut(width);
                let gain = store.matrix(graph, weight)?.only_row(gain);
                let bias = store.matrix(graph, bias)?.only_row(rest);
                elementwise::layer_norm(last_columns(x), gain, bias, eps, out);
            }
            Op::Linear {
                x, weight, bias, ..
            } => {
                linear(store.matrix(graph, weight)?, last_columns(x), out, scratch);
                if let Some(bias) = bias {
                    let bias = store.matrix(graph, bias)?.only_row(&mut scratch.rows);
                    elementwise::add_row(bias, out);
                }
            }
            Op::Rope {
                x,
                head_dim,
                pairing,
                frequencies,
                ..
            } => {
                let rotation = rotations
                    .of(frequencies)
                    .ok_or_else(|| misuse("no rotation table".into()))?;
                rotate(
                    pairing,
                    rotation.cos_sin(),
                    rotation.rotary_dim() as usize,
                    last_columns(x),
                    width,
                    head_dim as usize,
                    out,
                );
            }
            Op::Attention { q, k, v, cache, .. } => {
                let cache = cache_of(caches, call.slot, cache)?;
                cache.write(call.position, every_column(k), every_column(v));
                let heads =
                    Heads::of(op).ok_or_else(|| misuse("attention without heads".into()))?;
                cache.attend(
                    heads,
                    call.position + call.columns - columns,
                    last_columns(q),
                    scores,
                    out,
                );
            }
            Op::BiasedAttention {
                q,
                k,
                v,
                heads,
                bias,
                max_distance,
                causal,
                cache,
                ..
            } => {
                let cache = cache_of(caches, call.slot, cache)?;
                cache.write(call.position, every_column(k), every_column(v));
                let table = store.matrix(graph, bias)?;
                let buckets = graph.weights[bias.0 as usize].rows;
                let rows = biases.chunks_exact_mut(heads as usize);
                for (bucket, row) in rows.take(buckets as usize).enumerate() {
                    table.dequantise_row(bucket, row);
                }
                let end = call.position + call.columns;
                let first = end - columns;
                let shape = Heads::of(op).ok_or_else(|| misuse("no heads".into()))?;
                let seen = |column| if causal { first + column + 1 } else { end };
                let raised = |column, key, head: usize| {
                    let places = (first + column, key);
                    let bucket = distance_bucket(places, buckets, max_distance, causal);
                    biases[bucket as usize * heads as usize + head]
                };
                cache.attend_unscaled(shape, seen, raised, last_columns(q), scores, out);
            }
            Op::CrossAttention { q, cache, .. } => {
                let cache = cache_of(caches, call.slot, cache)?;
                let seen = stage.memory_columns.get(call.slot).copied().unwrap_or(0) as usize;
                let shape = Heads::of(op).ok_or_else(|| misuse("no heads".into()))?;
                let level = |_, _, _| 0.0;
                cache.attend_unscaled(shape, |_| seen, level, last_columns(q), scores, out);
            }
            Op::Activate { function, x, .. } => {
                activation_functions::activate(function, last_columns(x), out)
            }
            Op::Gate {
                function, gate, up, ..
            } => activation_functions::gate(function, last_columns(gate), last_columns(up), out),
            Op::Scale { x, factor, .. } => elementwise::scale(last_columns(x), factor, out),
            Op::Add { a, b, .. } => elementwise::add(last_columns(a), last_columns(b), out),
        }
        Ok(())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let floats: usize = self
            .values
            .iter()
            .chain([&self.scores, &self.biases])
            .map(Vec::capacity)
            .sum();
        let caches: usize = self
            .caches
            .iter()
            .flatten()
            .flatten()
            .map(Cache::bytes)
            .sum();
        floats * size_of::<f32>() + caches + self.scratch.bytes() + self.rotations.bytes()
    }
}

fn cache_of(
    caches: &mut [Vec<Option<Cache>>],
    slot: usize,
    cache: CacheId,
) -> Result<&mut Cache, EngineError> {
    let of_slot = caches.get_mut(slot);
    of_slot
        .and_then(|caches| caches.get_mut(cache.0 as usize))
        .and_then(Option::as_mut)
        .ok_or_else(|| misuse("a KV cache of another segment".into()))
}

/// Room for `columns` x `width` numbers.
fn floats(columns: usize, width: u32) -> Result<Vec<f32>, EngineError> {
    let bytes = (columns as u64)
        .saturating_mul(u64::from(width))
        .saturating_mul(4);
    zeroed(
        columns
            .checked_mul(width as usize)
            .ok_or(EngineError::OutOfMemory { bytes })?,
    )
}
