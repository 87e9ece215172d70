//! Weights as f32 tensors, in pieces no larger than a binding may be.

use core::ops::Range;

use cubecl::Device;
use model::{DType, Graph, Weight, WeightId};

use super::tensor::{self, Tensor, assign, joined, upload, zeros};
use crate::{
    EngineError,
    cpu::dequantise,
    memory::zeroed,
    segment::{Arrivals, Stage, misuse, weight},
};

/// Elements dequantised before they are handed to the device.
const BATCH_ELEMENTS: usize = 1 << 18;

/// The weights of one member's segments.
pub struct Weights {
    arrivals: Arrivals,
    /// One per weight of the graph; `None` for those of other members.
    matrices: Vec<Option<Matrix>>,
}

/// One weight.
pub struct Matrix {
    dtype: DType,
    row_bytes: usize,
    cols: usize,
    /// In row order.
    pieces: Vec<Piece>,
}

/// A run of rows.
struct Piece {
    rows: Range<usize>,
    /// rows x cols.
    elements: Tensor,
}

impl Weights {
    /// Allocates room for what the stages read, all of it missing; no piece has more than `binding_bytes`.
    ///
    /// # Errors
    /// Rows that are not whole blocks, or too long for a binding.
    pub fn new(
        device: &Device,
        binding_bytes: u64,
        graph: &Graph,
        stages: &[Stage],
    ) -> Result<Self, EngineError> {
        let arrivals = Arrivals::new(graph, stages)?;
        let mut matrices: Vec<_> = graph.weights.iter().map(|_| None).collect();
        for id in arrivals.needed() {
            matrices[id.0 as usize] = Some(Matrix::new(device, binding_bytes, weight(graph, id)?)?);
        }
        Ok(Self { arrivals, matrices })
    }

    /// Dequantises whole rows and hands them to the device.
    ///
    /// # Errors
    /// A weight that is not needed, rows outside it, bytes that are not whole rows, a number that is not finite, or out of memory.
    pub fn put_rows(
        &mut self,
        device: &Device,
        graph: &Graph,
        id: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        let rows = self.arrivals.accept(graph, id, first_row, bytes)?;
        match self.matrices.get_mut(id.0 as usize) {
            Some(Some(matrix)) => matrix.put_rows(device, rows, bytes),
            _ => Ok(()),
        }
    }

    /// Checks that every row arrived.
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] with the first row that did not.
    pub fn check_complete(&self, graph: &Graph) -> Result<(), EngineError> {
        self.arrivals.check_complete(graph)
    }

    /// A weight of one of this member's segments.
    ///
    /// # Errors
    /// A weight of another segment.
    pub fn matrix(&self, graph: &Graph, id: WeightId) -> Result<&Matrix, EngineError> {
        let name = &weight(graph, id)?.name;
        self.matrices
            .get(id.0 as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| misuse(format!("weight {name} is not loaded here")))
    }

    /// A weight of one row: 1 x cols.
    ///
    /// # Errors
    /// A weight of another segment, or of other than one row.
    pub fn row(&self, graph: &Graph, id: WeightId) -> Result<Tensor, EngineError> {
        match self.matrix(graph, id)?.pieces.as_slice() {
            [piece] => Ok(piece.elements.clone()),
            _ => Err(misuse(format!("weight number {} is not one row", id.0))),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let pieces = self.matrices.iter().flatten().flat_map(Matrix::pieces);
        pieces.map(tensor::bytes).sum::<u64>() + self.arrivals.bytes() as u64
    }
}

impl Matrix {
    fn new(device: &Device, binding_bytes: u64, weight: &Weight) -> Result<Self, EngineError> {
        let (rows, cols) = (weight.rows as usize, weight.cols as usize);
        let too_long = || EngineError::GpuLimit {
            detail: format!("a row of weight {} is too long", weight.name),
        };
        let row_bytes = size_of::<f32>() as u64 * u64::from(weight.cols);
        let rows_per_piece = usize::try_from(binding_bytes / row_bytes)
            .ok()
            .filter(|rows| *rows > 0)
            .ok_or_else(too_long)?;
        let pieces = (0..rows).step_by(rows_per_piece).map(|start| {
            let rows = start..rows.min(start.saturating_add(rows_per_piece));
            let elements = zeros(device, [rows.len(), cols]);
            Piece { rows, elements }
        });
        let row_bytes = weight.dtype.row_bytes(weight.cols);
        let row_bytes = row_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        Ok(Self {
            dtype: weight.dtype,
            row_bytes: row_bytes.ok_or_else(too_long)?,
            cols,
            pieces: pieces.collect(),
        })
    }

    /// Rows by number.
    pub fn rows(&self, indices: &[usize]) -> Option<Tensor> {
        let piece_of = |row: &usize| {
            self.pieces
                .iter()
                .position(|piece| piece.rows.contains(row))
        };
        let runs = indices.chunk_by(|a, b| piece_of(a) == piece_of(b));
        let gathered = runs.map(|run| {
            let piece = &self.pieces[piece_of(run.first()?)?];
            let local = run.iter().map(|row| (row - piece.rows.start) as i32);
            Some(tensor::rows(&piece.elements, local.collect()))
        });
        joined(gathered.collect::<Option<_>>()?, 0)
    }

    /// rows x cols each, in row order.
    pub fn pieces(&self) -> impl Iterator<Item = &Tensor> {
        self.pieces.iter().map(|piece| &piece.elements)
    }

    fn put_rows(
        &mut self,
        device: &Device,
        rows: Range<usize>,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        let batch_rows = (BATCH_ELEMENTS / self.cols).max(1);
        for piece in &mut self.pieces {
            let (start, end) = (
                rows.start.max(piece.rows.start),
                rows.end.min(piece.rows.end),
            );
            for first in (start..end).step_by(batch_rows) {
                let batch = first..end.min(first + batch_rows);
                let mut elements = zeroed(batch.len() * self.cols)?;
                let bytes = &bytes[(batch.start - rows.start) * self.row_bytes..];
                let file_rows = bytes.chunks_exact(self.row_bytes);
                for (row, bytes) in elements.chunks_exact_mut(self.cols).zip(file_rows) {
                    dequantise::row(self.dtype, bytes, row);
                }
                let elements = upload(device, elements, [batch.len(), self.cols]);
                let offset = piece.rows.start;
                let target = [batch.start - offset..batch.end - offset, 0..self.cols];
                assign(&mut piece.elements, target, elements);
            }
        }
        Ok(())
    }
}
