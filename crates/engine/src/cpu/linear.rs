//! out[r] = sum over c of weight[r, c] * x[c]: where nearly all the time goes.
//!
//! A few rows are turned into f32 and then meet every column of the call, so a prefill chunk pays for the quantisation once.
//! The bits do not depend on the number of columns: each output is one `dot_tile` entry, whatever the tile.

use model::DType;

use super::{dequantise, lanes::dot_tile};

/// Rows dequantised together.
pub const TILE_ROWS: usize = 4;
/// Columns that meet them together.
const TILE_COLUMNS: usize = 2;

/// A weight in file layout.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// Storage type.
    pub dtype: DType,
    /// Elements per row.
    pub cols: usize,
    /// Bytes per row.
    pub row_bytes: usize,
    /// All rows.
    pub bytes: &'a [u8],
}

impl Matrix<'_> {
    /// Writes row `index` as f32.
    #[inline(always)]
    pub fn dequantise_row(&self, index: usize, out: &mut [f32]) {
        let start = index * self.row_bytes;
        dequantise::row(self.dtype, &self.bytes[start..start + self.row_bytes], out);
    }

    #[inline(always)]
    fn rows(&self) -> usize {
        self.bytes.len() / self.row_bytes
    }
}

/// `x` is columns x cols, `out` columns x rows, `scratch` at least [`TILE_ROWS`] x cols.
pub fn linear(weight: Matrix<'_>, x: &[f32], out: &mut [f32], scratch: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2, as the line above found out.
        #[allow(unsafe_code)]
        return unsafe { linear_avx2(weight, x, out, scratch) };
    }
    linear_portable(weight, x, out, scratch);
}

/// The same source with wider registers: same operations, same order, same bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn linear_avx2(weight: Matrix<'_>, x: &[f32], out: &mut [f32], scratch: &mut [f32]) {
    linear_portable(weight, x, out, scratch);
}

/// [`linear`] with the registers that every target of this build has.
#[inline(always)]
pub fn linear_portable(weight: Matrix<'_>, x: &[f32], out: &mut [f32], scratch: &mut [f32]) {
    let rows = weight.rows();
    let whole = rows - rows % TILE_ROWS;
    for first_row in (0..whole).step_by(TILE_ROWS) {
        row_tile::<TILE_ROWS>(weight, first_row, x, out, scratch);
    }
    for row in whole..rows {
        row_tile::<1>(weight, row, x, out, scratch);
    }
}

/// Rows `first_row..first_row + ROWS` against every column.
#[inline(always)]
fn row_tile<const ROWS: usize>(
    weight: Matrix<'_>,
    first_row: usize,
    x: &[f32],
    out: &mut [f32],
    scratch: &mut [f32],
) {
    let cols = weight.cols;
    for (index, row) in scratch.chunks_exact_mut(cols).take(ROWS).enumerate() {
        weight.dequantise_row(first_row + index, row);
    }
    let tile: [&[f32]; ROWS] =
        core::array::from_fn(|index| &scratch[index * cols..(index + 1) * cols]);

    let rows = weight.rows();
    let mut columns = x.chunks_exact(TILE_COLUMNS * cols);
    let mut outs = out.chunks_exact_mut(TILE_COLUMNS * rows);
    for (columns, outs) in (&mut columns).zip(&mut outs) {
        column_tile::<ROWS, TILE_COLUMNS>(tile, columns, first_row, outs);
    }
    for (column, out) in columns
        .remainder()
        .chunks_exact(cols)
        .zip(outs.into_remainder().chunks_exact_mut(rows))
    {
        column_tile::<ROWS, 1>(tile, column, first_row, out);
    }
}

#[inline(always)]
fn column_tile<const ROWS: usize, const COLUMNS: usize>(
    rows: [&[f32]; ROWS],
    x: &[f32],
    first_row: usize,
    out: &mut [f32],
) {
    let cols = x.len() / COLUMNS;
    let out_rows = out.len() / COLUMNS;
    let columns: [&[f32]; COLUMNS] =
        core::array::from_fn(|column| &x[column * cols..(column + 1) * cols]);
    let dots = dot_tile(rows, columns);
    for (row, dots) in dots.iter().enumerate() {
        for (column, dot) in dots.iter().enumerate() {
            out[column * out_rows + first_row + row] = *dot;
        }
    }
}
