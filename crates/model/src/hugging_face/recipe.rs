//! How rows of a GGUF tensor are made out of a tensor of a repository.

use core::ops::Range;

use super::{quantise, safetensors::Tensor};
use crate::dtype::DType;

/// What differs between the two besides the storage type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Same,
    /// Elements that rotate together become neighbours: of a head, row i and row i + head_dim / 2 become 2i and 2i + 1.
    HeadsInterleaved,
    /// Queries, keys and values of one head after the other become all queries, all keys, all values.
    QkvInterleaved,
    /// Columns become rows.
    Transposed,
    /// 1 is added.
    GainFromZero,
}

/// A tensor of the GGUF file and how it comes about.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Name in GGUF.
    pub name: String,
    /// Storage type there.
    pub dtype: DType,
    /// Rows.
    pub rows: u32,
    /// Elements of a row.
    pub cols: u32,
    /// What it is made of.
    pub source: Source,
}

/// What a tensor is made of.
#[derive(Debug, Clone)]
pub enum Source {
    /// A tensor of the repository.
    Tensor {
        /// Index of its file.
        file: usize,
        /// Where it is.
        tensor: Tensor,
        /// What is done to it.
        change: Change,
        /// Elements of a head of those rows that a change moves.
        head_dim: u32,
    },
    /// One row that follows from the configuration.
    Computed(Vec<f32>),
}

impl Recipe {
    /// Rows in the layout of the GGUF file. `fetch` reads a range of a file of the repository.
    ///
    /// # Errors
    /// Whatever `fetch` says.
    pub async fn rows<E>(
        &self,
        rows: Range<u32>,
        fetch: &mut impl AsyncFnMut(usize, Range<u64>) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let mut out = Vec::new();
        let Source::Tensor {
            file,
            tensor,
            change,
            head_dim,
        } = &self.source
        else {
            if let Source::Computed(row) = &self.source {
                quantise::push_row(self.dtype, row, &mut out);
            }
            return Ok(out);
        };
        if *change == Change::Transposed && tensor.rows > 1 {
            let whole = fetch(*file, tensor.range.clone()).await?;
            let whole = quantise::elements(tensor.dtype, &whole);
            for row in rows {
                let column = whole
                    .iter()
                    .skip(row as usize)
                    .step_by(tensor.cols as usize);
                let column: Vec<f32> = column.copied().collect();
                quantise::push_row(self.dtype, &column, &mut out);
            }
            return Ok(out);
        }
        let row_bytes = tensor.dtype.row_bytes(tensor.cols).unwrap_or(0);
        let moves = matches!(change, Change::HeadsInterleaved | Change::QkvInterleaved);
        let moved = |index: u32, of: u32| moved(*change, index, of, *head_dim);
        let place = |row: u32| tensor.range.start + row_bytes * u64::from(row);
        // Rows that stay neighbours come in one piece.
        let piece_rows = match moves && self.rows > 1 {
            true => 1,
            false => rows.end.saturating_sub(rows.start).max(1),
        };
        for first in rows.step_by(piece_rows as usize) {
            let start = match piece_rows {
                1 => moved(first, self.rows),
                _ => first,
            };
            let piece = place(start)..place(start + piece_rows);
            let mut elements = quantise::elements(tensor.dtype, &fetch(*file, piece).await?);
            if moves && self.rows == 1 {
                let places = (0..self.cols).map(|index| moved(index, self.cols) as usize);
                elements = places
                    .filter_map(|place| elements.get(place).copied())
                    .collect();
            }
            if *change == Change::GainFromZero {
                elements.iter_mut().for_each(|element| *element += 1.0);
            }
            for row in elements.chunks_exact(self.cols as usize) {
                quantise::push_row(self.dtype, row, &mut out);
            }
        }
        Ok(out)
    }
}

/// Where in the repository's tensor what becomes number `index` of `of` is.
fn moved(change: Change, index: u32, of: u32, head_dim: u32) -> u32 {
    let head_dim = head_dim.max(1);
    match change {
        _ if of == 1 => index,
        Change::HeadsInterleaved => {
            let (head, element) = (index / head_dim, index % head_dim);
            head * head_dim + element % 2 * (head_dim / 2) + element / 2
        }
        Change::QkvInterleaved => {
            let (part, within) = (index / (of / 3).max(1), index % (of / 3).max(1));
            let (head, element) = (within / head_dim, within % head_dim);
            (3 * head + part) * head_dim + element
        }
        Change::Same | Change::Transposed | Change::GainFromZero => index,
    }
}
