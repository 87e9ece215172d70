//! out[r] = sum over c of weight[r, c] * x[c]: where nearly all the time goes.
//!
//! Quantised weights meet x in 16 bits (`integer`). Of the others, a few rows are turned into f32 and then meet every column of
//! the call. The bits do not depend on the number of columns: each output is one `dot_tile` entry, whatever the tile.

use core::array::from_fn;

use model::DType;

use super::{
    activations::{Activations, BLOCK},
    blocks::{Q4_0, Q4_1, Q8_0},
    dequantise, integer, interleaved,
    lanes::dot_tile,
};
use crate::{EngineError, memory::zeroed};

/// Rows turned into f32 together.
const TILE_ROWS: usize = 4;

/// What a product writes to besides its output.
pub struct Scratch {
    /// Rows in f32.
    pub rows: Vec<f32>,
    activations: Activations,
}

impl Scratch {
    /// For rows of at most `longest_row` elements, and `columns` of at most `longest_quantised_row` in 16 bits.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(
        longest_row: usize,
        longest_quantised_row: usize,
        columns: usize,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            rows: zeroed(TILE_ROWS * longest_row)?,
            activations: Activations::new(longest_quantised_row * columns)?,
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<f32>() + self.activations.bytes()
    }
}

/// A weight: its rows in file layout, or [`interleaved`] where they meet x in 16 bits.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// Storage type.
    pub dtype: DType,
    /// Elements per row.
    pub cols: usize,
    /// How many.
    pub rows: usize,
    /// Bytes per row.
    pub row_bytes: usize,
    /// All of them.
    pub bytes: &'a [u8],
}

impl Matrix<'_> {
    /// Writes row `index` as f32.
    #[inline(always)]
    pub fn dequantise_row(&self, index: usize, out: &mut [f32]) {
        if self.dtype.has_integer_products() {
            let blocks = interleaved::blocks_of_row(self.dtype, self.row_bytes, index);
            for (place, out) in blocks.zip(out.chunks_exact_mut(BLOCK)) {
                dequantise::row(self.dtype, &self.bytes[place], out);
            }
        } else {
            let start = index * self.row_bytes;
            dequantise::row(self.dtype, &self.bytes[start..start + self.row_bytes], out);
        }
    }

    /// The row of a vector, written to the front of `out`.
    pub fn only_row<'out>(&self, out: &'out mut [f32]) -> &'out [f32] {
        let row = &mut out[..self.cols];
        self.dequantise_row(0, row);
        row
    }
}

/// `x` is columns x cols, `out` columns x rows.
pub fn linear(weight: Matrix<'_>, x: &[f32], out: &mut [f32], scratch: &mut Scratch) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2, as the line above found out.
        #[allow(unsafe_code)]
        return unsafe { linear_avx2(weight, x, out, scratch) };
    }
    linear_portable(weight, x, out, scratch);
}

/// The same source with more and wider registers: same operations, same order, same bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn linear_avx2(weight: Matrix<'_>, x: &[f32], out: &mut [f32], scratch: &mut Scratch) {
    products::<4>(weight, x, out, scratch);
}

/// [`linear`] with the registers that every target of this build has.
pub fn linear_portable(weight: Matrix<'_>, x: &[f32], out: &mut [f32], scratch: &mut Scratch) {
    products::<2>(weight, x, out, scratch);
}

#[inline(always)]
fn products<const ROWS: usize>(
    weight: Matrix<'_>,
    x: &[f32],
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let Scratch { rows, activations } = scratch;
    if !weight.dtype.has_integer_products() {
        return tiles::<ROWS>(weight, x, out, rows);
    }
    activations.quantise(x, weight.cols);
    match weight.dtype {
        DType::Q8_0 => integer::products::<Q8_0>(weight.bytes, weight.rows, activations, out),
        DType::Q4_0 => integer::products::<Q4_0>(weight.bytes, weight.rows, activations, out),
        DType::Q4_1 => integer::products::<Q4_1>(weight.bytes, weight.rows, activations, out),
        _ => {}
    }
}

/// `ROWS` rows by two columns are as many sums as the registers hold.
#[inline(always)]
fn tiles<const ROWS: usize>(weight: Matrix<'_>, x: &[f32], out: &mut [f32], scratch: &mut [f32]) {
    let cols = weight.cols;
    let rows = weight.rows;
    for first_row in (0..rows).step_by(TILE_ROWS) {
        let tile = &mut scratch[..TILE_ROWS.min(rows - first_row) * cols];
        for (index, row) in tile.chunks_exact_mut(cols).enumerate() {
            weight.dequantise_row(first_row + index, row);
        }
        let mut pairs = x.chunks_exact(2 * cols);
        let mut pair_outs = out.chunks_exact_mut(2 * rows);
        for (pair, out) in (&mut pairs).zip(&mut pair_outs) {
            dot_products::<ROWS, 2>(tile, pair, &mut out[first_row..], rows);
        }
        let last_out = pair_outs.into_remainder();
        if !last_out.is_empty() {
            dot_products::<TILE_ROWS, 1>(tile, pairs.remainder(), &mut last_out[first_row..], rows);
        }
    }
}

/// Every row of a tile with every one of `COLUMNS` columns; those of one column lie `stride` apart from those of the next.
#[inline(always)]
fn dot_products<const ROWS: usize, const COLUMNS: usize>(
    tile: &[f32],
    x: &[f32],
    out: &mut [f32],
    stride: usize,
) {
    let cols = x.len() / COLUMNS;
    let columns: [&[f32]; COLUMNS] = from_fn(|column| &x[column * cols..(column + 1) * cols]);
    let mut groups = tile.chunks_exact(ROWS * cols);
    let mut row = 0;
    for group in &mut groups {
        let rows: [&[f32]; ROWS] = from_fn(|row| &group[row * cols..(row + 1) * cols]);
        for (index, dots) in dot_tile(rows, columns).into_iter().enumerate() {
            for (column, dot) in dots.into_iter().enumerate() {
                out[column * stride + row + index] = dot;
            }
        }
        row += ROWS;
    }
    for (index, single) in groups.remainder().chunks_exact(cols).enumerate() {
        let [dots] = dot_tile([single], columns);
        for (column, dot) in dots.into_iter().enumerate() {
            out[column * stride + row + index] = dot;
        }
    }
}
