//! Which rows of the weights of a member's segments arrived.

use core::ops::Range;

use model::{Graph, Op, Weight, WeightId};

use super::{finite::halves_are_finite, misuse, stage::Stage, weight};
use crate::EngineError;

/// One entry per weight of the graph; `None` for those of other members.
pub(crate) struct Arrivals(Vec<Option<Rows>>);

struct Rows {
    row_bytes: usize,
    arrived: Vec<bool>,
}

impl Arrivals {
    /// Nothing of what the stages read has arrived.
    ///
    /// # Errors
    /// Rows that are not whole blocks, or out of memory.
    pub fn new(graph: &Graph, stages: &[Stage]) -> Result<Self, EngineError> {
        let mut rows: Vec<_> = graph.weights.iter().map(|_| None).collect();
        for id in stages
            .iter()
            .flat_map(|stage| stage.ops(graph))
            .flat_map(Op::weights)
        {
            let weight = weight(graph, id)?;
            if let Some(slot) = rows.get_mut(id.0 as usize)
                && slot.is_none()
            {
                *slot = Some(Rows::new(weight)?);
            }
        }
        Ok(Self(rows))
    }

    /// The weights that are needed.
    pub fn needed(&self) -> impl Iterator<Item = WeightId> {
        (0..)
            .zip(&self.0)
            .filter(|(_, rows)| rows.is_some())
            .map(|(index, _)| WeightId(index))
    }

    /// Counts whole rows as arrived, and says which they are.
    ///
    /// # Errors
    /// A weight that is not needed, rows outside it, bytes that are not whole rows, or a number that is not finite.
    pub fn accept(
        &mut self,
        graph: &Graph,
        id: WeightId,
        first_row: u32,
        bytes: &[u8],
    ) -> Result<Range<usize>, EngineError> {
        let Weight { name, dtype, .. } = weight(graph, id)?;
        let rows = self.0.get_mut(id.0 as usize).and_then(Option::as_mut);
        let rows = rows
            .ok_or_else(|| misuse(format!("weight {name} belongs to no segment of this phone")))?;
        let range = rows.range(first_row as usize, bytes).ok_or_else(|| {
            let len = bytes.len();
            misuse(format!(
                "{len} bytes from row {first_row} on are not whole rows of {name}"
            ))
        })?;
        if !halves_are_finite(*dtype, bytes) {
            let tensor = name.clone();
            return Err(EngineError::NotFinite { tensor });
        }
        rows.arrived[range.clone()].fill(true);
        Ok(range)
    }

    /// Checks that every row arrived.
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] with the first row that did not.
    pub fn check_complete(&self, graph: &Graph) -> Result<(), EngineError> {
        for (rows, weight) in self.0.iter().zip(&graph.weights) {
            let Some(rows) = rows else { continue };
            if let Some(missing) = rows.arrived.iter().position(|arrived| !arrived) {
                return Err(EngineError::Incomplete {
                    tensor: weight.name.clone(),
                    first_missing_row: u32::try_from(missing).unwrap_or(u32::MAX),
                });
            }
        }
        Ok(())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.0
            .iter()
            .flatten()
            .map(|rows| rows.arrived.capacity())
            .sum()
    }
}

impl Rows {
    fn new(weight: &Weight) -> Result<Self, EngineError> {
        let row_bytes = weight.dtype.row_bytes(weight.cols);
        let row_bytes = row_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let row_bytes = row_bytes.filter(|bytes| *bytes > 0 && weight.rows > 0);
        Ok(Self {
            row_bytes: row_bytes.ok_or_else(|| {
                misuse(format!(
                    "weight {} has no rows of whole blocks",
                    weight.name
                ))
            })?,
            arrived: crate::memory::zeroed(weight.rows as usize)?,
        })
    }

    /// `None` when `bytes` are not whole rows of this tensor.
    fn range(&self, first_row: usize, bytes: &[u8]) -> Option<Range<usize>> {
        let whole = bytes.len().is_multiple_of(self.row_bytes);
        let end = first_row.checked_add(bytes.len() / self.row_bytes)?;
        (whole && end <= self.arrived.len()).then_some(first_row..end)
    }
}
