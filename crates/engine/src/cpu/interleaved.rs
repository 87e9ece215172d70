//! Four rows of a weight block by block beside each other, so that a product of four rows reads memory from front to back.
//!
//! Rows are padded with zeros to a multiple of four.

use core::ops::Range;

use model::DType;

/// Rows beside each other.
pub const ROWS: usize = 4;

/// Bytes of `rows` rows.
pub const fn padded_rows(rows: usize) -> usize {
    rows.next_multiple_of(ROWS)
}

/// Where the blocks of a row lie.
pub fn blocks_of_row(
    dtype: DType,
    row_bytes: usize,
    row: usize,
) -> impl Iterator<Item = Range<usize>> {
    let block_bytes = dtype.block_bytes() as usize;
    let first = row / ROWS * ROWS * row_bytes + row % ROWS * block_bytes;
    (0..row_bytes / block_bytes).map(move |block| {
        let start = first + block * ROWS * block_bytes;
        start..start + block_bytes
    })
}

/// Stores whole rows in file layout, of which the first is row `first_row` of the weight.
pub fn store(target: &mut [u8], dtype: DType, row_bytes: usize, first_row: usize, rows: &[u8]) {
    for (row, bytes) in (first_row..).zip(rows.chunks_exact(row_bytes)) {
        let blocks = bytes.chunks_exact(dtype.block_bytes() as usize);
        for (place, block) in blocks_of_row(dtype, row_bytes, row).zip(blocks) {
            target[place].copy_from_slice(block);
        }
    }
}
