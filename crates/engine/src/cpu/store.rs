//! Weights as they arrive: whole rows, in any order, kept in file layout.

use model::{Graph, Weight, WeightId};

use super::{dequantise::halves_are_finite, linear::Matrix};
use crate::EngineError;

/// The weights of one member's segments.
pub struct Store {
    tensors: Vec<Option<Tensor>>,
}

struct Tensor {
    row_bytes: usize,
    cols: usize,
    bytes: Vec<u8>,
    /// One entry per row until loading is finished.
    arrived: Vec<bool>,
}

impl Store {
    /// Allocates room for `needed`, all of it missing.
    ///
    /// # Errors
    /// Rows that are not whole blocks, or out of memory.
    pub fn new(graph: &Graph, needed: impl Iterator<Item = WeightId>) -> Result<Self, EngineError> {
        let mut tensors: Vec<_> = graph.weights.iter().map(|_| None).collect();
        for id in needed {
            let weight = weight(graph, id)?;
            if let Some(slot) = tensors.get_mut(id.0 as usize)
                && slot.is_none()
            {
                *slot = Some(Tensor::new(weight)?);
            }
        }
        Ok(Self { tensors })
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
        let Weight { name, dtype, .. } = weight(graph, id)?;
        let tensor = self.tensors.get_mut(id.0 as usize).and_then(Option::as_mut);
        let tensor = tensor.ok_or_else(|| foreign(name))?;
        tensor.put_rows(first_row as usize, bytes).ok_or_else(|| {
            let len = bytes.len();
            misuse(format!(
                "{len} bytes from row {first_row} on are not whole rows of {name}"
            ))
        })?;
        match halves_are_finite(*dtype, bytes) {
            true => Ok(()),
            false => Err(EngineError::NotFinite {
                tensor: name.clone(),
            }),
        }
    }

    /// Checks that every row arrived.
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] with the first row that did not.
    pub fn check_complete(&mut self, graph: &Graph) -> Result<(), EngineError> {
        for (tensor, weight) in self.tensors.iter_mut().zip(&graph.weights) {
            let Some(tensor) = tensor else { continue };
            if let Some(missing) = tensor.arrived.iter().position(|arrived| !arrived) {
                let first_missing_row = u32::try_from(missing).unwrap_or(u32::MAX);
                return Err(EngineError::Incomplete {
                    tensor: weight.name.clone(),
                    first_missing_row,
                });
            }
        }
        Ok(())
    }

    /// A weight of one of this member's segments.
    ///
    /// # Errors
    /// A weight of another segment.
    pub fn matrix(&self, graph: &Graph, id: WeightId) -> Result<Matrix<'_>, EngineError> {
        let Weight { name, dtype, .. } = weight(graph, id)?;
        let tensor = self
            .tensors
            .get(id.0 as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| foreign(name))?;
        Ok(Matrix {
            dtype: *dtype,
            cols: tensor.cols,
            row_bytes: tensor.row_bytes,
            bytes: &tensor.bytes,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.tensors
            .iter()
            .flatten()
            .map(|tensor| tensor.bytes.len() + tensor.arrived.len())
            .sum()
    }
}

impl Tensor {
    fn new(weight: &Weight) -> Result<Self, EngineError> {
        let shapeless = || {
            misuse(format!(
                "weight {} has no rows of whole blocks",
                weight.name
            ))
        };
        let row_bytes = weight
            .dtype
            .row_bytes(weight.cols)
            .filter(|bytes| *bytes > 0)
            .ok_or_else(shapeless)?;
        let bytes = row_bytes
            .checked_mul(u64::from(weight.rows))
            .filter(|bytes| *bytes > 0)
            .ok_or_else(shapeless)?;
        let out_of_memory = || EngineError::OutOfMemory { bytes };
        let len = usize::try_from(bytes).map_err(|_| out_of_memory())?;
        Ok(Self {
            row_bytes: usize::try_from(row_bytes).map_err(|_| out_of_memory())?,
            cols: weight.cols as usize,
            bytes: super::zeroed(len)?,
            arrived: super::zeroed(weight.rows as usize)?,
        })
    }

    /// `None` when `bytes` are not whole rows of this tensor.
    fn put_rows(&mut self, first_row: usize, bytes: &[u8]) -> Option<()> {
        if !bytes.len().is_multiple_of(self.row_bytes) {
            return None;
        }
        let rows = first_row..first_row.checked_add(bytes.len() / self.row_bytes)?;
        self.arrived.get_mut(rows.clone())?.fill(true);
        let target = self
            .bytes
            .get_mut(rows.start * self.row_bytes..rows.end * self.row_bytes)?;
        target.copy_from_slice(bytes);
        Some(())
    }
}

fn weight(graph: &Graph, id: WeightId) -> Result<&Weight, EngineError> {
    graph
        .weights
        .get(id.0 as usize)
        .ok_or_else(|| misuse(format!("the model has no weight number {}", id.0)))
}

fn foreign(name: &str) -> EngineError {
    misuse(format!("weight {name} belongs to no segment of this phone"))
}

fn misuse(detail: String) -> EngineError {
    EngineError::Misuse { detail }
}
