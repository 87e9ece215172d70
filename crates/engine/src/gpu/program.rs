//! A segment as a fixed list of dispatches: recorded once, replayed for every call.

use model::{Graph, WireDtype};

use super::{
    decode,
    device::GpuDevice,
    kernels::{Kernel, Kernels},
    memory::{BLOCK_COLUMNS, CALL_BYTES, Memory, UNIFORM_ALIGNMENT},
    recorder::Recorder,
    variant::{LinearKernels, Variant},
    weights::Weights,
};
use crate::{
    EngineError, Phase,
    segment::{Call, Demand, Stage},
};

/// Words of the longest constants struct, rounded up to whole vectors.
pub const CONSTANT_WORDS: usize = 40;

/// The dispatches of one stage.
pub struct Program {
    prefill: Vec<Dispatch>,
    decode: Vec<Dispatch>,
    /// Group 0 for every column of a call, and for its last one.
    calls: [wgpu::BindGroup; 2],
}

struct Dispatch {
    one: Launch,
    several: Launch,
    bind_group: wgpu::BindGroup,
    columns: Columns,
    /// Whether every block of the cache that is seen has workgroups of its own.
    per_block: bool,
}

/// A pipeline and its grid.
struct Launch {
    pipeline: wgpu::ComputePipeline,
    groups: u32,
    columns_per_group: u32,
}

/// Which columns a dispatch computes.
#[derive(Clone, Copy)]
pub enum Columns {
    /// Every one of the call.
    Every,
    /// As many as are needed of this value for what is wanted: one entry per [`crate::Want`].
    Demanded([Demand; 3]),
}

/// A dispatch before its constants have a place.
pub struct Planned {
    /// For one column.
    pub one: Grid,
    /// For several: in the same order, so with the same bits.
    pub several: Grid,
    /// What binding 0 holds.
    pub constants: [u32; CONSTANT_WORDS],
    /// From binding 1 on.
    pub buffers: Vec<wgpu::Buffer>,
    /// Which it computes.
    pub columns: Columns,
    /// Whether every block of the cache that is seen has workgroups of its own.
    pub per_block: bool,
}

/// A kernel and its workgroups.
#[derive(Clone, Copy)]
pub struct Grid {
    /// What they run.
    pub kernel: Kernel,
    /// So many for each group of columns.
    pub groups: u32,
    /// Columns that one workgroup computes.
    pub columns_per_group: u32,
}

impl Grid {
    /// Workgroups that compute one column each.
    pub const fn of(kernel: Kernel, groups: u32) -> Self {
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
    /// Which kernels.
    pub variant: Variant,
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
        let mut build = |planned: Vec<Planned>| {
            let constants = constants(device, &planned);
            let dispatches = (0..)
                .zip(planned)
                .map(|(index, planned)| planned.build(device, kernels, &constants, index));
            dispatches.collect()
        };
        let prefill = build(Recorder::new(source, stage, Phase::Prefill).stage()?);
        let decode = build(match source.variant.linear {
            LinearKernels::Parallel => decode::record(source, stage)?,
            LinearKernels::Serial => Recorder::new(source, stage, Phase::Decode).stage()?,
        });
        let call = |offset: u64| wgpu::BufferBinding {
            buffer: &source.memory.call,
            offset,
            size: wgpu::BufferSize::new(CALL_BYTES),
        };
        let layout = kernels.call_layout(device);
        let calls =
            [0, UNIFORM_ALIGNMENT].map(|offset| device.bind_group(&layout, &[call(offset)]));
        Ok(Self {
            prefill,
            decode,
            calls,
        })
    }

    /// Records one call. Returns how many dispatches it has.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>, call: &Call<'_>) -> u64 {
        let mut encoded = 0;
        let [every, last] = &self.calls;
        let dispatches = match call.phase {
            Phase::Prefill => &self.prefill,
            Phase::Decode => &self.decode,
        };
        let blocks = ((call.position + call.columns) as u32).div_ceil(BLOCK_COLUMNS);
        for dispatch in dispatches {
            let demand = match dispatch.columns {
                Columns::Every => Demand::Every,
                Columns::Demanded(demands) => demands[Demand::from(call.want) as usize],
            };
            let columns = demand.of(call.columns) as u32;
            let launch = match columns {
                0 => continue,
                1 => &dispatch.one,
                _ => &dispatch.several,
            };
            pass.set_pipeline(&launch.pipeline);
            pass.set_bind_group(0, if demand == Demand::Last { last } else { every }, &[]);
            pass.set_bind_group(1, &dispatch.bind_group, &[]);
            let column_groups = columns.div_ceil(launch.columns_per_group);
            let blocks = if dispatch.per_block { blocks } else { 1 };
            pass.dispatch_workgroups(launch.groups, column_groups, blocks);
            encoded += 1;
        }
        encoded
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
        let layout = kernels.layout(device, self.one.kernel);
        let mut launch = |grid: Grid| Launch {
            pipeline: kernels.pipeline(device, grid.kernel),
            groups: grid.groups,
            columns_per_group: grid.columns_per_group,
        };
        Dispatch {
            one: launch(self.one),
            several: launch(self.several),
            bind_group: device.bind_group(&layout, &bindings),
            columns: self.columns,
            per_block: self.per_block,
        }
    }
}
