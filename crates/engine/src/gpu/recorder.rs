//! Op by op: a dispatch or two for each.

use model::{CacheId, Frequencies, Op, Pairing, ValueId, WeightId, WireDtype};

use super::{
    kernels::Kernel,
    memory::stride,
    program::{CONSTANT_WORDS, Columns, Grid, Planned, Source},
    variant::{Arithmetic, LinearKernels, Numbers},
    weights::{Piece, Tensor},
};
use crate::{
    EngineError, Phase, Want,
    segment::{self, Stage, misuse, without_kernel},
};

/// Longest head the attention kernels have room for.
const MAX_HEAD_DIM: u32 = 256;
/// Invocations that share a row of a prefill product on hardware.
const PREFILL_SLICES: u32 = 4;
/// Lanes of the elementwise kernels.
const LANES: u32 = 64;
/// What kernels take for no place.
pub const NONE: u32 = u32::MAX;
/// Words of `struct Matrix`.
pub const MATRIX_WORDS: usize = 12;
/// Of `offset` in it.
const OFFSET_WORD: usize = 8;
/// Of `first_out`.
const FIRST_OUT_WORD: usize = 11;

/// Walks the ops of a stage and plans their dispatches.
pub struct Recorder<'a> {
    /// What it records from.
    pub source: Source<'a>,
    /// Which stage.
    pub stage: &'a Stage,
    /// Prefill or decode.
    phase: Phase,
    /// So far.
    pub planned: Vec<Planned>,
    /// What lies there prepared for products.
    prepared: Option<Prepared>,
}

/// What is prepared for products.
#[derive(Clone, Copy, PartialEq)]
pub struct Prepared {
    /// What enters.
    pub x: ValueId,
    /// As what.
    pub numbers: Numbers,
    /// With gain and eps, where its norm enters.
    pub norm: Option<(u32, f32)>,
    /// First of the maxima by which it is rounded; or [`NONE`].
    pub rounding: u32,
}

impl<'a> Recorder<'a> {
    /// Nothing planned yet.
    pub const fn new(source: Source<'a>, stage: &'a Stage, phase: Phase) -> Self {
        Self {
            source,
            stage,
            phase,
            planned: Vec::new(),
            prepared: None,
        }
    }

    /// All of its dispatches.
    ///
    /// # Errors
    /// Heads longer than the kernels have room for.
    pub fn stage(mut self) -> Result<Vec<Planned>, EngineError> {
        let graph = self.source.graph;
        let range = self.stage.range;
        for unit in &graph.units[range.start as usize..range.end as usize] {
            for op in &graph.ops[unit.ops.clone()] {
                self.op(op)?;
            }
            if self.rounds(unit.output) {
                self.round(unit.output);
            }
        }
        Ok(self.planned)
    }

    /// Whether a value is rounded, be the plan's cut there or not (numeric contract, rule 1).
    pub fn rounds(&self, value: ValueId) -> bool {
        self.source.wire == WireDtype::F16Scaled && self.source.graph.crosses_cut(value)
    }

    /// Rounds it where it lies.
    pub fn round(&mut self, value: ValueId) {
        let width = self.width(value);
        let buffers = vec![self.value(value)];
        let grid = Grid::of(Kernel::Round, 1);
        self.plan(value, grid, &[width, stride(width)], buffers);
    }

    /// One op.
    ///
    /// # Errors
    /// Heads longer than the kernels have room for.
    pub fn op(&mut self, op: &Op) -> Result<(), EngineError> {
        match *op {
            Op::Embed { weight, out } => self.embed(weight, out),
            Op::Positions {
                weight,
                offset,
                out,
            } => self.positions(weight, offset, out),
            Op::RmsNorm {
                x,
                weight,
                eps,
                out,
            } => self.rms_norm(x, weight, eps, out),
            Op::LayerNorm {
                x,
                weight,
                bias,
                eps,
                out,
            } => self.layer_norm(x, weight, bias, eps, out),
            Op::Linear {
                x,
                weight,
                bias,
                out,
            } => {
                self.linear(x, weight, out)?;
                bias.map_or(Ok(()), |bias| self.add_row(bias, out))
            }
            Op::Rope {
                x,
                head_dim,
                pairing,
                frequencies,
                out,
                ..
            } => {
                let angles = self.angles(frequencies)?;
                let width = self.width(out);
                let halves = u32::from(pairing == Pairing::Halves);
                let rotary_dim = frequencies.rotary_dim;
                let constants = [width, stride(width), head_dim, rotary_dim, halves];
                let buffers = vec![self.value(x), angles, self.value(out)];
                let grid = Grid::of(Kernel::Rope, width.div_ceil(LANES));
                self.plan(out, grid, &constants, buffers);
                Ok(())
            }
            Op::Attention { .. } => self.attention(op),
            Op::BiasedAttention { .. } | Op::CrossAttention { .. } => Err(without_kernel(op)),
            Op::Activate { function, x, out } => {
                self.elementwise(Kernel::Activate(function), &[x], 0, out);
                Ok(())
            }
            Op::Gate {
                function,
                gate,
                up,
                out,
            } => {
                self.elementwise(Kernel::Gate(function), &[gate, up], 0, out);
                Ok(())
            }
            Op::Scale { x, factor, out } => {
                self.elementwise(Kernel::Scale, &[x], factor.to_bits(), out);
                Ok(())
            }
            Op::Add { a, b, out } => {
                self.elementwise(Kernel::Add, &[a, b], 0, out);
                Ok(())
            }
        }
    }

    fn embed(&mut self, weight: WeightId, out: ValueId) -> Result<(), EngineError> {
        let tensor = self.source.weights.tensor(self.source.graph, weight)?;
        let groups = tensor.layout.vec8s.div_ceil(LANES);
        for piece in &tensor.pieces {
            let buffers = vec![
                piece.words.clone(),
                self.source.memory.tokens.clone(),
                self.value(out),
            ];
            let constants = self.matrix(tensor, piece, out);
            let grid = Grid::of(Kernel::Embed(tensor.dtype), groups);
            self.plan(out, grid, &constants, buffers);
        }
        Ok(())
    }

    fn positions(
        &mut self,
        weight: WeightId,
        offset: u32,
        out: ValueId,
    ) -> Result<(), EngineError> {
        let tensor = self.source.weights.tensor(self.source.graph, weight)?;
        let groups = tensor.layout.vec8s.div_ceil(LANES);
        for piece in &tensor.pieces {
            let buffers = vec![piece.words.clone(), self.value(out)];
            let mut constants = self.matrix(tensor, piece, out);
            constants[OFFSET_WORD] = offset;
            let grid = Grid::of(Kernel::Positions(tensor.dtype), groups);
            self.plan(out, grid, &constants, buffers);
        }
        Ok(())
    }

    /// Of whole columns, or of every head.
    fn rms_norm(
        &mut self,
        x: ValueId,
        weight: WeightId,
        eps: f32,
        out: ValueId,
    ) -> Result<(), EngineError> {
        let cols = segment::weight(self.source.graph, weight)?.cols;
        let gain = self.source.weights.vectors.start(weight)?;
        let stride = stride(self.width(x));
        let (grid, stride) = match self.width(x) / cols {
            1 => (Grid::of(Kernel::RmsNorm, 1), stride / 4),
            heads => (Grid::of(Kernel::HeadNorm, heads), stride),
        };
        let buffers = vec![self.vectors(), self.value(x), self.value(out)];
        self.plan(out, grid, &[cols, stride, gain, eps.to_bits()], buffers);
        Ok(())
    }

    fn layer_norm(
        &mut self,
        x: ValueId,
        weight: WeightId,
        bias: WeightId,
        eps: f32,
        out: ValueId,
    ) -> Result<(), EngineError> {
        let vectors = &self.source.weights.vectors;
        let [gain, bias] = [vectors.start(weight)?, vectors.start(bias)?];
        let width = self.width(x);
        let constants = [width, stride(width), gain, eps.to_bits(), bias];
        let buffers = vec![self.vectors(), self.value(x), self.value(out)];
        self.plan(out, Grid::of(Kernel::LayerNorm, 1), &constants, buffers);
        Ok(())
    }

    /// Adds a vector to what was just written.
    fn add_row(&mut self, row: WeightId, out: ValueId) -> Result<(), EngineError> {
        let bias = self.source.weights.vectors.start(row)?;
        let width = self.width(out);
        let vec4s = width.div_ceil(4);
        let buffers = vec![self.vectors(), self.value(out)];
        let grid = Grid::of(Kernel::AddRow, vec4s.div_ceil(LANES));
        let first_out = u32::from(self.stage.is_logits(out));
        let constants = [vec4s, stride(width) / 4, bias, first_out];
        self.plan(out, grid, &constants, buffers);
        Ok(())
    }

    /// Where products find what enters, as numbers that its dispatch makes, unless the last one of its kind did.
    pub fn prepare(&mut self, entering: Prepared) -> wgpu::Buffer {
        let memory = self.source.memory;
        if self.prepared.replace(entering) != Some(entering) {
            let Prepared {
                x,
                numbers,
                norm,
                rounding,
            } = entering;
            let width = self.width(x);
            let (gain, eps) = norm.unwrap_or((NONE, 0.0));
            let vec8s = width.div_ceil(8);
            let constants = [width, vec8s, gain, eps.to_bits(), rounding];
            let buffers = vec![
                self.vectors(),
                memory.maxima.clone(),
                self.value(x),
                memory.prepared.clone(),
            ];
            let grid = Grid::of(Kernel::Prepare(numbers), vec8s.div_ceil(2 * LANES));
            self.plan(x, grid, &constants, buffers);
        }
        memory.prepared.clone()
    }

    fn linear(&mut self, x: ValueId, weight: WeightId, out: ValueId) -> Result<(), EngineError> {
        let tensor = self.source.weights.tensor(self.source.graph, weight)?;
        let arithmetic = self.source.variant.arithmetic.of(tensor.dtype);
        let entering = match arithmetic {
            Arithmetic::Float => self.value(x),
            Arithmetic::Prepared(numbers) => self.prepare(Prepared {
                x,
                numbers,
                norm: None,
                rounding: NONE,
            }),
        };
        for piece in &tensor.pieces {
            let rows = piece.rows.end - piece.rows.start;
            let tiles = |kernel, rows_per_group, columns_per_group| Grid {
                kernel,
                groups: rows.div_ceil(rows_per_group),
                columns_per_group,
            };
            let slices = match self.source.variant.linear {
                LinearKernels::Parallel => PREFILL_SLICES,
                LinearKernels::Serial => 1,
            };
            let [one, several] = match self.phase {
                Phase::Prefill => {
                    let kernel = Kernel::LinearPrefill(tensor.dtype, arithmetic, slices);
                    [tiles(kernel, 32, 32); 2]
                }
                Phase::Decode => [1, 8].map(|columns| {
                    let kernel = Kernel::LinearRows(tensor.dtype, arithmetic, columns);
                    tiles(kernel, 64, columns)
                }),
            };
            self.planned.push(Planned {
                one,
                several,
                constants: self.matrix(tensor, piece, out),
                buffers: vec![piece.words.clone(), entering.clone(), self.value(out)],
                columns: self.demanded(out),
                per_block: false,
            });
        }
        Ok(())
    }

    fn attention(&mut self, op: &Op) -> Result<(), EngineError> {
        let Op::Attention {
            q,
            k,
            v,
            heads,
            kv_heads,
            head_dim,
            cache,
            out,
            ..
        } = *op
        else {
            return Ok(());
        };
        let [keys, values] = self.cache(cache)?;
        let kv_width = kv_heads * head_dim;
        let buffers = vec![self.value(k), self.value(v), keys.clone(), values.clone()];
        let grid = Grid::of(Kernel::Append, kv_width.div_ceil(LANES));
        self.plan_every(grid, &[kv_width, stride(kv_width)], buffers);
        let q_stride = stride(heads * head_dim);
        let constants = self.attention_shape(op, q_stride)?;
        let buffers = vec![self.value(q), keys, values, self.value(out)];
        self.plan(out, Grid::of(Kernel::Attention, heads), &constants, buffers);
        Ok(())
    }

    /// `struct Attention`.
    ///
    /// # Errors
    /// Heads longer than the kernels have room for.
    pub fn attention_shape(&self, op: &Op, q_stride: u32) -> Result<[u32; 10], EngineError> {
        let Op::Attention {
            heads,
            kv_heads,
            head_dim,
            scale,
            window,
            alibi,
            ..
        } = *op
        else {
            return Err(misuse("attention of something else".into()));
        };
        if head_dim > MAX_HEAD_DIM {
            return Err(EngineError::GpuLimit {
                detail: format!(
                    "heads of {head_dim} elements, at most {MAX_HEAD_DIM} are possible"
                ),
            });
        }
        Ok([
            heads / kv_heads,
            head_dim,
            q_stride,
            stride(heads * head_dim),
            kv_heads * head_dim,
            scale.to_bits(),
            window.unwrap_or(u32::MAX),
            if alibi { 1 << heads.ilog2() } else { 0 },
            heads,
            self.source.memory.blocks,
        ])
    }

    /// Keys and values.
    ///
    /// # Errors
    /// A cache of another segment.
    pub fn cache(&self, cache: CacheId) -> Result<[wgpu::Buffer; 2], EngineError> {
        let cache = self.source.caches.get(cache.0 as usize);
        let pair = cache.and_then(Option::as_ref);
        let misplaced = || misuse("a KV cache of another segment".into());
        pair.cloned().ok_or_else(misplaced)
    }

    /// `parameter` is what the kernel knows besides the width.
    fn elementwise(&mut self, kernel: Kernel, inputs: &[ValueId], parameter: u32, out: ValueId) {
        let vec4s = stride(self.width(out)) / 4;
        let values = inputs.iter().chain([&out]);
        let buffers = values.map(|value| self.value(*value)).collect();
        let grid = Grid::of(kernel, vec4s.div_ceil(LANES));
        self.plan(out, grid, &[vec4s, parameter], buffers);
    }

    /// A dispatch that computes what is needed of `out`.
    pub fn plan(
        &mut self,
        out: ValueId,
        grid: Grid,
        constants: &[u32],
        buffers: Vec<wgpu::Buffer>,
    ) {
        let columns = self.demanded(out);
        self.plan_columns(grid, constants, buffers, columns);
    }

    /// A dispatch that computes every column.
    pub fn plan_every(&mut self, grid: Grid, constants: &[u32], buffers: Vec<wgpu::Buffer>) {
        self.plan_columns(grid, constants, buffers, Columns::Every);
    }

    fn plan_columns(
        &mut self,
        grid: Grid,
        constants: &[u32],
        buffers: Vec<wgpu::Buffer>,
        columns: Columns,
    ) {
        self.planned.push(Planned {
            one: grid,
            several: grid,
            constants: padded(constants),
            buffers,
            columns,
            per_block: grid.kernel == Kernel::AttentionBlocks,
        });
    }

    fn matrix(&self, tensor: &Tensor, piece: &Piece, out: ValueId) -> [u32; CONSTANT_WORDS] {
        padded(&self.output(matrix(tensor, piece, stride(self.width(out))), out))
    }

    /// The same, whose output is a value.
    pub fn output(&self, mut matrix: [u32; MATRIX_WORDS], out: ValueId) -> [u32; MATRIX_WORDS] {
        matrix[FIRST_OUT_WORD] = u32::from(self.stage.is_logits(out));
        matrix
    }

    /// Angles of every pair.
    ///
    /// # Errors
    /// Frequencies of no op of this member.
    pub fn angles(&self, frequencies: Frequencies) -> Result<wgpu::Buffer, EngineError> {
        let memory = self.source.memory;
        let index = memory.rotations.index(frequencies);
        index
            .and_then(|index| memory.angles.get(index).cloned())
            .ok_or_else(|| misuse("no rotation table".into()))
    }

    /// Gains and biases.
    pub fn vectors(&self) -> wgpu::Buffer {
        self.source.weights.vectors.buffer.clone()
    }

    /// Where it lies.
    pub fn value(&self, value: ValueId) -> wgpu::Buffer {
        self.source.memory.values[self.stage.buffer(value)].clone()
    }

    /// Elements per column.
    pub fn width(&self, value: ValueId) -> u32 {
        self.source.graph.values[value.0 as usize]
    }

    /// As many columns as are needed.
    pub fn demanded(&self, value: ValueId) -> Columns {
        let wants = [Want::Nothing, Want::LastColumn, Want::EveryColumn];
        Columns::Demanded(wants.map(|want| self.stage.demand(value, want)))
    }
}

/// `struct Matrix`.
pub fn matrix(tensor: &Tensor, piece: &Piece, out_stride: u32) -> [u32; MATRIX_WORDS] {
    let layout = &tensor.layout;
    [
        piece.rows.start,
        piece.rows.end - piece.rows.start,
        layout.cols,
        layout.vec8s,
        layout.quant_words,
        piece.first_scale(layout),
        layout.scale_words,
        out_stride,
        0,
        NONE,
        0,
        0,
    ]
}

/// Constants as they are bound.
pub fn padded(words: &[u32]) -> [u32; CONSTANT_WORDS] {
    let mut padded = [0; CONSTANT_WORDS];
    for (padded, word) in padded.iter_mut().zip(words) {
        *padded = *word;
    }
    padded
}
