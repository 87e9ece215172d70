//! A segment as a fixed list of dispatches: recorded once, replayed for every call.

use model::{DType, Frequencies, Graph, Op, Pairing, ValueId, WeightId, WireDtype};

use super::{
    device::{GpuDevice, LinearKernels},
    kernels::{Kernel, Kernels},
    memory::{CALL_BYTES, Memory, UNIFORM_ALIGNMENT, stride},
    weights::{Piece, Tensor, Weights},
};
use crate::{
    EngineError, Phase, Want,
    segment::{self, Demand, Stage, misuse},
};

/// Longest head the attention kernel has room for.
const MAX_HEAD_DIM: u32 = 256;
/// Lanes of the elementwise kernels.
const LANES: u32 = 64;
/// Words of the longest constants struct, rounded up to whole vectors.
const CONSTANT_WORDS: usize = 12;

/// Of `offset` in `struct Matrix`.
const OFFSET_WORD: usize = 9;

/// The dispatches of one stage.
pub struct Program {
    dispatches: Vec<Dispatch>,
    /// Group 0 for every column of a call, and for its last one.
    calls: [wgpu::BindGroup; 2],
}

struct Dispatch {
    prefill: Launch,
    one: Launch,
    several: Launch,
    bind_group: wgpu::BindGroup,
    columns: Columns,
}

/// A pipeline and its grid.
struct Launch {
    pipeline: wgpu::ComputePipeline,
    groups: u32,
    columns_per_group: u32,
}

/// Which columns a dispatch computes.
#[derive(Clone, Copy)]
enum Columns {
    /// Every one of the call.
    Every,
    /// As many as are needed of this value for what is wanted: one entry per [`Want`].
    Demanded([Demand; 3]),
}

/// A dispatch before its constants have a place.
struct Planned {
    grids: Grids,
    constants: [u32; CONSTANT_WORDS],
    buffers: Vec<wgpu::Buffer>,
    columns: Columns,
}

#[derive(Clone, Copy)]
struct Grid {
    kernel: Kernel,
    groups: u32,
    columns_per_group: u32,
}

/// Of the calls that have kernels of their own.
struct Grids {
    prefill: Grid,
    /// One generated column.
    one: Grid,
    /// Several: in the same order, so with the same bits.
    several: Grid,
}

impl Grid {
    const fn of(kernel: Kernel, groups: u32) -> Self {
        Self {
            kernel,
            groups,
            columns_per_group: 1,
        }
    }
}

/// What a program is recorded from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The model.
    pub graph: &'a Graph,
    /// Its weights here.
    pub weights: &'a Weights,
    /// Everything else it reads and writes.
    pub memory: &'a Memory,
    /// Of `memory`, the caches of the slot it is for.
    pub caches: &'a [Option<[wgpu::Buffer; 2]>],
    /// Rounding at cuts.
    pub wire: WireDtype,
    /// Kernels of matrix products.
    pub linear: LinearKernels,
}

impl Program {
    /// Compiles what the stage needs and binds every buffer.
    ///
    /// # Errors
    /// Heads longer than the kernel has room for.
    pub fn new(
        device: &GpuDevice,
        kernels: &mut Kernels,
        source: Source<'_>,
        stage: &Stage,
    ) -> Result<Self, EngineError> {
        let mut recorder = Recorder {
            source,
            stage,
            planned: Vec::new(),
        };
        recorder.stage()?;
        let planned = recorder.planned;
        let constants = constants(device, &planned);
        let dispatches = (0..)
            .zip(planned)
            .map(|(index, planned)| planned.build(device, kernels, &constants, index));
        let dispatches = dispatches.collect();
        let call = |offset: u64| wgpu::BufferBinding {
            buffer: &source.memory.call,
            offset,
            size: wgpu::BufferSize::new(CALL_BYTES),
        };
        let calls = [0, UNIFORM_ALIGNMENT]
            .map(|offset| device.bind_group(kernels.call_layout(), &[call(offset)]));
        Ok(Self { dispatches, calls })
    }

    /// Records one call. Returns how many dispatches it has.
    pub fn encode(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        phase: Phase,
        want: Want,
        columns: usize,
    ) -> u64 {
        let mut dispatches = 0;
        let [every, last] = &self.calls;
        for dispatch in &self.dispatches {
            let demand = match dispatch.columns {
                Columns::Every => Demand::Every,
                Columns::Demanded(demands) => demands[Demand::from(want) as usize],
            };
            let columns = demand.of(columns) as u32;
            if columns == 0 {
                continue;
            }
            let launch = match phase {
                Phase::Prefill => &dispatch.prefill,
                Phase::Decode if columns == 1 => &dispatch.one,
                Phase::Decode => &dispatch.several,
            };
            pass.set_pipeline(&launch.pipeline);
            pass.set_bind_group(0, if demand == Demand::Last { last } else { every }, &[]);
            pass.set_bind_group(1, &dispatch.bind_group, &[]);
            pass.dispatch_workgroups(launch.groups, columns.div_ceil(launch.columns_per_group), 1);
            dispatches += 1;
        }
        dispatches
    }
}

/// The constants of every dispatch, in one immutable buffer.
fn constants(device: &GpuDevice, planned: &[Planned]) -> wgpu::Buffer {
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let bytes = UNIFORM_ALIGNMENT * planned.len().max(1) as u64;
    let buffer = device.buffer("constants", bytes, usage);
    for (index, planned) in (0..).zip(planned) {
        let words = bytemuck::cast_slice(&planned.constants);
        device
            .queue()
            .write_buffer(&buffer, index * UNIFORM_ALIGNMENT, words);
    }
    buffer
}

impl Planned {
    fn build(
        self,
        device: &GpuDevice,
        kernels: &mut Kernels,
        constants: &wgpu::Buffer,
        index: u64,
    ) -> Dispatch {
        let own = wgpu::BufferBinding {
            buffer: constants,
            offset: index * UNIFORM_ALIGNMENT,
            size: wgpu::BufferSize::new(4 * CONSTANT_WORDS as u64),
        };
        let storage = self
            .buffers
            .iter()
            .map(wgpu::Buffer::as_entire_buffer_binding);
        let bindings: Vec<_> = [own].into_iter().chain(storage).collect();
        let layout = kernels.layout(self.grids.one.kernel);
        let mut launch = |grid: Grid| Launch {
            pipeline: kernels.pipeline(grid.kernel),
            groups: grid.groups,
            columns_per_group: grid.columns_per_group,
        };
        Dispatch {
            prefill: launch(self.grids.prefill),
            one: launch(self.grids.one),
            several: launch(self.grids.several),
            bind_group: device.bind_group(&layout, &bindings),
            columns: self.columns,
        }
    }
}

/// Walks the ops of a stage and plans their dispatches.
struct Recorder<'a> {
    source: Source<'a>,
    stage: &'a Stage,
    planned: Vec<Planned>,
}

impl Recorder<'_> {
    fn stage(&mut self) -> Result<(), EngineError> {
        let graph = self.source.graph;
        let range = self.stage.range;
        for unit in &graph.units[range.start as usize..range.end as usize] {
            for op in &graph.ops[unit.ops.clone()] {
                self.op(op)?;
            }
            // Whether or not the plan cuts here (numeric contract, rule 1).
            if self.source.wire == WireDtype::F16Scaled && graph.crosses_cut(unit.output) {
                let width = self.width(unit.output);
                self.plan(
                    unit.output,
                    Grid::of(Kernel::Round, 1),
                    &[width, stride(width)],
                    vec![self.value(unit.output)],
                );
            }
        }
        Ok(())
    }

    fn op(&mut self, op: &Op) -> Result<(), EngineError> {
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
            } => {
                self.norm(Kernel::LayerNorm, 1, x, weight, eps, out)?;
                self.add_row(bias, out)
            }
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
            let constants = self.matrix(tensor, piece, out, 0.0);
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
            let mut constants = self.matrix(tensor, piece, out, 0.0);
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
        match self.width(x) / cols {
            1 => self.norm(Kernel::RmsNorm, 1, x, weight, eps, out),
            heads => self.norm(Kernel::HeadNorm, heads, x, weight, eps, out),
        }
    }

    /// `groups` workgroups per column.
    fn norm(
        &mut self,
        kernel: impl Fn(DType) -> Kernel,
        groups: u32,
        x: ValueId,
        weight: WeightId,
        eps: f32,
        out: ValueId,
    ) -> Result<(), EngineError> {
        let tensor = self.source.weights.tensor(self.source.graph, weight)?;
        for piece in &tensor.pieces {
            let buffers = vec![piece.words.clone(), self.value(x), self.value(out)];
            let constants = self.matrix(tensor, piece, x, eps);
            let grid = Grid::of(kernel(tensor.dtype), groups);
            self.plan(out, grid, &constants, buffers);
        }
        Ok(())
    }

    /// Adds a vector to what was just written.
    fn add_row(&mut self, row: WeightId, out: ValueId) -> Result<(), EngineError> {
        let tensor = self.source.weights.tensor(self.source.graph, row)?;
        let groups = tensor.layout.vec8s.div_ceil(LANES);
        for piece in &tensor.pieces {
            let buffers = vec![piece.words.clone(), self.value(out)];
            let constants = self.matrix(tensor, piece, out, 0.0);
            let grid = Grid::of(Kernel::AddRow(tensor.dtype), groups);
            self.plan(out, grid, &constants, buffers);
        }
        Ok(())
    }

    fn linear(&mut self, x: ValueId, weight: WeightId, out: ValueId) -> Result<(), EngineError> {
        let tensor = self.source.weights.tensor(self.source.graph, weight)?;
        for piece in &tensor.pieces {
            let rows = piece.rows.end - piece.rows.start;
            self.planned.push(Planned {
                grids: linear_grids(self.source.linear, tensor.dtype, rows),
                constants: self.matrix(tensor, piece, out, 0.0),
                buffers: vec![piece.words.clone(), self.value(x), self.value(out)],
                columns: self.demanded(out),
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
            scale,
            window,
            alibi,
            cache,
            out,
        } = *op
        else {
            return Ok(());
        };
        if head_dim > MAX_HEAD_DIM {
            return Err(EngineError::GpuLimit {
                detail: format!(
                    "heads of {head_dim} elements, at most {MAX_HEAD_DIM} are possible"
                ),
            });
        }
        let cache = self.source.caches.get(cache.0 as usize);
        let [keys, values] = cache
            .and_then(Option::as_ref)
            .ok_or_else(|| misuse("a KV cache of another segment".into()))?;
        let kv_width = kv_heads * head_dim;
        self.planned.push(Planned {
            columns: Columns::Every,
            ..planned(
                Grid::of(Kernel::Append, kv_width.div_ceil(LANES)),
                &[kv_width, stride(kv_width)],
                vec![self.value(k), self.value(v), keys.clone(), values.clone()],
                self.demanded(out),
            )
        });
        let constants = [
            heads / kv_heads,
            head_dim,
            stride(heads * head_dim),
            kv_width,
            scale.to_bits(),
            window.unwrap_or(u32::MAX),
            if alibi { 1 << heads.ilog2() } else { 0 },
        ];
        let buffers = vec![self.value(q), keys.clone(), values.clone(), self.value(out)];
        self.plan(out, Grid::of(Kernel::Attention, heads), &constants, buffers);
        Ok(())
    }

    /// `parameter` is what the kernel knows besides the width.
    fn elementwise(&mut self, kernel: Kernel, inputs: &[ValueId], parameter: u32, out: ValueId) {
        let vec4s = stride(self.width(out)) / 4;
        let values = inputs.iter().chain([&out]);
        let buffers = values.map(|value| self.value(*value)).collect();
        let grid = Grid::of(kernel, vec4s.div_ceil(LANES));
        self.plan(out, grid, &[vec4s, parameter], buffers);
    }

    /// A dispatch that is the same in prefill and decode and computes what is needed of `out`.
    fn plan(&mut self, out: ValueId, grid: Grid, constants: &[u32], buffers: Vec<wgpu::Buffer>) {
        let columns = self.demanded(out);
        self.planned
            .push(planned(grid, constants, buffers, columns));
    }

    /// `struct Matrix`.
    fn matrix(
        &self,
        tensor: &Tensor,
        piece: &Piece,
        out: ValueId,
        eps: f32,
    ) -> [u32; CONSTANT_WORDS] {
        let layout = &tensor.layout;
        padded(&[
            piece.rows.start,
            piece.rows.end - piece.rows.start,
            layout.cols,
            layout.vec8s,
            layout.quant_words,
            piece.first_scale(layout),
            layout.scale_words,
            stride(self.width(out)),
            eps.to_bits(),
        ])
    }

    fn angles(&self, frequencies: Frequencies) -> Result<wgpu::Buffer, EngineError> {
        let memory = self.source.memory;
        let index = memory.rotations.index(frequencies);
        index
            .and_then(|index| memory.angles.get(index).cloned())
            .ok_or_else(|| misuse("no rotation table".into()))
    }

    fn value(&self, value: ValueId) -> wgpu::Buffer {
        self.source.memory.values[self.stage.buffer(value)].clone()
    }

    fn width(&self, value: ValueId) -> u32 {
        self.source.graph.values[value.0 as usize]
    }

    fn demanded(&self, value: ValueId) -> Columns {
        let wants = [Want::Nothing, Want::LastColumn, Want::EveryColumn];
        Columns::Demanded(wants.map(|want| self.stage.demand(value, want)))
    }
}

/// For prefill, for one generated column, for several.
fn linear_grids(kernels: LinearKernels, dtype: DType, rows: u32) -> Grids {
    let tiles = |kernel, rows_per_group, columns_per_group| Grid {
        kernel,
        groups: rows.div_ceil(rows_per_group),
        columns_per_group,
    };
    let decode = |columns| match kernels {
        LinearKernels::Parallel => tiles(Kernel::LinearDecode(dtype, columns), 8, columns),
        LinearKernels::Serial => tiles(Kernel::LinearRows(dtype, columns), 64, columns),
    };
    Grids {
        prefill: tiles(Kernel::LinearPrefill(dtype), 32, 32),
        one: decode(1),
        several: decode(8),
    }
}

fn planned(grid: Grid, constants: &[u32], buffers: Vec<wgpu::Buffer>, columns: Columns) -> Planned {
    Planned {
        grids: Grids {
            prefill: grid,
            one: grid,
            several: grid,
        },
        constants: padded(constants),
        buffers,
        columns,
    }
}

fn padded(words: &[u32]) -> [u32; CONSTANT_WORDS] {
    let mut padded = [0; CONSTANT_WORDS];
    for (padded, word) in padded.iter_mut().zip(words) {
        *padded = *word;
    }
    padded
}
