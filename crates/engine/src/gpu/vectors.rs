//! Gains of norms and biases, as f32 in one buffer: kernels that need a few of them bind it once.

use model::{Graph, Op, WeightId};

use super::device::GpuDevice;
use crate::{
    EngineError,
    cpu::dequantise,
    segment::{Stage, misuse, weight},
};

/// Elements that kernels read at once.
const VECTOR: u32 = 4;
/// Of a whole vector of eight, as matrices have them.
const VECTORS_TOGETHER: u32 = 2;

/// All vectors of one member's segments.
pub struct Vectors {
    /// Vectors of four, two by two; each weight is filled up with zeros.
    pub buffer: wgpu::Buffer,
    /// Where each weight of the graph begins, in vectors of four; `None` for others.
    starts: Vec<Option<u32>>,
    elements: Vec<f32>,
}

impl Vectors {
    /// Allocates room for what the stages read.
    ///
    /// # Errors
    /// More than a binding holds.
    pub fn new(device: &GpuDevice, graph: &Graph, stages: &[Stage]) -> Result<Self, EngineError> {
        let mut starts: Vec<_> = graph.weights.iter().map(|_| None).collect();
        let mut vectors = 0;
        for id in stages
            .iter()
            .flat_map(|stage| stage.ops(graph))
            .flat_map(vectors_of)
        {
            let cols = weight(graph, id)?.cols;
            let start = &mut starts[id.0 as usize];
            if start.is_none() {
                *start = Some(vectors);
                vectors += cols.div_ceil(VECTOR).next_multiple_of(VECTORS_TOGETHER);
            }
        }
        let bytes = 4 * u64::from(VECTOR) * u64::from(vectors.max(1));
        if bytes > device.binding_bytes() {
            return Err(EngineError::GpuLimit {
                detail: format!("gains and biases need {bytes} bytes in one piece"),
            });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        Ok(Self {
            buffer: device.buffer("vectors", bytes, usage),
            starts,
            elements: Vec::new(),
        })
    }

    /// Writes a vector in file layout, if it is one of these.
    ///
    /// # Errors
    /// A weight the graph does not have.
    pub fn put(
        &mut self,
        queue: &wgpu::Queue,
        graph: &Graph,
        id: WeightId,
        row: &[u8],
    ) -> Result<(), EngineError> {
        let Some(start) = self.starts.get(id.0 as usize).copied().flatten() else {
            return Ok(());
        };
        let weight = weight(graph, id)?;
        self.elements.clear();
        self.elements.resize(weight.cols as usize, 0.0);
        dequantise::row(weight.dtype, row, &mut self.elements);
        let offset = 4 * u64::from(VECTOR) * u64::from(start);
        queue.write_buffer(&self.buffer, offset, bytemuck::cast_slice(&self.elements));
        Ok(())
    }

    /// Where a vector begins, in vectors of four.
    ///
    /// # Errors
    /// A weight that is none of these.
    pub fn start(&self, id: WeightId) -> Result<u32, EngineError> {
        let start = self.starts.get(id.0 as usize).copied().flatten();
        start.ok_or_else(|| misuse(format!("vector number {} is not loaded here", id.0)))
    }
}

fn vectors_of(op: &Op) -> impl Iterator<Item = WeightId> + use<> {
    let pair = match *op {
        Op::RmsNorm { weight, .. } => [Some(weight), None],
        Op::LayerNorm { weight, bias, .. } => [Some(weight), Some(bias)],
        Op::Linear { bias, .. } => [bias, None],
        _ => [None, None],
    };
    pair.into_iter().flatten()
}
