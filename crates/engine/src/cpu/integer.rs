//! out[r] = weight[r] . x for quantised weights: dot products of 16-bit integers, scaled block by block.
//!
//! Each output is computed by the same operations in the same order, whatever the tile it stands in: four running sums over the
//! blocks, in block order, each of a quarter of a block's products; and in lane `b % 4` the minimum of block `b` times the sum of its x.

use core::array::from_fn;

use bytemuck::cast_slice;

use super::{
    activations::{Activations, Column},
    blocks::Block,
    registers::{Floats, Integers},
};

/// Rows of one decode tile: they share what is loaded of x.
const DECODE_ROWS: usize = 2;
/// Columns of one prefill tile: they share a row's unpacked quants.
const PREFILL_COLUMNS: usize = 4;

/// `weight` has rows of whole blocks; `out` is columns x rows.
#[inline(always)]
pub fn products<B: Block>(weight: &[u8], blocks_per_row: usize, x: &Activations, out: &mut [f32]) {
    let weight: &[B] = cast_slice(weight);
    let rows = weight.len() / blocks_per_row;
    let columns = out.len() / rows;
    let whole_columns = columns / PREFILL_COLUMNS * PREFILL_COLUMNS;
    for (index, rows_bytes) in weight.chunks(DECODE_ROWS * blocks_per_row).enumerate() {
        let row = index * DECODE_ROWS;
        for column in (0..whole_columns).step_by(PREFILL_COLUMNS) {
            let columns: [_; PREFILL_COLUMNS] = from_fn(|index| x.column(column + index));
            for (index, single) in rows_bytes.chunks_exact(blocks_per_row).enumerate() {
                for (column, sum) in (column..).zip(tile([single], columns)[0]) {
                    out[column * rows + row + index] = sum;
                }
            }
        }
        for column in whole_columns..columns {
            let (x, out) = (x.column(column), &mut out[column * rows + row..]);
            if rows_bytes.len() == DECODE_ROWS * blocks_per_row {
                let (first, second) = rows_bytes.split_at(blocks_per_row);
                [[out[0]], [out[1]]] = tile([first, second], [x]);
            } else {
                [[out[0]]] = tile([rows_bytes], [x]);
            }
        }
    }
}

/// Every row with every column.
#[inline(always)]
fn tile<B: Block, const ROWS: usize, const COLUMNS: usize>(
    rows: [&[B]; ROWS],
    columns: [Column<'_>; COLUMNS],
) -> [[f32; COLUMNS]; ROWS] {
    let mut sums = [[Floats::splat(0.0); COLUMNS]; ROWS];
    let blocks = rows[0].len();
    let mut block = 0;
    while block + 4 <= blocks {
        add::<B, ROWS, COLUMNS, 4>(&mut sums, rows, columns, block);
        block += 4;
    }
    if block + 2 <= blocks {
        add::<B, ROWS, COLUMNS, 2>(&mut sums, rows, columns, block);
        block += 2;
    }
    if block < blocks {
        add::<B, ROWS, COLUMNS, 1>(&mut sums, rows, columns, block);
    }
    sums.map(|sums| sums.map(add_lanes))
}

/// Adds the products of `BLOCKS` blocks.
#[inline(always)]
fn add<B: Block, const ROWS: usize, const COLUMNS: usize, const BLOCKS: usize>(
    sums: &mut [[Floats; COLUMNS]; ROWS],
    rows: [&[B]; ROWS],
    columns: [Column<'_>; COLUMNS],
    first: usize,
) {
    let rows = rows.map(|row| &row[first..first + BLOCKS]);
    let scales = columns.map(|column| lanes::<BLOCKS>(&column.scales[first..]));
    let blocks = rows.map(|row| from_fn(|lane| &row[lane.min(BLOCKS - 1)]));
    let scales: [[Floats; COLUMNS]; ROWS] = blocks.map(|blocks| {
        let row = B::scales(blocks);
        scales.map(|column| row.mul(column))
    });
    for row in 0..ROWS {
        if B::HAS_MINIMUM {
            let minima = B::minima(blocks[row]);
            for column in 0..COLUMNS {
                let x = lanes::<BLOCKS>(&columns[column].sums[first..]);
                sums[row][column] = sums[row][column].add(minima.mul(x));
            }
        }
    }
    for block in 0..BLOCKS {
        let weights = rows.map(|row| row[block].quants());
        for column in 0..COLUMNS {
            let x = columns[column].quants(first + block);
            for row in 0..ROWS {
                let scale = lane(scales[row][column], block);
                let products = dot(weights[row], x).to_floats();
                sums[row][column] = sums[row][column].add(products.mul(scale));
            }
        }
    }
}

/// The first numbers; zero where there are fewer than four.
#[inline(always)]
fn lanes<const COUNT: usize>(numbers: &[f32]) -> Floats {
    let numbers = &numbers[..COUNT];
    Floats::from_array(from_fn(
        |lane| if lane < COUNT { numbers[lane] } else { 0.0 },
    ))
}

#[inline(always)]
fn lane(floats: Floats, lane: usize) -> Floats {
    match lane {
        0 => floats.splat_lane::<0>(),
        1 => floats.splat_lane::<1>(),
        2 => floats.splat_lane::<2>(),
        _ => floats.splat_lane::<3>(),
    }
}

/// 32 products in four sums.
#[inline(always)]
fn dot(a: [Integers; 4], b: [Integers; 4]) -> Integers {
    let [p, q, r, s]: [Integers; 4] = from_fn(|index| a[index].dot16(b[index]));
    p.add32(q).add32(r.add32(s))
}

#[inline(always)]
fn add_lanes(sums: Floats) -> f32 {
    let [a, b, c, d] = sums.to_array();
    (a + c) + (b + d)
}
