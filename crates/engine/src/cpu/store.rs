//! Weights as they arrive: whole rows, in any order.

use model::{DType, Graph, Weight, WeightId};

use super::{interleaved, linear::Matrix};
use crate::{
    EngineError,
    memory::zeroed,
    segment::{Arrivals, Stage, misuse, weight},
};

/// The weights of one member's segments.
pub struct Store {
    arrivals: Arrivals,
    tensors: Vec<Option<Tensor>>,
}

struct Tensor {
    dtype: DType,
    rows: usize,
    row_bytes: usize,
    cols: usize,
    bytes: Vec<u8>,
}

impl Store {
    /// Allocates room for what the stages read, all of it missing.
    ///
    /// # Errors
    /// Rows that are not whole blocks, or out of memory.
    pub fn new(graph: &Graph, stages: &[Stage]) -> Result<Self, EngineError> {
        let arrivals = Arrivals::new(graph, stages)?;
        let mut tensors: Vec<_> = graph.weights.iter().map(|_| None).collect();
        for id in arrivals.needed() {
            tensors[id.0 as usize] = Some(Tensor::new(weight(graph, id)?)?);
        }
        Ok(Self { arrivals, tensors })
    }

    /// Stores whole rows.
    ///
    /// # Errors
    /// A weight that is not needed, rows outside it, bytes that are not whole rows, or a number that is not finite.
    pub fn put_rows(
        &mut self,
        graph: &Graph,
        id: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        let rows = self.arrivals.accept(graph, id, first_row, bytes)?;
        if let Some(tensor) = self.tensors.get_mut(id.0 as usize).and_then(Option::as_mut) {
            if tensor.dtype.has_integer_products() {
                let (dtype, row_bytes) = (tensor.dtype, tensor.row_bytes);
                interleaved::store(&mut tensor.bytes, dtype, row_bytes, rows.start, bytes);
            } else {
                let target = rows.start * tensor.row_bytes..rows.end * tensor.row_bytes;
                tensor.bytes[target].copy_from_slice(bytes);
            }
        }
        Ok(())
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
    pub fn matrix(&self, graph: &Graph, id: WeightId) -> Result<Matrix<'_>, EngineError> {
        let name = &weight(graph, id)?.name;
        let tensor = self
            .tensors
            .get(id.0 as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| misuse(format!("weight {name} is not loaded here")))?;
        Ok(Matrix {
            dtype: tensor.dtype,
            rows: tensor.rows,
            cols: tensor.cols,
            row_bytes: tensor.row_bytes,
            bytes: &tensor.bytes,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let held = |tensor: &Tensor| tensor.bytes.len();
        self.arrivals.bytes() + self.tensors.iter().flatten().map(held).sum::<usize>()
    }
}

impl Tensor {
    fn new(weight: &Weight) -> Result<Self, EngineError> {
        let row_bytes = weight.dtype.row_bytes(weight.cols).unwrap_or(u64::MAX);
        let rows = weight.rows as usize;
        let stored_rows = match weight.dtype.has_integer_products() {
            true => interleaved::padded_rows(rows),
            false => rows,
        };
        let bytes = row_bytes.saturating_mul(stored_rows as u64);
        let out_of_memory = |_| EngineError::OutOfMemory { bytes };
        Ok(Self {
            dtype: weight.dtype,
            rows,
            row_bytes: usize::try_from(row_bytes).map_err(out_of_memory)?,
            cols: weight.cols as usize,
            bytes: zeroed(usize::try_from(bytes).map_err(out_of_memory)?)?,
        })
    }
}
