//! Runs the op graph with Burn's tensors on the wgpu device that our own kernels use: breadth before speed.
//!
//! What a new architecture needs beyond our kernels runs here first, and our kernels have a second opinion. Weights are f32,
//! up to eight times their size in a file; a call is many dispatches and new buffers, so I12 does not hold here.

mod attention;
mod device;
mod ops;
mod round;
mod tensor;
mod walk;
mod weights;

use std::sync::Arc;

use model::{EngineKind, Graph, NumericClass, Op, WeightId};

pub use self::device::BurnDevice;
use self::{
    attention::Cache,
    walk::{Segment, Walk},
    weights::Weights,
};
use crate::{
    EngineError, Executor, Input, Phase, Setup, Step,
    segment::{Call, Heads, Reuse, Rotations, Stage, misuse, stages},
};

/// Generic executor of a member's segments.
pub struct BurnExecutor {
    device: BurnDevice,
    graph: Arc<Graph>,
    class: NumericClass,
    stages: Vec<Stage>,
    weights: Weights,
    /// Of each slot, one per cache of the graph; `None` for those of other members.
    caches: Vec<Vec<Option<Cache>>>,
    rotations: Rotations,
    buffers: usize,
    ready: bool,
}

impl BurnExecutor {
    /// Allocates tensors for the weights of `setup`'s stages and their caches. Whether there was memory for them is found out
    /// by [`Executor::finish_loading`].
    ///
    /// # Errors
    /// Stages or a class that do not fit the graph, or a row beyond the adapter's limits.
    pub fn new(device: &BurnDevice, setup: Setup) -> Result<Self, EngineError> {
        device.gpu().check()?;
        let (stages, buffers) = stages(&setup, Reuse::AfterOp)?;
        let Setup {
            graph,
            class,
            slots,
            ..
        } = setup;
        let binding_bytes = device.gpu().binding_bytes();
        let weights = Weights::new(device.device(), binding_bytes, &graph, &stages)?;
        let mut caches: Vec<Vec<_>> = (0..slots)
            .map(|_| graph.caches.iter().map(|_| None).collect())
            .collect();
        let mut rotations = Rotations::default();
        for op in stages.iter().flat_map(|stage| stage.ops(&graph)) {
            if let Op::Rope { frequencies, .. } = op {
                rotations.add(*frequencies, walk::columns(class, Phase::Prefill));
            }
            if let (Some(cache), Some(heads)) = (op.cache(), Heads::of(op)) {
                let context = class.context_columns as usize;
                for of_slot in &mut caches {
                    of_slot[cache.0 as usize] = Some(Cache::new(device.device(), heads, context));
                }
            }
        }
        Ok(Self {
            device: device.clone(),
            graph,
            class,
            stages,
            weights,
            caches,
            rotations,
            buffers: buffers.widths.len(),
            ready: false,
        })
    }

    /// Forgets a slot's cached columns from `columns` on, in one stage.
    fn cut_back(&mut self, stage: usize, slot: usize, columns: u32) {
        let stage = &mut self.stages[stage];
        let cached = stage.cached_columns.get_mut(slot);
        let (Some(cached), Some(caches)) = (cached, self.caches.get_mut(slot)) else {
            return;
        };
        if columns >= *cached {
            return;
        }
        let forgotten = columns as usize..*cached as usize;
        for cache in &stage.caches {
            if let Some(Some(cache)) = caches.get_mut(cache.0 as usize) {
                cache.forget(forgotten.clone());
            }
        }
        *cached = columns;
    }
}

impl Executor for BurnExecutor {
    fn kind(&self) -> EngineKind {
        EngineKind::Gpu
    }

    fn put_rows(
        &mut self,
        weight: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        let device = self.device.device();
        self.weights
            .put_rows(device, &self.graph, weight, first_row, bytes)?;
        self.rotations.put_factors(weight, bytes)
    }

    async fn finish_loading(&mut self) -> Result<(), EngineError> {
        self.weights.check_complete(&self.graph)?;
        self.device.finish().await?;
        self.ready = true;
        Ok(())
    }

    async fn run(
        &mut self,
        step: &Step,
        input: Input<'_>,
        out: &mut Vec<f32>,
    ) -> Result<(), EngineError> {
        if !self.ready {
            return Err(misuse("a call before loading was finished".into()));
        }
        let (index, call) = Call::check(&self.graph, self.class, &self.stages, step, input)?;
        self.device.gpu().check()?;
        self.cut_back(index, call.slot, step.position);
        let columns = walk::columns(self.class, step.phase);
        self.rotations.prepare(call.position, columns);
        let segment = Segment {
            device: self.device.device(),
            graph: &self.graph,
            weights: &self.weights,
            class: self.class,
            stage: &self.stages[index],
            rotations: &self.rotations,
        };
        let wanted = Walk::new(segment, &call, &mut self.caches[call.slot], self.buffers)?.run()?;
        out.clear();
        match wanted {
            Some(wanted) => tensor::read(wanted, out).await?,
            None => self.device.finish().await?,
        }
        self.device.gpu().check()?;
        self.stages[index].ran(call.slot, step.position + step.columns);
        Ok(())
    }

    fn truncate(&mut self, columns: u32) {
        for stage in 0..self.stages.len() {
            for slot in 0..self.caches.len() {
                self.cut_back(stage, slot, columns);
            }
        }
    }

    /// Its own tensors, and whatever else CubeCL keeps on the device for calls to come.
    fn resident_bytes(&self) -> u64 {
        let caches: u64 = self
            .caches
            .iter()
            .flatten()
            .flatten()
            .map(Cache::bytes)
            .sum();
        let own = self.weights.bytes() + caches + self.rotations.bytes() as u64;
        own.max(self.device.reserved_bytes())
    }
}
