//! Weights on the GPU, quantised as in the file, in buffers no larger than a binding may be.

use core::ops::Range;

use model::{DType, Graph, Op, Weight, WeightId};

use super::{device::GpuDevice, repack::RowLayout, vectors::Vectors};
use crate::{
    EngineError,
    segment::{Arrivals, Stage, misuse, weight},
};

/// Rows that one dispatch reaches, whatever the kernel.
const MAX_ROWS: u64 = 65535 * 8;
/// A piece has whole groups of them: kernels take so many at once.
const ROWS_TOGETHER: u32 = 4;
/// Words repacked before they are handed to the queue.
const BATCH_BYTES: u64 = 1 << 20;

/// The weights of one member's segments.
pub struct Weights {
    /// Gains and biases.
    pub vectors: Vectors,
    arrivals: Arrivals,
    /// One per weight of the graph; `None` for vectors and for weights of other members.
    tensors: Vec<Option<Tensor>>,
    quants: Vec<u32>,
    scales: Vec<u32>,
}

/// One matrix or table.
pub struct Tensor {
    /// Storage type.
    pub dtype: DType,
    /// Words of a row.
    pub layout: RowLayout,
    /// In row order.
    pub pieces: Vec<Piece>,
    row_bytes: usize,
}

/// A run of rows: first all their quants, then all their scales.
pub struct Piece {
    /// Rows of the weight held here.
    pub rows: Range<u32>,
    /// Their words.
    pub words: wgpu::Buffer,
}

impl Weights {
    /// Allocates room for what the stages read, all of it missing.
    ///
    /// # Errors
    /// Rows that are not whole blocks, or too long for a binding.
    pub fn new(device: &GpuDevice, graph: &Graph, stages: &[Stage]) -> Result<Self, EngineError> {
        let arrivals = Arrivals::new(graph, stages)?;
        let mut tensors: Vec<_> = graph.weights.iter().map(|_| None).collect();
        for id in stages
            .iter()
            .flat_map(|stage| stage.ops(graph))
            .filter_map(matrix_of)
        {
            let tensor = &mut tensors[id.0 as usize];
            if tensor.is_none() {
                *tensor = Some(Tensor::new(device, weight(graph, id)?)?);
            }
        }
        Ok(Self {
            vectors: Vectors::new(device, graph, stages)?,
            arrivals,
            tensors,
            quants: Vec::new(),
            scales: Vec::new(),
        })
    }

    /// Repacks whole rows and hands them to the queue.
    ///
    /// # Errors
    /// A weight that is not needed, rows outside it, bytes that are not whole rows, or a number that is not finite.
    pub fn put_rows(
        &mut self,
        queue: &wgpu::Queue,
        graph: &Graph,
        id: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        self.arrivals.accept(graph, id, first_row, bytes)?;
        self.vectors.put(queue, graph, id, bytes)?;
        let Some(tensor) = self.tensors.get(id.0 as usize).and_then(Option::as_ref) else {
            return Ok(());
        };
        let batch_rows = (BATCH_BYTES / tensor.layout.bytes()).max(1);
        let batch_bytes = usize::try_from(batch_rows)
            .unwrap_or(1)
            .saturating_mul(tensor.row_bytes);
        let mut row = first_row;
        for batch in bytes.chunks(batch_bytes) {
            for piece in &tensor.pieces {
                let rows = tensor.rows_in(piece, row, batch);
                if rows.is_empty() {
                    continue;
                }
                self.quants.clear();
                self.scales.clear();
                for bytes in rows.chunks_exact(tensor.row_bytes) {
                    tensor
                        .layout
                        .push(bytes, &mut self.quants, &mut self.scales);
                }
                let at = row.max(piece.rows.start) - piece.rows.start;
                write(queue, &tensor.layout, piece, at, &self.quants, &self.scales);
            }
            row += (batch.len() / tensor.row_bytes) as u32;
        }
        Ok(())
    }

    /// Checks that every row arrived, and frees what only loading needs.
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] with the first row that did not.
    pub fn finish(&mut self, graph: &Graph) -> Result<(), EngineError> {
        self.arrivals.check_complete(graph)?;
        (self.quants, self.scales) = (Vec::new(), Vec::new());
        Ok(())
    }

    /// A matrix or table of one of this member's segments.
    ///
    /// # Errors
    /// A weight of another segment.
    pub fn tensor(&self, graph: &Graph, id: WeightId) -> Result<&Tensor, EngineError> {
        let name = &weight(graph, id)?.name;
        self.tensors
            .get(id.0 as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| misuse(format!("weight {name} is not loaded here")))
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let pieces = self
            .tensors
            .iter()
            .flatten()
            .flat_map(|tensor| &tensor.pieces);
        let matrices = pieces.map(|piece| piece.words.size()).sum::<u64>();
        matrices + self.vectors.buffer.size() + self.arrivals.bytes() as u64
    }
}

impl Tensor {
    fn new(device: &GpuDevice, weight: &Weight) -> Result<Self, EngineError> {
        let layout = RowLayout::of(weight);
        let row_bytes = weight.dtype.row_bytes(weight.cols);
        let rows_per_piece = (device.binding_bytes() / layout.bytes()).min(MAX_ROWS) as u32;
        let rows_per_piece = rows_per_piece / ROWS_TOGETHER * ROWS_TOGETHER;
        if rows_per_piece == 0 {
            return Err(EngineError::GpuLimit {
                detail: format!("a row of weight {} is too long", weight.name),
            });
        }
        let pieces = (0..weight.rows)
            .step_by(rows_per_piece as usize)
            .map(|start| {
                let rows = start..weight.rows.min(start.saturating_add(rows_per_piece));
                let bytes = u64::from(rows.end - rows.start) * layout.bytes();
                let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
                let words = device.buffer(&weight.name, bytes, usage);
                Piece { rows, words }
            });
        Ok(Self {
            dtype: weight.dtype,
            layout,
            pieces: pieces.collect(),
            row_bytes: row_bytes
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(usize::MAX),
        })
    }

    /// The part of `bytes`, whole rows from `first_row` on, that lies in the piece.
    fn rows_in<'a>(&self, piece: &Piece, first_row: u32, bytes: &'a [u8]) -> &'a [u8] {
        let end_row = first_row + (bytes.len() / self.row_bytes) as u32;
        let start = piece.rows.start.max(first_row);
        let end = piece.rows.end.min(end_row);
        let at = |row: u32| (row - first_row) as usize * self.row_bytes;
        if start < end {
            &bytes[at(start)..at(end)]
        } else {
            &[]
        }
    }
}

impl Piece {
    /// Index of the first scale word.
    pub fn first_scale(&self, layout: &RowLayout) -> u32 {
        (self.rows.end - self.rows.start) * layout.quant_words
    }
}

fn matrix_of(op: &Op) -> Option<WeightId> {
    match *op {
        Op::Embed { weight, .. } | Op::Positions { weight, .. } | Op::Linear { weight, .. } => {
            Some(weight)
        }
        _ => None,
    }
}

/// Writes rows from row `at` of the piece on.
fn write(
    queue: &wgpu::Queue,
    layout: &RowLayout,
    piece: &Piece,
    at: u32,
    quants: &[u32],
    scales: &[u32],
) {
    let offset = |words: u64| 4 * words;
    let (at, first_scale) = (u64::from(at), u64::from(piece.first_scale(layout)));
    let first_quant = at * u64::from(layout.quant_words);
    queue.write_buffer(
        &piece.words,
        offset(first_quant),
        bytemuck::cast_slice(quants),
    );
    if !scales.is_empty() {
        let first_scale = first_scale + at * u64::from(layout.scale_words);
        queue.write_buffer(
            &piece.words,
            offset(first_scale),
            bytemuck::cast_slice(scales),
        );
    }
}
