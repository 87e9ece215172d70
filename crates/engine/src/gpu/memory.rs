//! What a forward call reads and writes besides weights: values, caches, inputs and the staging buffer.

use model::{Graph, NumericClass, Op};
use wgpu::BufferUsages;

use super::{
    decode,
    device::GpuDevice,
    variant::{Arithmetic, LinearKernels, Variant},
};
use crate::{
    EngineError, Input,
    segment::{Buffers, Call, Demand, OUT, Rotations, Stage, max_columns},
};

/// Offset between the two parameter blocks of a call; every device accepts multiples of it.
pub const UNIFORM_ALIGNMENT: u64 = 256;
/// Bytes of `struct Call`, rounded up to what a uniform has.
pub const CALL_BYTES: u64 = 16;

/// Cached columns of a block: what one workgroup of a decode call's attention walks.
pub const BLOCK_COLUMNS: u32 = 64;

/// Buffers of all stages; one stage runs at a time.
pub struct Memory {
    /// One per [`Buffers`] entry, columns x stride f32; entry [`OUT`] is what leaves, of which logits have as many columns as were
    /// ever wanted.
    pub values: Vec<wgpu::Buffer>,
    /// Of each slot, keys and values of each cache of the graph, context x width f32; `None` for those of other members.
    pub caches: Vec<Vec<Option<[wgpu::Buffer; 2]>>>,
    /// Of fused decode calls: columns x (queries, keys, values), and what each head found in each block of its cache.
    pub attention: [wgpu::Buffer; 2],
    /// What a product reads, prepared for its arithmetic: columns x `prepared_words`.
    pub prepared: wgpu::Buffer,
    /// Of fused decode calls: largest magnitude of each column of each unit's output.
    pub maxima: wgpu::Buffer,
    /// Blocks of the whole context.
    pub blocks: u32,
    /// Angles of each of `rotations`: columns x rotary_dim f32.
    pub angles: Vec<wgpu::Buffer>,
    /// Token ids, one per column.
    pub tokens: wgpu::Buffer,
    /// Two blocks of parameters: for every column, for the last one.
    pub call: wgpu::Buffer,
    /// For reading back.
    pub staging: wgpu::Buffer,
    /// Of a call, at most.
    columns: u32,
    /// Of logits that there is room for.
    pub logits_columns: u32,
    /// Tables of the angles.
    pub rotations: Rotations,
    /// The incoming hidden state with its columns moved apart.
    padded: Vec<f32>,
}

/// Words from one prepared column to the next: of each vector of eight four, and two by two four for scales and sums.
pub const fn prepared_words(width: u32) -> u32 {
    let vec8s = width.div_ceil(8);
    4 * (vec8s + vec8s.div_ceil(2))
}

/// Elements from one column of a value to the next: whole vectors of eight, the rest zero.
pub const fn stride(width: u32) -> u32 {
    width.next_multiple_of(8)
}

impl Memory {
    /// For calls of at most a chunk, or the most columns of a decode call.
    ///
    /// # Errors
    /// A buffer larger than the adapter can bind.
    pub fn new(
        device: &GpuDevice,
        graph: &Graph,
        class: NumericClass,
        slots: u32,
        stages: &[Stage],
        buffers: &Buffers,
    ) -> Result<Self, EngineError> {
        let columns = max_columns(class);
        let floats = |what: &str, rows: u32, width: u32| floats(device, what, rows, width);
        let mut values = Vec::with_capacity(buffers.widths.len());
        for width in &buffers.widths {
            values.push(floats("value", columns, stride(*width))?);
        }
        let [out, staging] = leaving(device, graph, stages, columns, 1)?;
        values[OUT] = out;
        let mut caches: Vec<Vec<_>> = (0..slots)
            .map(|_| graph.caches.iter().map(|_| None).collect())
            .collect();
        let mut rotations = Rotations::default();
        for op in stages.iter().flat_map(|stage| stage.ops(graph)) {
            if let Op::Rope { frequencies, .. } = op {
                rotations.add(*frequencies, columns as usize);
            }
            if let Some(cache) = op.cache() {
                let width = graph.caches[cache.0 as usize].width;
                let rows = class.context_columns;
                for of_slot in &mut caches {
                    let pair = [floats("keys", rows, width)?, floats("values", rows, width)?];
                    of_slot[cache.0 as usize] = Some(pair);
                }
            }
        }
        let mut angles = Vec::new();
        for table in rotations.iter() {
            angles.push(floats("angles", columns, table.rotary_dim())?);
        }
        let blocks = class.context_columns.div_ceil(BLOCK_COLUMNS);
        let Variant {
            linear, arithmetic, ..
        } = device.variant();
        let fused = match linear {
            LinearKernels::Parallel => NumericClass::MAX_DECODE_COLUMNS,
            LinearKernels::Serial => 0,
        };
        let ops = || stages.iter().flat_map(|stage| stage.ops(graph));
        let widest = |width: fn(&Op, u32) -> u32| ops().map(|op| width(op, blocks)).max();
        let projected = stride(widest(projected_width).unwrap_or(0));
        let found = widest(found_width).unwrap_or(0);
        let prepared = ops()
            .filter_map(|op| match (op, arithmetic) {
                (Op::Linear { x, .. }, Arithmetic::Prepared(_)) => Some(*x),
                _ => None,
            })
            .map(|x| prepared_words(graph.values[x.0 as usize]))
            .max();
        let call_usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        Ok(Self {
            tokens: floats("tokens", columns, 1)?,
            call: device.buffer("call", UNIFORM_ALIGNMENT + CALL_BYTES, call_usage),
            staging,
            columns,
            logits_columns: 1,
            attention: [
                floats("projected", fused, projected)?,
                floats("found", fused, found)?,
            ],
            prepared: floats(
                "prepared",
                prepared.map_or(0, |_| columns),
                prepared.unwrap_or(0),
            )?,
            maxima: floats("maxima", fused.min(1), decode::maxima(stages))?,
            blocks,
            values,
            caches,
            angles,
            rotations,
            padded: Vec::new(),
        })
    }

    /// Makes room for logits of so many columns: rooms want one. Programs that were recorded before have the old buffers.
    ///
    /// # Errors
    /// A buffer larger than the adapter can bind.
    pub fn grow_logits(
        &mut self,
        device: &GpuDevice,
        graph: &Graph,
        stages: &[Stage],
        columns: u32,
    ) -> Result<(), EngineError> {
        let [out, staging] = leaving(device, graph, stages, self.columns, columns)?;
        self.logits_columns = columns;
        self.values[OUT] = out;
        self.staging = staging;
        Ok(())
    }

    /// Writes what one call brings: parameters, angles, and token ids or hidden state.
    pub fn upload(&mut self, queue: &wgpu::Queue, graph: &Graph, stage: &Stage, call: &Call<'_>) {
        let (position, columns) = (call.position as u32, call.columns as u32);
        let every = [position, 0, columns, 0];
        let last = [position, columns - 1, columns, 0];
        queue.write_buffer(&self.call, 0, bytemuck::cast_slice(&every));
        queue.write_buffer(&self.call, UNIFORM_ALIGNMENT, bytemuck::cast_slice(&last));
        self.rotations.prepare(call.position, call.columns);
        for (table, buffer) in self.rotations.iter().zip(&self.angles) {
            queue.write_buffer(buffer, 0, bytemuck::cast_slice(table.cos_sin()));
        }
        match (call.input, stage.input) {
            (Input::Tokens(tokens), _) => {
                queue.write_buffer(&self.tokens, 0, bytemuck::cast_slice(tokens));
            }
            (Input::Hidden(hidden), Some(value))
                if stage.demand(value, call.want) != Demand::Nothing =>
            {
                let hidden = padded(&mut self.padded, hidden, graph.hidden_width);
                let buffer = &self.values[stage.buffer(value)];
                queue.write_buffer(buffer, 0, bytemuck::cast_slice(hidden));
            }
            (Input::Hidden(_), _) => {}
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let [projected, found] = &self.attention;
        let fused = [projected, found, &self.prepared, &self.maxima];
        let shared = [&self.tokens, &self.call, &self.staging];
        let buffers = self
            .values
            .iter()
            .chain(&self.angles)
            .chain(shared)
            .chain(fused);
        let caches = self.caches.iter().flatten().flatten().flatten();
        let host = self.rotations.bytes() + self.padded.capacity() * size_of::<f32>();
        buffers.chain(caches).map(wgpu::Buffer::size).sum::<u64>() + host as u64
    }
}

/// Rows x width f32.
///
/// # Errors
/// More than the adapter can bind.
fn floats(
    device: &GpuDevice,
    what: &str,
    rows: u32,
    width: u32,
) -> Result<wgpu::Buffer, EngineError> {
    let bytes = 4 * u64::from(rows.max(1)) * u64::from(width.max(8));
    let allowed = device.binding_bytes();
    if bytes > allowed {
        let detail = format!("{what} needs {bytes} bytes in one piece, {allowed} are allowed");
        return Err(EngineError::GpuLimit { detail });
    }
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
    Ok(device.buffer(what, bytes, usage))
}

/// What leaves stages, and where it is read back: hidden states of `columns`, logits of `logits_columns`.
fn leaving(
    device: &GpuDevice,
    graph: &Graph,
    stages: &[Stage],
    columns: u32,
    logits_columns: u32,
) -> Result<[wgpu::Buffer; 2], EngineError> {
    let elements = |stage: &Stage| {
        let columns = match stage.is_logits(stage.output) {
            true => logits_columns,
            false => columns,
        };
        columns * stride(stage.output_width(graph))
    };
    let most = stages.iter().map(elements).max().unwrap_or(0);
    let out = floats(device, "out", 1, most)?;
    let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
    let staging = device.buffer("staging", out.size(), usage);
    Ok([out, staging])
}

/// Elements per column of queries, keys and values together.
const fn projected_width(op: &Op, _blocks: u32) -> u32 {
    match *op {
        Op::Attention {
            heads,
            kv_heads,
            head_dim,
            ..
        } => (heads + 2 * kv_heads) * head_dim,
        _ => 0,
    }
}

/// Elements per column of what the heads find in the blocks of a cache: a weighted sum, the largest score, the sum of weights.
const fn found_width(op: &Op, blocks: u32) -> u32 {
    match *op {
        Op::Attention {
            heads, head_dim, ..
        } => heads * blocks * (head_dim + 2),
        _ => 0,
    }
}

/// Columns x width as columns x stride.
fn padded<'a>(scratch: &'a mut Vec<f32>, values: &'a [f32], width: u32) -> &'a [f32] {
    let stride = stride(width) as usize;
    if stride == width as usize {
        return values;
    }
    scratch.clear();
    for column in values.chunks_exact(width as usize) {
        let end = scratch.len() + stride;
        scratch.extend_from_slice(column);
        scratch.resize(end, 0.0);
    }
    scratch
}
