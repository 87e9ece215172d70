//! Runs the op graph on WebGPU: own WGSL kernels, a segment recorded as a fixed list of dispatches.
//!
//! A call is one submit of one compute pass, and one readback where something is wanted. Steady state creates no object on the
//! device. A column's bits depend neither on how many columns run with it nor on which of them are wanted.

pub mod bandwidth;
mod beside;
mod decode;
mod device;
mod fusion;
mod kernels;
mod memory;
mod product;
mod program;
mod recorder;
mod repack;
mod variant;
mod vectors;
mod weights;

use core::pin::Pin;
use std::sync::Arc;

use model::{EngineKind, Graph, NumericClass, WeightId};

pub use self::{
    device::GpuDevice,
    variant::{Arithmetic, LinearKernels, Numbers, Offers, Variant},
};
use self::{
    memory::{Memory, stride},
    program::{Program, Source},
    weights::Weights,
};
use crate::{
    EngineError, Executor, Input, Setup, Step,
    segment::{Call, Demand, OUT, Reuse, Stage, misuse, stages},
};

/// What an error scope caught, once the driver has told.
type Caught = Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>;

/// GPU executor of a member's segments.
pub struct GpuExecutor {
    device: GpuDevice,
    graph: Arc<Graph>,
    class: NumericClass,
    stages: Vec<Stage>,
    weights: Weights,
    memory: Memory,
    /// Of each slot, one per stage; empty until loading is finished.
    programs: Vec<Vec<Program>>,
    /// Dispatched so far.
    dispatches: u64,
    /// Whether there was memory for the buffers; asked when loading is finished.
    allocated: Option<Caught>,
}

impl GpuExecutor {
    /// Allocates buffers for the weights of `setup`'s stages, their caches and scratch. Whether there was memory for them
    /// is found out by [`Executor::finish_loading`].
    ///
    /// # Errors
    /// Stages or a class that do not fit the graph, or a buffer beyond the adapter's limits.
    pub fn new(device: &GpuDevice, setup: Setup) -> Result<Self, EngineError> {
        device.check()?;
        let (stages, buffers) = stages(&setup, Reuse::AfterUnit)?;
        let Setup {
            graph,
            class,
            slots,
            ..
        } = setup;
        let scope = device.watch_memory();
        let weights = Weights::new(device, &graph, &stages)?;
        let memory = Memory::new(device, &graph, class, slots, &stages, &buffers)?;
        let allocated: Caught = Box::pin(scope.pop());
        Ok(Self {
            device: device.clone(),
            graph,
            class,
            stages,
            weights,
            memory,
            programs: Vec::new(),
            dispatches: 0,
            allocated: Some(allocated),
        })
    }

    /// Kernels dispatched so far.
    pub fn dispatches(&self) -> u64 {
        self.dispatches
    }

    fn record(&self) -> Result<Vec<Vec<Program>>, EngineError> {
        let mut kernels = self.device.kernels();
        let mut of_slot = |caches| {
            let source = Source {
                graph: &self.graph,
                weights: &self.weights,
                memory: &self.memory,
                caches,
                wire: self.class.wire,
                variant: self.device.variant(),
            };
            let programs = self
                .stages
                .iter()
                .map(|stage| Program::new(&self.device, &mut kernels, source, stage));
            programs.collect()
        };
        let slots = self.memory.caches.iter();
        slots.map(|caches| of_slot(caches)).collect()
    }

    async fn compile(&mut self) -> Result<(), EngineError> {
        let scope = self.device.watch_validation();
        let recorded = self.record();
        if let Some(error) = scope.pop().await {
            self.device.kernels().clear();
            return Err(device::failure(&error));
        }
        self.programs = recorded?;
        Ok(())
    }

    /// Makes room for as many logits as a call wants.
    async fn make_room(&mut self, index: usize, call: &Call<'_>) -> Result<(), EngineError> {
        let stage = &self.stages[index];
        let wanted = Demand::from(call.want).of(call.columns) as u32;
        if !stage.is_logits(stage.output) || wanted <= self.memory.logits_columns {
            return Ok(());
        }
        let scope = self.device.watch_memory();
        let (device, graph, stages) = (&self.device, &self.graph, &self.stages);
        let grown = self.memory.grow_logits(device, graph, stages, wanted);
        if let Some(error) = scope.pop().await {
            return Err(device::failure(&error));
        }
        grown?;
        self.compile().await
    }

    /// Uploads, runs and, where something is wanted, copies to the staging buffer. Returns the bytes copied.
    fn submit(&mut self, index: usize, call: &Call<'_>) -> u64 {
        let stage = &self.stages[index];
        let queue = self.device.queue();
        self.memory.upload(queue, &self.graph, stage, call);
        let mut encoder = self.device.encoder();
        encoder.clear_buffer(&self.memory.maxima, 0, None);
        self.dispatches += self.programs[call.slot][index].encode(
            &mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()),
            call,
        );
        let column_bytes = 4 * u64::from(stride(stage.output_width(&self.graph)));
        let wanted = Demand::from(call.want).of(call.columns);
        let bytes = column_bytes * wanted as u64;
        if bytes > 0 {
            let before = match stage.is_logits(stage.output) {
                true => 0,
                false => call.columns - wanted,
            };
            let offset = column_bytes * before as u64;
            let (out, staging) = (&self.memory.values[OUT], &self.memory.staging);
            encoder.copy_buffer_to_buffer(out, offset, staging, 0, bytes);
        }
        queue.submit([encoder.finish()]);
        bytes
    }

    /// Appends the columns in the staging buffer.
    async fn read_back(
        &self,
        width: u32,
        bytes: u64,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        let staging = &self.memory.staging;
        self.device.map(staging, bytes).await?;
        let mapped = staging.get_mapped_range(..bytes);
        if let Ok(mapped) = &mapped {
            let (stride, width) = (4 * stride(width) as usize, 4 * width as usize);
            for column in mapped.chunks_exact(stride) {
                let floats = column[..width].as_chunks().0;
                out.extend(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
        }
        let read = mapped.map(drop);
        staging.unmap();
        read.map_err(|error| EngineError::DeviceLost {
            detail: error.to_string(),
        })
    }
}

impl Executor for GpuExecutor {
    fn kind(&self) -> EngineKind {
        EngineKind::Gpu
    }

    fn put_rows(
        &mut self,
        weight: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        let queue = self.device.queue();
        self.weights
            .put_rows(queue, &self.graph, weight, first_row, bytes)?;
        self.memory.rotations.put_factors(weight, bytes)
    }

    async fn finish_loading(&mut self) -> Result<(), EngineError> {
        self.weights.finish(&self.graph)?;
        if let Some(caught) = self.allocated.take()
            && let Some(error) = caught.await
        {
            return Err(device::failure(&error));
        }
        if self.programs.is_empty() {
            self.compile().await?;
        }
        self.device.check()
    }

    async fn run(
        &mut self,
        step: &Step,
        input: Input<'_>,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        if self.programs.is_empty() {
            return Err(misuse("a call before loading was finished".into()));
        }
        let (index, call) = Call::check(&self.graph, self.class, &self.stages, step, input)?;
        self.device.check()?;
        self.make_room(index, &call).await?;
        let bytes = self.submit(index, &call);
        out.clear();
        if bytes > 0 {
            let width = self.stages[index].output_width(&self.graph);
            self.read_back(width, bytes, out).await?;
        }
        self.device.check()?;
        self.stages[index].ran(call.slot, step.position + step.columns);
        Ok(())
    }

    fn truncate(&mut self, columns: u32) {
        for stage in &mut self.stages {
            stage.truncate(columns);
        }
    }

    fn resident_bytes(&self) -> u64 {
        self.weights.bytes() + self.memory.bytes()
    }
}
