//! Weights on the GPU, quantised as in the file, in buffers no larger than a binding may be.

use core::ops::Range;

use model::{DType, Graph, Op, Weight, WeightId};

use super::{
    beside::{ROWS_TOGETHER, Waiting},
    device::GpuDevice,
    repack::RowLayout,
    vectors::Vectors,
};
use crate::{
    EngineError,
    segment::{Arrivals, Stage, misuse, weight},
};

/// Rows that one dispatch reaches, whatever the kernel.
const MAX_ROWS: u64 = 65535 * ROWS_TOGETHER as u64;
/// Words repacked before they are handed to the queue.
const BATCH_BYTES: u64 = 1 << 20;

/// The weights of one member's segments.
pub struct Weights {
    /// Gains and biases.
    pub vectors: Vectors,
    arrivals: Arrivals,
    /// One per weight of the graph; `None` for vectors and for weights of other members.
    tensors: Vec<Option<Tensor>>,
    row: Words,
    batch: Words,
}

/// Before they are handed to the queue.
#[derive(Default)]
struct Words {
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

/// A run of rows: first all their quants, then all their scales, of four rows beside each other.
pub struct Piece {
    /// Rows of the weight held here.
    pub rows: Range<u32>,
    /// Their words.
    pub words: wgpu::Buffer,
    waiting: Waiting,
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
            row: Words::default(),
            batch: Words::default(),
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
        let Some(tensor) = self.tensors.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return Ok(());
        };
        for piece in &mut tensor.pieces {
            let (at, rows) = rows_in(piece, tensor.row_bytes, first_row, bytes);
            let rows = rows.chunks_exact(tensor.row_bytes);
            piece.put(
                queue,
                &tensor.layout,
                at,
                rows,
                &mut self.row,
                &mut self.batch,
            );
        }
        Ok(())
    }

    /// Checks that every row arrived, and frees what only loading needs.
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] with the first row that did not.
    pub fn finish(&mut self, graph: &Graph) -> Result<(), EngineError> {
        self.arrivals.check_complete(graph)?;
        let pieces = self
            .tensors
            .iter()
            .flatten()
            .flat_map(|tensor| &tensor.pieces);
        if pieces.into_iter().any(|piece| !piece.waiting.is_empty()) {
            return Err(misuse(
                "rows were put again without their neighbours".into(),
            ));
        }
        (self.row, self.batch) = (Words::default(), Words::default());
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
                let beside = (rows.end - rows.start).next_multiple_of(ROWS_TOGETHER);
                let bytes = u64::from(beside) * layout.bytes();
                let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
                let words = device.buffer(&weight.name, bytes, usage);
                let waiting = Waiting::default();
                Piece {
                    rows,
                    words,
                    waiting,
                }
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
}

impl Piece {
    /// Index of the first vector of scale words.
    pub fn first_scale(&self, layout: &RowLayout) -> u32 {
        (self.rows.end - self.rows.start).div_ceil(ROWS_TOGETHER) * layout.quant_words
    }

    /// Repacks rows from row `at` of the piece on, and hands groups that are whole to the queue.
    fn put<'a>(
        &mut self,
        queue: &wgpu::Queue,
        layout: &RowLayout,
        at: u32,
        rows: impl Iterator<Item = &'a [u8]>,
        row_words: &mut Words,
        batch: &mut Words,
    ) {
        let held = self.rows.end - self.rows.start;
        batch.clear();
        let mut first_group = None;
        for (row, bytes) in (at..).zip(rows) {
            row_words.clear();
            layout.push(bytes, &mut row_words.quants, &mut row_words.scales);
            let group = row / ROWS_TOGETHER;
            let in_group = (held - group * ROWS_TOGETHER).min(ROWS_TOGETHER);
            let words = [&row_words.quants[..], &row_words.scales];
            let (quants, scales) = (&mut batch.quants, &mut batch.scales);
            if self
                .waiting
                .put(layout, (row, in_group), words, quants, scales)
            {
                first_group.get_or_insert(group);
            }
            if batch.bytes() >= BATCH_BYTES {
                self.write(queue, layout, first_group.take(), batch);
            }
        }
        self.write(queue, layout, first_group, batch);
    }

    /// Writes a batch of neighbouring groups.
    fn write(
        &self,
        queue: &wgpu::Queue,
        layout: &RowLayout,
        first_group: Option<u32>,
        batch: &mut Words,
    ) {
        let Some(group) = first_group.map(u64::from) else {
            return;
        };
        let place = |vectors: u64| 4 * u64::from(ROWS_TOGETHER) * vectors;
        let first_quant = place(group * u64::from(layout.quant_words));
        queue.write_buffer(
            &self.words,
            first_quant,
            bytemuck::cast_slice(&batch.quants),
        );
        if !batch.scales.is_empty() {
            let scales = group * u64::from(layout.scale_words);
            let first_scale = place(u64::from(self.first_scale(layout)) + scales);
            queue.write_buffer(
                &self.words,
                first_scale,
                bytemuck::cast_slice(&batch.scales),
            );
        }
        batch.clear();
    }
}

impl Words {
    fn clear(&mut self) {
        self.quants.clear();
        self.scales.clear();
    }

    fn bytes(&self) -> u64 {
        4 * (self.quants.len() + self.scales.len()) as u64
    }
}

/// The rows that lie in the piece, of whole rows from `first_row` on, and which row of the piece they begin at.
fn rows_in<'a>(
    piece: &Piece,
    row_bytes: usize,
    first_row: u32,
    bytes: &'a [u8],
) -> (u32, &'a [u8]) {
    let end_row = first_row + (bytes.len() / row_bytes) as u32;
    let start = piece.rows.start.max(first_row);
    let end = piece.rows.end.min(end_row);
    let at = |row: u32| (row - first_row) as usize * row_bytes;
    if start < end {
        (start - piece.rows.start, &bytes[at(start)..at(end)])
    } else {
        (0, &[])
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
